from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadr.errors import InternalFault
from loadr.metrics.delta import (
    CounterDelta,
    Delta,
    GaugeDelta,
    IntervalDelta,
    RateDelta,
    TrendDelta,
    add_source,
    merge_delta,
    merge_interval,
)
from loadr.metrics.histogram import Histogram
from loadr.metrics.series import Kind, series

REQS = series("http_reqs", Kind.COUNTER)
CHECKS = series("checks", Kind.RATE)
DURATION = series("http_req_duration", Kind.TREND)
VUS = series("vus", Kind.GAUGE)


def trend(*values_ns: int) -> TrendDelta:
    return TrendDelta(Histogram.of(np.array(values_ns, np.int64)))


def second(t0_s: int, requests: int, vus: int, *durations_ns: int) -> IntervalDelta:
    return IntervalDelta(
        t0_s,
        t0_s + 1,
        {
            REQS: CounterDelta(requests),
            CHECKS: RateDelta(passes=requests, fails=1),
            DURATION: trend(*durations_ns),
            VUS: GaugeDelta(vus, vus, vus, at_s=t0_s),
        },
    )


counters = st.builds(CounterDelta, st.integers(0, 2**70))
rates = st.builds(RateDelta, st.integers(0, 2**70), st.integers(0, 2**70))
trends = st.lists(st.integers(0, 10**10), max_size=8).map(lambda values: trend(*values))
gauges = st.builds(
    lambda values, at_s: GaugeDelta(min=values[0], last=values[1], max=values[2], at_s=at_s),
    st.tuples(*[st.integers(-50, 50)] * 3).map(sorted),
    st.integers(0, 4),
)


def merged(first: Delta, *rest: Delta, over_time: bool) -> Delta:
    out = first.copy()
    for delta in rest:
        merge_delta(out, delta, over_time=over_time)
    return out


@given(
    st.one_of(*(st.tuples(kind, kind, kind) for kind in (counters, rates, trends, gauges))),
    st.booleans(),
)
def test_merge_is_commutative_and_associative(deltas: tuple[Delta, Delta, Delta], over_time: bool) -> None:
    a, b, c = deltas
    assert merged(a, b, over_time=over_time) == merged(b, a, over_time=over_time)
    left = merged(merged(a, b, over_time=over_time), c, over_time=over_time)
    right = merged(a, merged(b, c, over_time=over_time), over_time=over_time)
    if isinstance(left, GaugeDelta) and isinstance(right, GaugeDelta) and over_time:
        assert (left.last, left.at_s) == (right.last, right.at_s)
    else:
        assert left == right


@given(st.lists(gauges, min_size=1, max_size=6), st.booleans())
def test_a_gauge_stays_between_its_extremes(parts: list[GaugeDelta], over_time: bool) -> None:
    gauge = merged(*parts, over_time=over_time)
    assert isinstance(gauge, GaugeDelta)
    assert gauge.min <= gauge.last <= gauge.max


@pytest.mark.parametrize("over_time", [False, True])
def test_deltas_of_different_kinds_do_not_merge(over_time: bool) -> None:
    kinds: list[Delta] = [CounterDelta(1), RateDelta(1, 1), GaugeDelta(1, 1, 1), trend(1)]
    for into in kinds:
        for other in kinds:
            if into is not other:
                with pytest.raises(InternalFault, match=f"a {other.kind.name.lower()} can not be merged"):
                    merge_delta(into, other, over_time=over_time)


def test_of_one_sources_gauges_the_later_stays_however_they_arrive() -> None:
    early, late = GaugeDelta(5, 4, 6, at_s=1), GaugeDelta(3, 2, 5, at_s=2)
    for first, then in ((early, late), (late, early)):
        merged = first.copy()
        merged.merge(then)
        assert merged == GaugeDelta(3, 2, 6, at_s=2)


def test_a_gauge_that_comes_in_parts_for_one_second_is_their_sum() -> None:
    gauge = GaugeDelta(5, 5, 5, at_s=7)
    gauge.merge(GaugeDelta(3, 3, 3, at_s=7))
    assert gauge == GaugeDelta(8, 8, 8, at_s=7)


def test_gauges_of_several_sources_sum() -> None:
    gauge = GaugeDelta(5, 4, 6, at_s=7)
    gauge.add_source(GaugeDelta(3, 1, 3, at_s=7))
    assert gauge == GaugeDelta(8, 5, 9, at_s=7)


def test_coalesced_intervals_reach_over_both_and_keep_exact_counts() -> None:
    into, other = second(3, 10, 5, 1_000, 2_000), second(1, 7, 9, 3_000)
    merge_interval(into, other)
    assert (into.t0_s, into.t1_s) == (1, 4)
    assert into.values[REQS] == CounterDelta(17)
    assert into.values[CHECKS] == RateDelta(passes=17, fails=2)
    assert into.values[DURATION] == trend(1_000, 2_000, 3_000)
    assert into.values[VUS] == GaugeDelta(5, 5, 9, at_s=3)


def test_sources_of_one_interval_sum_in_all_kinds() -> None:
    into = second(3, 10, 5, 1_000)
    add_source(into, second(3, 7, 9, 3_000))
    assert (into.t0_s, into.t1_s) == (3, 4)
    assert into.values[REQS] == CounterDelta(17)
    assert into.values[DURATION] == trend(1_000, 3_000)
    assert into.values[VUS] == GaugeDelta(14, 14, 14, at_s=3)


def test_sources_of_different_intervals_are_a_bug() -> None:
    with pytest.raises(InternalFault, match=r"not \[4, 5\) s into \[3, 4\) s"):
        add_source(second(3, 1, 1), second(4, 1, 1))


def test_a_series_that_was_missing_is_copied_and_not_shared() -> None:
    for merge in (merge_interval, add_source):
        into, other = IntervalDelta(3, 4), second(3, 10, 5, 1_000)
        merge(into, other)
        assert into == other
        merge(into, second(3, 1, 1, 9_000))
        assert other == second(3, 10, 5, 1_000)


def test_a_series_under_two_kinds_is_a_bug() -> None:
    into = IntervalDelta(0, 1, {REQS: CounterDelta(1)})
    with pytest.raises(InternalFault):
        merge_interval(into, IntervalDelta(0, 1, {REQS: RateDelta(1, 1)}))
