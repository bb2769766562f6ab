"""Deltas: what happened to a series within one interval of the run's timeline.

Takes samples already aggregated by a worker, gives values whose merge is associative and commutative, so that
totals do not depend on order, on how samples were split over workers and agents, nor on how late they came.
All sums are integers. Gauges merge by timeline: of two, the later interval's `last` stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from loadr.metrics.histogram import Histogram
from loadr.metrics.series import SeriesKey


@dataclass(slots=True)
class CounterDelta:
    """``total`` is what was added within the interval (≥ 0 for built-in metrics)."""

    total: int = 0

    def merge(self, other: CounterDelta) -> None:
        self.total += other.total


@dataclass(slots=True)
class RateDelta:
    """``passes`` counts samples that were true, ``fails`` those that were false (k6's words)."""

    passes: int = 0
    fails: int = 0

    def merge(self, other: RateDelta) -> None:
        self.passes += other.passes
        self.fails += other.fails


@dataclass(slots=True)
class GaugeDelta:
    """Value at the end of the interval, and the extremes within it."""

    last: int = 0
    min: int = 0
    max: int = 0
    at_s: int = 0  # start of the interval that `last` is from

    def merge(self, other: GaugeDelta) -> None:
        """Of the same source over time; summing over sources is `add_source`."""
        if other.at_s >= self.at_s:
            self.last, self.at_s = other.last, other.at_s
        self.min = min(self.min, other.min)
        self.max = max(self.max, other.max)

    def add_source(self, other: GaugeDelta) -> None:
        """Sum with another worker's or agent's gauge of the same interval."""
        self.last += other.last
        self.min += other.min
        self.max += other.max
        self.at_s = max(self.at_s, other.at_s)


@dataclass(slots=True)
class TrendDelta:
    """A histogram of nanoseconds with its exact count, sum, min and max."""

    histogram: Histogram

    def merge(self, other: TrendDelta) -> None:
        self.histogram.merge(other.histogram)


Delta = CounterDelta | RateDelta | GaugeDelta | TrendDelta


@dataclass(slots=True)
class IntervalDelta:
    """Everything of one source in [t0_s, t1_s) of the run's timeline (seconds since the start instant)."""

    t0_s: int
    t1_s: int
    values: dict[SeriesKey, Delta] = field(default_factory=dict)
