"""Merged state of a run: everything that all agents delivered, exact to the unit.

Takes interval deltas by agent, in any order (that each comes once is the uplink's promise); gives totals by
series, by sub-metric, by tag and by agent, and the run's timeline. It never holds a percentile: ask the merged
histograms.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from loadr.errors import InternalFault
from loadr.metrics.cap import OTHER, SeriesCap
from loadr.metrics.delta import CounterDelta, Delta, GaugeDelta, IntervalDelta, TrendDelta, merge_delta
from loadr.metrics.series import BUILT_IN, MAX_SERIES_PER_RUN, Kind, SeriesKey, Tags
from loadr.metrics.timeline import Timeline


@dataclass(slots=True)
class _Agent:
    delivered_s: int = 0
    counters: dict[str, int] = field(default_factory=dict)  # by metric
    gauges: dict[SeriesKey, GaugeDelta] = field(default_factory=dict)


class RunMetrics:
    """``totals`` is read only for others. The total of a gauge is the sum over agents of their last values; its
    min and max are the sums of theirs, and so bounds: the fleet's own course over time is in ``timeline``."""

    def __init__(self, max_series: int = MAX_SERIES_PER_RUN, timeline: Timeline | None = None) -> None:
        self.totals: dict[SeriesKey, Delta] = {}
        self.timeline = Timeline() if timeline is None else timeline
        self._cap = SeriesCap(max_series)
        self._kinds: dict[str, Kind] = dict(BUILT_IN)
        self._series: dict[str, list[SeriesKey]] = {}  # by metric
        self._agents: dict[str, _Agent] = {}

    def add(self, agent_id: str, interval: IntervalDelta) -> None:
        """Merge an interval of an agent. What it holds is copied.

        Raises `InternalFault`, before anything is merged, if a delta is not of its series' kind or a series not
        of its metric's: what comes from a peer has to be checked against `kind_of` before.
        """
        interval = self._cap.fold(interval)
        for key, delta in interval.values.items():
            kind = self._kinds.setdefault(key.metric, key.kind)
            if not kind is key.kind is delta.kind:
                raise InternalFault(
                    f"{key}: a {delta.kind.name} delta in a {key.kind.name} series of a {kind.name} metric"
                )
        agent = self._agents.setdefault(agent_id, _Agent())
        agent.delivered_s = max(agent.delivered_s, interval.t1_s)
        self.timeline.add(interval)
        for key, delta in interval.values.items():
            total = self.totals.get(key)
            if total is None:
                self._series.setdefault(key.metric, []).append(key)
            if isinstance(delta, GaugeDelta):
                self._add_gauge(agent, key, delta, at_s=interval.t1_s - 1)
                continue
            if isinstance(delta, CounterDelta):
                agent.counters[key.metric] = agent.counters.get(key.metric, 0) + delta.total
            if total is None:
                self.totals[key] = delta.copy()
            else:
                merge_delta(total, delta, over_time=True)

    def select(self, metric: str, tags: Tags = ()) -> Delta | None:
        """All series of the sub-metric ``metric{tags}`` merged into one copy; None if there is none."""
        return _merged(self.totals[key] for key in self._series.get(metric, ()) if key.matches(metric, tags))

    def by_tag(self, metric: str, tag: str) -> dict[str, Delta]:
        """`select` for each value of a tag, in order of first appearance. Series without the tag are under ``""``
        (those that were folded into `other` too), so that the parts sum to the whole."""
        groups: dict[str, list[Delta]] = {}
        for key in self._series.get(metric, ()):
            groups.setdefault(dict(key.tags).get(tag, ""), []).append(self.totals[key])
        return {value: merged for value, deltas in groups.items() if (merged := _merged(deltas)) is not None}

    def agent_total(self, agent_id: str, metric: str) -> int:
        """The sum of a counter over what one agent delivered; 0 if it delivered none."""
        agent = self._agents.get(agent_id)
        return 0 if agent is None else agent.counters.get(metric, 0)

    def delivered(self, agent_id: str) -> int:
        """The end of the latest interval that an agent delivered, in seconds; 0 before the first."""
        agent = self._agents.get(agent_id)
        return 0 if agent is None else agent.delivered_s

    def watermark(self, agent_ids: Iterable[str]) -> int:
        """The second up to which all of these agents have delivered: windows that end here are complete."""
        return min((self.delivered(agent_id) for agent_id in agent_ids), default=0)

    def kind_of(self, metric: str) -> Kind | None:
        """The kind of a metric: built in, or as first seen; None if it is new."""
        return self._kinds.get(metric)

    @property
    def folded(self) -> int:
        """Deltas that went into `other` because there were too many series."""
        return self._cap.folded.total()

    def notes(self) -> list[str]:
        """What limits these numbers, in words for the summary; empty if nothing does."""
        notes = []
        if self.folded:
            notes.append(
                f"more than {self._cap.limit} series: further ones of {', '.join(sorted(self._cap.folded))} are "
                "merged into {other:true}; totals are exact, but their tags are lost; use fewer names and tags"
            )
        folded = {key.metric for key in self.totals if key.tags == OTHER} - self._cap.folded.keys()
        if folded:
            notes.append(
                f"an agent had more to tell than 256 KiB a second: series of {', '.join(sorted(folded))} are "
                "merged into {other:true}; totals are exact, but tags are lost; use fewer names and tags"
            )
        for metric in sorted(self._series):
            total = self.select(metric) if self._kinds[metric] is Kind.TREND else None
            if isinstance(total, TrendDelta) and total.histogram.clipped:
                notes.append(
                    f"{metric}: {total.histogram.clipped} samples were outside of 0 to 24 h and count as its edge"
                )
        return notes

    def _add_gauge(self, agent: _Agent, key: SeriesKey, delta: GaugeDelta, at_s: int) -> None:
        """Replace the agent's part in the fleet's sum: out with the old, in with the new."""
        new = GaugeDelta(delta.last, delta.min, delta.max, at_s)
        old = agent.gauges.get(key)
        fleet = self.totals.setdefault(key, GaugeDelta())
        assert isinstance(fleet, GaugeDelta)  # by the check of kinds
        if old is not None:
            fleet.add_source(GaugeDelta(-old.last, -old.min, -old.max, old.at_s))
            new.merge(old)
        agent.gauges[key] = new
        fleet.add_source(new)


def _merged(deltas: Iterable[Delta]) -> Delta | None:
    """A copy of the sum of different series of one metric; None of nothing."""
    out: Delta | None = None
    for delta in deltas:
        if out is None:
            out = delta.copy()
        else:
            merge_delta(out, delta, over_time=False)
    return out
