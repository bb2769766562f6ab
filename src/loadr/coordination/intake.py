"""The intake of one agent in one run: numbered messages in, each taken once, intervals out.

Trusts nobody: a batch that can not be is rejected whole, by `BadBatch`, and counts as consumed, so that it does
not come again. Memory is bounded by the number of series that an agent may name.
"""

from __future__ import annotations

from enum import Enum

from loadr.coordination.audit import Sums
from loadr.coordination.messages import Metrics
from loadr.coordination.wire import BadBatch, from_wire, open_trends, series_of
from loadr.metrics.delta import IntervalDelta
from loadr.metrics.series import MAX_SERIES_PER_RUN, Kind, SeriesKey

MAX_SERIES_PER_AGENT = 2 * MAX_SERIES_PER_RUN  # beyond the cap an agent folds, into a few more
MAX_AHEAD_S = 5  # how far an interval may reach beyond what has passed of the run


class Order(Enum):
    """How a number stands to what was taken before."""

    NEXT = "next"
    REPEATED = "repeated"
    GAP = "gap"


class Intake:
    """``acked_seq``: everything up to and including it was taken or rejected."""

    __slots__ = ("_kinds", "_series", "acked_seq", "last_merged_s", "sums")

    def __init__(self) -> None:
        self.acked_seq = 0
        self.last_merged_s: int | None = None
        self.sums = Sums()
        self._series: dict[int, SeriesKey] = {}
        self._kinds: dict[str, Kind] = {}

    def order(self, seq: int) -> Order:
        """Where a message belongs."""
        if seq <= self.acked_seq:
            return Order.REPEATED
        return Order.NEXT if seq == self.acked_seq + 1 else Order.GAP

    def consume(self, seq: int) -> None:
        """The next message was taken, or rejected."""
        self.acked_seq = seq

    def take(self, batch: Metrics, elapsed_s: float) -> tuple[IntervalDelta, ...]:
        """What a batch holds. Raises `BadBatch`; nothing is added then, but sound dictionary entries stay known,
        since later batches build on them."""
        for entry in batch.new_series:
            key = series_of(entry)
            if entry.id in self._series:
                raise BadBatch(f"series {entry.id} is named twice")
            if len(self._series) >= MAX_SERIES_PER_AGENT:
                raise BadBatch(f"more than {MAX_SERIES_PER_AGENT} series")
            if self._kinds.setdefault(key.metric, key.kind) is not key.kind:
                raise BadBatch(f"{key.metric} changes its kind")
            self._series[entry.id] = key
        intervals = []
        trends = open_trends(batch)
        for wire in batch.intervals:
            if not 0 <= wire.t0_s < wire.t1_s <= elapsed_s + MAX_AHEAD_S:
                raise BadBatch(f"an interval from {wire.t0_s} s to {wire.t1_s} s of a run of {elapsed_s:.0f} s")
            interval = IntervalDelta(wire.t0_s, wire.t1_s)
            for delta in wire.deltas:
                found = self._series.get(delta.series)
                if found is None:
                    raise BadBatch(f"series {delta.series} was never named")
                if found in interval.values:
                    raise BadBatch(f"{found} comes twice in one interval")
                interval.values[found] = from_wire(found, delta, wire.t1_s, trends)
            intervals.append(interval)
        for interval in intervals:
            self.sums.add(interval)
            self.last_merged_s = max(self.last_merged_s or 0, interval.t1_s)
        return tuple(intervals)
