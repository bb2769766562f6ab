"""Join tokens over real processes: who has one joins, a reset stream costs none, and no token is ever shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadr.clock import unix_ms
from loadr.testing.proxy import Proxy
from loadr.transport.tokens import TokenStore, write_token
from support.certificates import write_certificates
from support.fleet import Fleet, await_condition, run_loadr


class Desk:
    """A fleet whose agents need a token over TLS, and the store of its tokens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = TokenStore(folder / "tokens")
        self.shown: list[str] = []
        self.token("first")
        made = write_certificates(folder / "certs")
        self.ca = made.ca
        flags = ("--tls-cert", str(made.controller_cert), "--tls-key", str(made.controller_key))
        self.fleet = Fleet(*flags, "--token-file", str(self.store.path))

    def token(self, name: str, *, lasts_ms: int = 600_000, uses: int | None = None) -> Path:
        token = self.store.create(expires_unix_ms=unix_ms() + lasts_ms, uses=uses)
        self.shown.append(token)
        write_token(self.folder / name, token)
        return self.folder / name

    def refused(self, name: str, *flags: str) -> str:
        """What an agent says that is to be refused for good."""
        join = ("agent", "--join", f"127.0.0.1:{self.fleet.port}", "--name", name, "--workers", "1")
        done = run_loadr(*join, "--tls-ca", str(self.ca), *flags)
        assert done.returncode == 122 and "Traceback" not in done.stderr, done.stderr
        assert done.stderr.count("refused this agent") == 1
        self.fleet.controller.await_words(f"agent {name} at [^ ]+ was refused: ")
        return done.stderr

    def uses(self) -> list[str]:
        lines = [json.loads(line) for line in self.store.path.read_text().splitlines()]
        return [line["agent_id"] for line in lines if line["what"] == "use"]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    try:
        yield desk
        said = [process.said for process in desk.fleet.processes]
        assert not [token for token in desk.shown for text in said if token.partition(".")[2] in text]
    finally:
        desk.fleet.close()


def test_who_has_no_good_token_is_refused_for_good(desk: Desk) -> None:
    assert "it showed no join token (give the agent one with --token-file)" in desk.refused("none")
    wrong = desk.folder / "wrong"
    write_token(wrong, "00000000.made-up")
    assert "its join token is not known here" in desk.refused("wrong", "--token-file", str(wrong))
    late = desk.token("late", lasts_ms=-1)
    assert "has expired" in desk.refused("late", "--token-file", str(late))


def test_a_token_that_was_made_later_lets_in_as_often_as_it_says_however_often_the_stream_breaks(
    desk: Desk,
) -> None:
    once = desk.token("once", uses=1)
    with Proxy(desk.fleet.port) as proxy:
        flags = ("--tls-ca", str(desk.ca), "--token-file", str(once))
        agent = desk.fleet.agent("a1", *flags, port=proxy.port)
        desk.fleet.await_agents(1)
        for number in range(1, 3):
            proxy.cut_and_refuse()
            desk.fleet.controller.await_words(rf"(?s)(agent a1 is suspect.*){{{number}}}")
            proxy.allow()
            desk.fleet.controller.await_words(rf"(?s)(agent a1 joined from.*){{{number + 1}}}")
        assert desk.uses() == ["a1"] and agent.popen.poll() is None
        assert "was used 1 time, which is all it allows" in desk.refused("a2", "--token-file", str(once))
    assert desk.uses() == ["a1"]


def test_a_token_that_was_taken_away_lets_nobody_in_any_more(desk: Desk) -> None:
    desk.fleet.agent("a1", "--tls-ca", str(desk.ca), "--token-file", str(desk.folder / "first"))
    desk.fleet.await_agents(1)
    desk.store.path.write_text("")
    said = desk.refused("a2", "--token-file", str(desk.folder / "first"))
    assert "its join token is not known here" in said


def test_off_loopback_a_token_goes_over_plaintext_only_when_asked_for(tmp_path: Path) -> None:
    token = tmp_path / "token"
    write_token(token, "id.key")
    done = run_loadr("agent", "--join", "192.0.2.1:7625", "--token-file", str(token))
    assert done.returncode == 104 and "--insecure" in done.stderr and "id.key" not in done.stderr


def test_off_loopback_tls_alone_lets_no_strangers_join(tmp_path: Path) -> None:
    made = write_certificates(tmp_path)
    flags = ("--tls-cert", str(made.controller_cert), "--tls-key", str(made.controller_key))
    done = run_loadr("controller", "--bind", "0.0.0.0:0", "--api", "127.0.0.1:0", *flags)
    assert done.returncode == 104 and "anybody who reaches 0.0.0.0:0 could join" in done.stderr
    assert "--token-file" in done.stderr


def test_plaintext_off_loopback_that_was_asked_for_is_told(tmp_path: Path) -> None:
    fleet = Fleet("--bind", "0.0.0.0:0", "--insecure")
    try:
        await_condition(lambda: "in plaintext (--insecure)" in fleet.controller.said, "the warning")
    finally:
        fleet.close()
