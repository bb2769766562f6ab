"""Deltas survive the wire, and what can not be is named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadr.coordination.messages import (
    Metrics,
    SeriesEntry,
    WireCounter,
    WireDelta,
    WireGauge,
    WireInterval,
    WireRate,
    WireTrend,
)
from loadr.coordination.wire import BadBatch, entry_bytes, from_wire, open_trends, series_of, to_wire
from loadr.metrics.delta import CounterDelta, Delta, GaugeDelta, RateDelta, TrendDelta
from loadr.metrics.histogram import Histogram
from loadr.metrics.series import Kind, SeriesKey, series

COUNTER = series("http_reqs", Kind.COUNTER, scenario="s")
RATE = series("checks", Kind.RATE)
GAUGE = series("vus", Kind.GAUGE)
TREND = series("http_req_duration", Kind.TREND)
counts = st.integers(0, 2**53)


def back(key: SeriesKey, wire: WireDelta, t1_s: int) -> Delta:
    batch = Metrics("run", 1, 1, (), (WireInterval(t1_s - 1, t1_s, (wire,)),))
    return from_wire(key, wire, t1_s, open_trends(batch))


@given(counts, counts, st.lists(st.integers(0, 10**12), max_size=20))
def test_every_kind_of_delta_survives(passes: int, fails: int, samples: list[int]) -> None:
    histogram = Histogram.of(np.array(samples, dtype=np.int64))
    deltas: list[tuple[SeriesKey, Delta]] = [
        (COUNTER, CounterDelta(passes)),
        (RATE, RateDelta(passes, fails)),
        (GAUGE, GaugeDelta(5, 1, 9, 41)),
        (TREND, TrendDelta(histogram)),
    ]
    for key, delta in deltas:
        wire, size = to_wire(1, delta)
        assert back(key, wire, 42) == delta
        assert size > 0


def test_a_gauge_of_a_coarse_interval_is_of_its_last_second() -> None:
    assert back(GAUGE, WireGauge(1, 5, 1, 9), 8) == GaugeDelta(5, 1, 9, 7)


@pytest.mark.parametrize(
    ("key", "wire", "words"),
    [
        (RATE, WireCounter(1, 1), "is a rate, not a counter"),
        (COUNTER, WireRate(1, 1, 1), "is a counter, not a rate"),
        (COUNTER, WireGauge(1, 1, 1, 1), "is a counter, not a gauge"),
        (COUNTER, WireTrend(1, b"", 0, 0, 0, 0, 0), "is a counter, not a trend"),
        (COUNTER, WireCounter(1, -1), "-1 is no count"),
        (RATE, WireRate(1, 1, -5), "-5 is no count"),
        (GAUGE, WireGauge(1, 9, 1, 5), "last 9 is not between"),
        (TREND, WireTrend(1, b"junk", 1, 1, 1, 1, 0), "shorter than its header"),
    ],
)
def test_what_can_not_be_is_named(key: SeriesKey, wire: WireDelta, words: str) -> None:
    with pytest.raises(BadBatch, match=words):
        back(key, wire, 1)


def test_a_histogram_whose_count_is_not_the_sum_of_its_buckets_is_refused() -> None:
    wire, _ = to_wire(1, TrendDelta(Histogram.of(np.array([1000, 2000]))))
    assert isinstance(wire, WireTrend)
    lie = WireTrend(1, wire.hdr, 3, wire.sum_ns, wire.min_ns, wire.max_ns, 0)
    with pytest.raises(BadBatch, match="claims 3 samples"):
        back(TREND, lie, 1)


def test_the_histograms_of_a_batch_come_in_the_order_of_its_deltas() -> None:
    samples = (1_000, 2_000, 3_000)
    first, second, third = (to_wire(1, TrendDelta(Histogram.of(np.array([ns]))))[0] for ns in samples)
    other = WireCounter(2, 1)
    intervals = (WireInterval(0, 1, (first, other, second)), WireInterval(1, 2, (other, third)))
    opened = list(open_trends(Metrics("run", 1, 1, (), intervals)))
    assert [each.min_ns for each in opened if isinstance(each, Histogram)] == list(samples)


def test_agents_that_name_the_same_series_share_its_key() -> None:
    names = [SeriesEntry(number, "checks", Kind.RATE, (("check", "ok"),)) for number in (1, 7)]
    assert series_of(names[0]) is series_of(names[1])


def test_a_series_comes_back_with_sorted_tags() -> None:
    entry = SeriesEntry(1, "checks", Kind.RATE, (("b", "2"), ("a", "1")))
    assert series_of(entry) == series("checks", Kind.RATE, a="1", b="2")
    assert entry_bytes(entry) >= len("checks") + 4


def test_a_metric_of_a_users_own_may_be_of_any_kind() -> None:
    assert series_of(SeriesEntry(1, "basket_value", Kind.TREND, ())).kind is Kind.TREND
