"""Chance that can be repeated, and the stall."""

from __future__ import annotations

import json

import pytest

from loadr.testing import target_site
from loadr.testing.target_behaviour import Behaviour, parse_delay
from loadr.testing.target_site import Site

NOISY = b"/x?delay=exponential:20ms&error=0.3"


def drawn(seed: int, count: int = 1000) -> list[tuple[int, float]]:
    site = Site(Behaviour(), seed)
    route = site.routes.find(b"GET", NOISY)
    return [(answer.status, delay_s) for answer, delay_s in (site.draw(route) for _ in range(count))]


def test_the_same_seed_draws_the_same() -> None:
    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_the_error_rate_is_met() -> None:
    failed = sum(status == 500 for status, _ in drawn(3, 10_000))
    assert failed == pytest.approx(3000, abs=150)


def test_a_plain_answer_draws_nothing() -> None:
    site = Site(Behaviour(), 1)
    for _ in range(10):
        answer, delay_s = site.draw(site.routes.find(b"GET", b"/"))
        assert (answer.status, delay_s) == (200, 0.0)
    assert site.draw(site.routes.find(b"GET", NOISY))[1] == drawn(1)[0][1]


def test_the_behaviour_of_the_server_delays_every_answer() -> None:
    site = Site(Behaviour(parse_delay("20ms")))
    assert site.draw(site.routes.find(b"GET", b"/"))[1] == 0.02
    assert site.draw(site.routes.find(b"GET", b"/?delay=0s"))[1] == 0.0


def test_a_stall_ends_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = 5_000_000_000
    monkeypatch.setattr(target_site, "boottime_ns", lambda: now_ns)
    site = Site(Behaviour())
    assert site.stalled_s() == 0.0
    site.control(site.routes.find(b"POST", b"/control/stall?for=2s"))
    assert site.stalled_s() == 2.0
    now_ns += 1_500_000_000
    assert site.stalled_s() == 0.5
    now_ns += 500_000_000
    assert site.stalled_s() == 0.0


def test_a_stall_can_be_called_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target_site, "boottime_ns", lambda: 5_000_000_000)
    site = Site(Behaviour())
    site.control(site.routes.find(b"POST", b"/control/stall?for=2s"))
    site.control(site.routes.find(b"POST", b"/control/stall?for=0s"))
    assert site.stalled_s() == 0.0


def test_a_reset_counts_from_zero_and_keeps_recording() -> None:
    site = Site(Behaviour(), record_arrivals=5)
    site.counters.arrived("GET /", 1)
    site.control(site.routes.find(b"POST", b"/control/reset"))
    assert site.counters.total == 0
    site.counters.arrived("GET /", 2)
    seen = site.control(site.routes.find(b"GET", b"/control/counters")).first.partition(b"\r\n\r\n")[2]
    assert json.loads(seen)["arrivals_ns"] == [2]
