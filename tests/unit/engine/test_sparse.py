"""From the channel's slices to deltas."""

from __future__ import annotations

import numpy as np
import pytest

from loadr.engine.channel import SecondSlice, Trend
from loadr.engine.recorder import Recorder
from loadr.engine.sparse import histogram_of, interval_of
from loadr.metrics.delta import CounterDelta, GaugeDelta, RateDelta, TrendDelta
from loadr.metrics.histogram import Histogram
from loadr.metrics.series import Kind, SeriesKey, series
from loadr.units import NS_PER_S

REQS = series("http_reqs", Kind.COUNTER)
FAILED = series("http_req_failed", Kind.RATE)
VUS = series("vus", Kind.GAUGE)
DURATION = series("http_req_duration", Kind.TREND)


def trend_of(samples_ns: list[int], number: int = 4) -> Trend:
    histogram = Histogram.of(np.array(samples_ns, dtype=np.int64))
    indices, counts = histogram.nonzero()
    return Trend(
        number,
        indices.astype("<i4").tobytes(),
        counts.astype("<i8").tobytes(),
        histogram.count,
        histogram.sum_ns,
        histogram.min_ns,
        histogram.max_ns,
        histogram.clipped,
    )


def test_a_slice_becomes_one_second_with_every_kind() -> None:
    samples = [1_000_000, 2_000_000, 2_000_500]
    slice_ = SecondSlice(7, [(1, 5)], [(2, 1, 4)], [(3, 6, 2, 9)], [trend_of(samples)])
    interval = interval_of(slice_, {1: REQS, 2: FAILED, 3: VUS, 4: DURATION})
    assert (interval.t0_s, interval.t1_s) == (7, 8)
    assert interval.values == {
        REQS: CounterDelta(5),
        FAILED: RateDelta(1, 4),
        VUS: GaugeDelta(6, 2, 9, 7),
        DURATION: TrendDelta(Histogram.of(np.array(samples, dtype=np.int64))),
    }


def test_a_histogram_can_be_merged_into_others_and_others_into_it() -> None:
    one, other = histogram_of(trend_of([1_000, 5_000])), histogram_of(trend_of([3_000_000]))
    one.merge(other)
    assert one == Histogram.of(np.array([1_000, 5_000, 3_000_000], dtype=np.int64))


def test_what_a_recorder_gives_can_be_read() -> None:
    recorder = Recorder(["browse"])
    scenario = recorder.scenario("browse")
    scenario.iteration_done(10, 15, NS_PER_S // 2)
    new, slices = recorder.take(0, NS_PER_S, whole=True)
    keys = {one.id: SeriesKey(one.metric, Kind(one.kind), tuple(one.tags)) for one in new}
    interval = interval_of(slices[0], keys)
    lag = interval.values[series("iteration_lag", Kind.TREND, scenario="browse")]
    assert isinstance(lag, TrendDelta)
    assert (lag.histogram.count, lag.histogram.sum_ns) == (1, 5)


def test_a_number_that_was_never_announced_is_an_error() -> None:
    with pytest.raises(KeyError):
        interval_of(SecondSlice(0, [(9, 1)], [], [], []), {})


def test_a_histogram_that_can_not_be_is_an_error() -> None:
    good = trend_of([1_000, 2_000])
    bad = Trend(4, good.indices, good.counts, good.count, 10**9, good.min_ns, good.max_ns, 0)
    with pytest.raises(ValueError, match="sum"):
        histogram_of(bad)
