"""Deltas: what happened to a series within one interval of the run's timeline.

Takes samples already aggregated by a worker, gives values whose merge is associative and commutative, so that
totals do not depend on order, on how samples were split over workers and agents, nor on how late they came.
All sums are integers. There are two ways to come together, and only gauges tell them apart: intervals of one
source over time (`merge_interval`: the later value stays), and sources of one interval (`add_source`: they sum).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

from loadr.errors import InternalFault
from loadr.metrics.histogram import Histogram
from loadr.metrics.series import Kind, SeriesKey


@dataclass(slots=True)
class CounterDelta:
    """``total`` is what was added within the interval (≥ 0 for built-in metrics)."""

    total: int = 0
    kind: ClassVar[Kind] = Kind.COUNTER

    def merge(self, other: CounterDelta) -> None:
        self.total += other.total

    def copy(self) -> CounterDelta:
        return replace(self)


@dataclass(slots=True)
class RateDelta:
    """``passes`` counts samples that were true, ``fails`` those that were false (k6's words)."""

    passes: int = 0
    fails: int = 0
    kind: ClassVar[Kind] = Kind.RATE

    def merge(self, other: RateDelta) -> None:
        self.passes += other.passes
        self.fails += other.fails

    def copy(self) -> RateDelta:
        return replace(self)


@dataclass(slots=True)
class GaugeDelta:
    """Value at the end of the interval, and the extremes within it."""

    last: int = 0
    min: int = 0
    max: int = 0
    at_s: int = 0  # second that `last` is from, on the run's timeline
    kind: ClassVar[Kind] = Kind.GAUGE

    def merge(self, other: GaugeDelta) -> None:
        """Of the same source over time: the later `last` stays, whatever the order.

        Two of the same second are parts of one value (a worker that reported late): they sum. The extremes are
        bounds then, and the only field where the order of three may tell.
        """
        if other.at_s == self.at_s:
            self.add_source(other)
            return
        if other.at_s > self.at_s:
            self.last, self.at_s = other.last, other.at_s
        self.min = min(self.min, other.min)
        self.max = max(self.max, other.max)

    def add_source(self, other: GaugeDelta) -> None:
        """Sum with another worker's or agent's gauge of the same interval.

        The sums of `min` and `max` are bounds: the sources need not have reached them at the same moment.
        """
        self.last += other.last
        self.min += other.min
        self.max += other.max
        self.at_s = max(self.at_s, other.at_s)

    def copy(self) -> GaugeDelta:
        return replace(self)


@dataclass(slots=True)
class TrendDelta:
    """A histogram of nanoseconds with its exact count, sum, min and max."""

    histogram: Histogram
    kind: ClassVar[Kind] = Kind.TREND

    def merge(self, other: TrendDelta) -> None:
        self.histogram.merge(other.histogram)

    def copy(self) -> TrendDelta:
        return TrendDelta(self.histogram.copy())


Delta = CounterDelta | RateDelta | GaugeDelta | TrendDelta


@dataclass(slots=True)
class IntervalDelta:
    """Everything of one source in [t0_s, t1_s) of the run's timeline (seconds since the start instant)."""

    t0_s: int
    t1_s: int
    values: dict[SeriesKey, Delta] = field(default_factory=dict)


def merge_delta(into: Delta, other: Delta, *, over_time: bool) -> None:
    """Add ``other`` to ``into``: of the same source ``over_time``, or else of another source.

    Raises `InternalFault` if they are not of one kind.
    """
    if into.kind is not other.kind:
        raise InternalFault(f"a {other.kind.name.lower()} can not be merged into a {into.kind.name.lower()}")
    if isinstance(into, GaugeDelta) and not over_time:
        into.add_source(other)  # type: ignore[arg-type]  # of one kind, so of one class
    else:
        into.merge(other)  # type: ignore[arg-type]


def merge_interval(into: IntervalDelta, other: IntervalDelta) -> None:
    """Coalesce two intervals of the same source: `into` then reaches over both, and over what lies between."""
    _merge_values(into, other, over_time=True)
    into.t0_s = min(into.t0_s, other.t0_s)
    into.t1_s = max(into.t1_s, other.t1_s)


def add_source(into: IntervalDelta, other: IntervalDelta) -> None:
    """Add another worker or agent of the same interval. Raises `InternalFault` if it is not the same interval."""
    if (into.t0_s, into.t1_s) != (other.t0_s, other.t1_s):
        raise InternalFault(
            f"sources are summed within one interval, not [{other.t0_s}, {other.t1_s}) s into "
            f"[{into.t0_s}, {into.t1_s}) s"
        )
    _merge_values(into, other, over_time=False)


def _merge_values(into: IntervalDelta, other: IntervalDelta, *, over_time: bool) -> None:
    for key, delta in other.values.items():
        mine = into.values.get(key)
        if mine is None:
            into.values[key] = delta.copy()
        else:
            merge_delta(mine, delta, over_time=over_time)
