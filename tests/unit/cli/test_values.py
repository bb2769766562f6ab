from pathlib import Path

import click
import pytest

from loadr.cli.values import AGENTS, SEED, VUS, address, bind_address, corpus, duration_ns, pair, workers


@pytest.mark.parametrize(
    ("text", "ns"), [("300ms", 300_000_000), ("2", 2_000_000_000), ("1m30s", 90_000_000_000)]
)
def test_durations_are_read(text: str, ns: int) -> None:
    assert duration_ns(text) == ns


@pytest.mark.parametrize(("text", "value"), [("a=b", ("a", "b")), ("a=b=c", ("a", "b=c")), ("a=", ("a", ""))])
def test_pairs_are_read(text: str, value: tuple[str, str]) -> None:
    assert pair(text) == value


@pytest.mark.parametrize("text", ["127.0.0.1:7625", "localhost:1", "[::1]:65535", "load-1.example:80"])
def test_addresses_stay_as_they_are(text: str) -> None:
    assert address(text) == bind_address(text) == text


def test_port_0_is_only_for_those_who_listen() -> None:
    assert bind_address("127.0.0.1:0") == "127.0.0.1:0"
    with pytest.raises(click.BadParameter, match="between 1 and 65535"):
        address("127.0.0.1:0")


@pytest.mark.parametrize(
    ("read", "text", "number"),
    [(AGENTS, "1", 1), (AGENTS, 256, 256), (VUS, "007", 7), (SEED, str(2**63 - 1), 2**63 - 1)],
)
def test_whole_numbers_are_read_within_their_bounds(read, text: str | int, number: int) -> None:
    assert read(text) == number


def test_a_number_out_of_bounds_is_told_them() -> None:
    with pytest.raises(click.BadParameter, match=r"^'300' is not a whole number from 1 to 256$"):
        AGENTS("300")


@pytest.mark.parametrize(("text", "value"), [("auto", None), ("1", 1), ("1024", 1024)])
def test_workers_are_a_number_or_auto(text: str, value: int | None) -> None:
    assert workers(text) == value


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (duration_ns, "soon"),
        (duration_ns, "-1s"),
        (duration_ns, "0s"),
        (pair, "a"),
        (pair, "=b"),
        (address, "localhost"),
        (address, ":80"),
        (address, "host:port"),
        (address, "host:65536"),
        (address, "http://host:80"),
        (AGENTS, "0"),
        (AGENTS, "257"),
        (AGENTS, "-1"),
        (AGENTS, "three"),
        (AGENTS, "²"),
        (SEED, "9" * 5000),
        (workers, "0"),
        (workers, "1025"),
        (workers, "many"),
        (workers, "²"),
    ],
)
def test_anything_else_is_refused_in_words(read, text: str) -> None:
    with pytest.raises(click.BadParameter) as refused:
        read(text)
    assert len(refused.value.message) > 10


def test_a_corpus_is_a_name_and_a_path() -> None:
    assert corpus("users-1=/data/a=b.csv") == ("users-1", Path("/data/a=b.csv"))
    for text in ("users", "users=", "=x", "a/b=x", "x" * 65 + "=x"):
        with pytest.raises(click.BadParameter, match="not of the form NAME=PATH"):
            corpus(text)
