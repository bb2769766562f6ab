"""Timeline: a few sub-metrics over the run's time, in bounded memory, for live views, windows and charts.

Takes every agent's interval deltas, in any order and however late; gives the merged deltas of the last seconds
(`Timeline.window`, exact) and of the whole run in at most ``max_points`` points (`Timeline.points`).
Quantiles come from the merged histograms of a point, never from other quantiles.

The last ``keep_fine_s`` seconds are kept second by second. Older ones move into coarse cells of ``step_s``
seconds; when there are too many of these, the step doubles and neighbours merge: 1 s, 2 s, 4 s, … Cells that
nobody has added to for a while keep only the buckets in use.

Where a delta of more than a second goes (an agent coalesced what it could not send): counts go into its first
second and a gauge into its last, so that totals are exact and a gauge's value is where it was true. `points` then
merges all cells that such a delta reaches over into one wide point: its rate is right, its resolution is less.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from loadr.errors import InternalFault
from loadr.metrics.delta import Delta, GaugeDelta, IntervalDelta, TrendDelta, merge_delta
from loadr.metrics.series import SeriesKey, Tags

SubMetric = tuple[str, Tags]

TRACKED: tuple[str, ...] = (
    "http_reqs",
    "http_req_failed",
    "http_req_errors",
    "http_req_duration",
    "http_req_response_time",
    "iterations",
    "iteration_lag",
    "dropped_iterations",
    "missed_iterations",
    "checks",
    "vus",
    "data_sent",
    "data_received",
)

# How far the seconds that all agents have delivered may stay behind the newest before a window is no longer
# exact: longer than an agent at the default lease (10 s) can be silent before it is lost.
MAX_LATE_S = 60

_OPEN_CELLS = 8  # more than the seconds that agents of a healthy fleet add to at the same time


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """What happened in [t0_s, t1_s) of the run, over all agents."""

    t0_s: int
    t1_s: int
    values: Mapping[SubMetric, Delta]

    def get(self, metric: str, tags: Tags = ()) -> Delta | None:
        """The delta of a tracked sub-metric; None if it had no samples."""
        return self.values.get((metric, tags))


@dataclass(slots=True, eq=False)
class _Cell:
    reach_s: int  # end of the longest delta of counts in it
    values: dict[SubMetric, Delta] = field(default_factory=dict)

    def add(self, sub_metric: SubMetric, delta: Delta, *, over_time: bool) -> None:
        mine = self.values.get(sub_metric)
        if mine is None:
            self.values[sub_metric] = delta.copy()
        else:
            merge_delta(mine, delta, over_time=over_time)

    def take(self, other: _Cell) -> None:
        """Another cell of the same run's time."""
        self.reach_s = max(self.reach_s, other.reach_s)
        for sub_metric, delta in other.values.items():
            self.add(sub_metric, delta, over_time=True)

    def compact(self) -> None:
        for delta in self.values.values():
            if isinstance(delta, TrendDelta):
                delta.histogram.compact()


class Timeline:
    """``step_s`` is the width of a coarse cell, ``end_s`` the end of the newest interval. Intervals are trusted:
    who takes them from a peer has checked that they lie within the run."""

    def __init__(self, max_points: int = 600, keep_fine_s: int = 120) -> None:
        self.max_points = max_points
        self.keep_fine_s = keep_fine_s
        self.step_s = 1
        self._tracked: set[SubMetric] = {(metric, ()) for metric in TRACKED}
        self._routes: dict[SeriesKey, tuple[SubMetric, ...]] = {}
        self._fine: dict[int, _Cell] = {}  # by second
        self._coarse: dict[int, _Cell] = {}  # by second // step_s
        self.end_s = 0  # of the newest interval
        self._open: deque[_Cell] = deque()  # added to of late; their histograms are not compact

    def track(self, metric: str, tags: Tags = (), window_s: int = 0) -> None:
        """Keep ``metric{tags}`` from here on, for windows of up to ``window_s``. Call before the run starts."""
        self._tracked.add((metric, tags))
        self._routes.clear()
        self.keep_fine_s = max(self.keep_fine_s, window_s + MAX_LATE_S)

    def add(self, interval: IntervalDelta) -> None:
        """Merge an interval of one agent."""
        self._advance(interval.t1_s)
        cells_before = len(self._fine) + len(self._coarse)
        for key, delta in interval.values.items():
            sub_metrics = self._route(key)
            if not sub_metrics:
                continue
            if isinstance(delta, GaugeDelta):
                second = reach_s = interval.t1_s - 1
                delta = GaugeDelta(delta.last, delta.min, delta.max, at_s=second)
            else:
                second, reach_s = interval.t0_s, interval.t1_s
            is_fine = second >= self.end_s - self.keep_fine_s
            cell = (
                self._touch(self._fine, second) if is_fine else self._touch(self._coarse, second // self.step_s)
            )
            cell.reach_s = max(cell.reach_s, reach_s)
            for sub_metric in sub_metrics:
                cell.add(sub_metric, delta, over_time=not is_fine)
        if len(self._fine) + len(self._coarse) > cells_before:
            self._coarsen()

    def window(self, metric: str, tags: Tags, seconds: int, up_to_s: int) -> Delta | None:
        """All of a tracked sub-metric in [up_to_s - seconds, up_to_s), exact to the second.

        None if it had no samples there, or if the window begins before the seconds that are kept one by one.
        Raises `InternalFault` if it is not tracked, or the window longer than was said to `track`.
        """
        if (metric, tags) not in self._tracked or seconds > self.keep_fine_s:
            raise InternalFault(f"{metric}{dict(tags) or ''} is not tracked for windows of {seconds} s")
        from_s = max(up_to_s - seconds, 0)
        if from_s < self.end_s - self.keep_fine_s:
            return None
        merged = _Cell(0)
        for second in range(from_s, up_to_s):
            cell = self._fine.get(second)
            if cell is not None and (delta := cell.values.get((metric, tags))) is not None:
                merged.add((metric, tags), delta, over_time=True)
        return merged.values.get((metric, tags))

    def points(self) -> list[TimelinePoint]:
        """The whole run so far in ascending, disjoint points; times in which nothing happened have none.

        A point is ``step_s`` wide, but the last one ends with the newest interval, and where coalesced deltas
        reach further it is as wide as they are. The deltas are copies.
        """
        cells = [(index * self.step_s, cell) for index, cell in self._coarse.items()]
        cells += [(second // self.step_s * self.step_s, cell) for second, cell in self._fine.items()]
        out: list[tuple[int, _Cell]] = []
        for t0_s, cell in sorted(cells, key=lambda item: item[0]):
            if not out or t0_s >= out[-1][1].reach_s:
                out.append((t0_s, _Cell(0)))
            point = out[-1][1]
            point.take(cell)
            point.reach_s = max(point.reach_s, min(t0_s + self.step_s, self.end_s))
        return [TimelinePoint(t0_s, cell.reach_s, cell.values) for t0_s, cell in out]

    def _route(self, key: SeriesKey) -> tuple[SubMetric, ...]:
        """The tracked sub-metrics that a series belongs to."""
        route = self._routes.get(key)
        if route is None:
            route = tuple(sub_metric for sub_metric in self._tracked if key.matches(*sub_metric))
            self._routes[key] = route
        return route

    def _advance(self, end_s: int) -> None:
        """Time has come to ``end_s``: move the seconds that are no longer kept one by one into coarse cells."""
        if end_s <= self.end_s:
            return
        self.end_s = end_s
        for second in [second for second in self._fine if second < end_s - self.keep_fine_s]:
            self._touch(self._coarse, second // self.step_s).take(self._fine.pop(second))

    def _coarsen(self) -> None:
        """Double the step until the points are few enough again."""
        while len({second // self.step_s for second in self._fine} | self._coarse.keys()) > self.max_points:
            self.step_s *= 2
            finer, self._coarse = self._coarse, {}
            for index, cell in finer.items():
                self._touch(self._coarse, index // 2).take(cell)

    def _touch(self, cells: dict[int, _Cell], index: int) -> _Cell:
        """A cell to add to, new if need be; the one that was opened longest ago becomes compact instead."""
        cell = cells.setdefault(index, _Cell(0))
        if cell not in self._open:
            self._open.append(cell)
            if len(self._open) > _OPEN_CELLS:
                self._open.popleft().compact()
        return cell
