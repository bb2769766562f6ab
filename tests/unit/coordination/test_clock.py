"""The estimate of another machine's clock lies within its bound, whatever the ways and the drift."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from loadr.coordination.clock import KEPT_EXCHANGES, PeerClock

S = 1_000_000_000
MS = 1_000_000


def exchange(clock: PeerClock, sent: int, up: int, stay: int, down: int, offset: int) -> int:
    """One exchange between clocks without drift; when it ended."""
    t1 = sent + up + offset
    end = sent + up + stay + down
    assert clock.exchange(sent, t1, t1 + stay, end)
    return end


def test_equal_ways_give_the_exact_offset() -> None:
    clock = PeerClock()
    end = exchange(clock, 10 * S, 5 * MS, MS, 5 * MS, offset=7 * S)
    best = clock.best(end)
    assert best is not None
    assert (best.offset_ns, best.rtt_ns) == (7 * S, 10 * MS)


def test_of_several_exchanges_the_quickest_counts() -> None:
    clock = PeerClock()
    for way in (50, 1, 80):
        end = exchange(clock, 10 * S, way * MS, 0, way * MS, offset=S)
    best = clock.best(end)
    assert best is not None and best.rtt_ns == 2 * MS


def test_an_old_quick_exchange_yields_to_a_young_one_when_drift_has_eaten_its_advantage() -> None:
    clock = PeerClock()
    exchange(clock, 0, MS, 0, MS, offset=S)
    end = exchange(clock, 100 * S, 5 * MS, 0, 5 * MS, offset=S)
    best = clock.best(end)
    assert best is not None and best.rtt_ns == 10 * MS  # 500 ppm of 100 s are 50 ms


def test_only_the_last_eight_are_kept() -> None:
    clock = PeerClock()
    exchange(clock, 0, 0, 0, 0, offset=S)
    for number in range(KEPT_EXCHANGES):
        end = exchange(clock, number, 9 * MS, 0, 9 * MS, offset=S)
    best = clock.best(end)
    assert best is not None and best.rtt_ns == 18 * MS


def test_an_exchange_that_can_not_be_is_refused() -> None:
    clock = PeerClock()
    assert not clock.exchange(10, 5, 9, 11)  # they had it for longer than we waited
    assert not clock.exchange(10, 9, 5, 20)  # answered before it was asked
    assert not clock.exchange(20, 5, 5, 10)  # received before it was sent
    assert clock.best(20) is None and clock.to_agent(5, 20) is None


def test_a_reset_forgets_everything() -> None:
    clock = PeerClock()
    exchange(clock, 0, MS, 0, MS, offset=S)
    clock.reset()
    assert clock.best(0) is None


@given(
    offset=st.integers(-(10**18), 10**18),
    ways=st.lists(st.tuples(st.integers(0, S), st.integers(0, S)), min_size=1, max_size=12),
    drift_ppm=st.integers(-500, 500),
    ahead=st.integers(0, 10 * S),
)
@example(offset=0, ways=[(0, 0)], drift_ppm=-500, ahead=2001)
def test_a_converted_instant_is_within_the_published_bound(
    offset: int, ways: list[tuple[int, int]], drift_ppm: int, ahead: int
) -> None:
    def theirs(ours: int) -> int:
        return offset + ours + ours * drift_ppm // 1_000_000

    clock = PeerClock()
    now = 0
    for up, down in ways:
        sent = now
        now = sent + up + down
        assert clock.exchange(sent, theirs(sent + up), theirs(sent + up), now)
        now += S
    instant = theirs(now + ahead)
    converted = clock.to_agent(instant, now)
    assert converted is not None
    assert abs(converted.mono_ns - (now + ahead)) <= converted.bound_ns


def test_two_hours_of_drift_at_500_ppm_stay_below_ten_milliseconds() -> None:
    clock = PeerClock()
    for second in range(7200):
        sent = second * S
        theirs = sent + MS + (sent + MS) * 500 // 1_000_000
        assert clock.exchange(sent, theirs, theirs, sent + 2 * MS)
    now = 7200 * S
    converted = clock.to_agent(now + now * 500 // 1_000_000, now)
    assert converted is not None
    assert abs(converted.mono_ns - now) <= converted.bound_ns < 10 * MS
