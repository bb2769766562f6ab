"""Delays, rates and sizes as people write them."""

from __future__ import annotations

import math
import statistics
from random import Random

import pytest

from loadr.testing.target_behaviour import Behaviour, parse_delay, parse_rate, parse_size


def draws(text: str, count: int = 20_000) -> list[float]:
    delay = parse_delay(text)
    assert delay is not None
    random = Random(7)
    return [delay(random) for _ in range(count)]


def test_a_fixed_delay_is_always_the_same() -> None:
    assert set(draws("50ms", 100)) == {0.05}
    assert set(draws("1.5", 100)) == {1.5}


def test_no_delay_is_none() -> None:
    assert parse_delay("0ms") is None


def test_a_uniform_delay_lies_between_its_ends() -> None:
    delays = draws("uniform:10ms,50ms")
    assert 0.010 <= min(delays) < 0.011
    assert 0.049 < max(delays) <= 0.050
    assert statistics.fmean(delays) == pytest.approx(0.030, rel=0.02)


def test_an_exponential_delay_has_its_mean_and_spread() -> None:
    delays = draws("exponential:20ms")
    assert statistics.fmean(delays) == pytest.approx(0.020, rel=0.03)
    assert statistics.pstdev(delays) == pytest.approx(0.020, rel=0.05)


def test_a_lognormal_delay_has_its_median_and_sigma() -> None:
    delays = draws("lognormal:20ms,0.5")
    assert statistics.median(delays) == pytest.approx(0.020, rel=0.03)
    assert statistics.pstdev([math.log(delay) for delay in delays]) == pytest.approx(0.5, rel=0.03)


def test_no_delay_is_longer_than_an_hour() -> None:
    assert max(draws("exponential:1h", 1000)) == 3600.0
    assert max(draws("lognormal:1h,10", 1000)) == 3600.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("soon", "not a duration"),
        ("2h", "longer than this target waits"),
        ("uniform:50ms,10ms", "ends before it begins"),
        ("uniform:50ms", "is not a delay; write"),
        ("gamma:1ms", "is not a delay; write"),
        ("exponential:0ms", "must be above zero"),
        ("lognormal:20ms,wide", "not a number between 0 and 10"),
    ],
)
def test_a_delay_that_is_none_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_delay(text)


def test_a_rate_is_a_part_of_one() -> None:
    assert parse_rate("0.05") == 0.05
    for text in ("1.5", "-1", "nan", "often"):
        with pytest.raises(ValueError, match="between 0 and 1"):
            parse_rate(text)


def test_a_size_has_a_limit() -> None:
    assert parse_size("2KB") == 2000
    with pytest.raises(ValueError, match="more than this target sends"):
        parse_size("17MiB")


def test_a_query_refines_what_it_names_and_leaves_the_rest() -> None:
    own = Behaviour(error_rate=0.5, size_bytes=100)
    assert own.refined({"page": "3"}) == own
    refined = own.refined({"size": "1KiB", "delay": "1s"})
    assert (refined.error_rate, refined.size_bytes) == (0.5, 1024)
    assert refined.delay is not None
    assert refined.delay(Random(1)) == 1.0
    assert own.refined({"error": "0"}).error_rate == 0.0
