"""A worker's second, as it comes up the channel → an `IntervalDelta` for the agent."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from loadr.engine.channel import SecondSlice, Trend
from loadr.metrics.delta import CounterDelta, Delta, GaugeDelta, IntervalDelta, RateDelta, TrendDelta
from loadr.metrics.histogram import Histogram
from loadr.metrics.series import SeriesKey


def interval_of(slice_: SecondSlice, series: Mapping[int, SeriesKey]) -> IntervalDelta:
    """The slice as [second, second + 1). ``series`` are the worker's numbers.

    Raises `KeyError` for a number that was never announced, `ValueError` for a histogram that can not be.
    """
    second = slice_.second
    values: dict[SeriesKey, Delta] = {}
    for number, total in slice_.counters:
        values[series[number]] = CounterDelta(total)
    for number, passes, fails in slice_.rates:
        values[series[number]] = RateDelta(passes, fails)
    for number, last, low, high in slice_.gauges:
        values[series[number]] = GaugeDelta(last, low, high, second)
    for trend in slice_.trends:
        values[series[trend.series]] = TrendDelta(histogram_of(trend))
    return IntervalDelta(second, second + 1, values)


def histogram_of(trend: Trend) -> Histogram:
    """A trend as a `Histogram`. Raises `ValueError` if its parts contradict each other."""
    return Histogram.from_sparse(
        np.frombuffer(trend.indices, dtype="<i4"),
        np.frombuffer(trend.counts, dtype="<i8"),
        trend.sum_ns,
        trend.min_ns,
        trend.max_ns,
        trend.clipped,
    )
