"""The live view: a run's record and its latest threshold results → what people watch.

Percentiles come from the merged histograms of the last ten seconds, never from other percentiles.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from loadr.metrics.delta import CounterDelta, Delta, GaugeDelta, RateDelta, TrendDelta
from loadr.metrics.merge import RunMetrics
from loadr.schedule.change import NEVER_RUN_NS
from loadr.schedule.course import course_of
from loadr.units import NS_PER_MS, NS_PER_S
from loadr.verdict.model import LiveAgent, LiveView, Percentiles, ThresholdResult
from loadr.verdict.record import AgentRecord, RunRecord
from loadr.verdict.target import Target

__all__ = ["LiveAgent", "LiveView", "Percentiles", "live_view"]

RATE_WINDOW_S = 3
PERCENTILE_WINDOW_S = 10
_BEHIND_S = 3  # an agent that is further behind does not hold up the view of the others


def live_view(record: RunRecord, thresholds: Sequence[ThresholdResult]) -> LiveView:
    """The view of this moment. Rates cover the last full seconds that every online agent has delivered."""
    metrics, target = record.metrics, Target(record.plan, record.changes)
    end_s = _settled_s(record)
    length_s = min(RATE_WINDOW_S, end_s)
    window = metrics.timeline.window

    def per_s(total: int) -> float:
        return total / length_s if length_s else 0.0

    planned_s = planned_s_of(record)
    requests = total_of(metrics.select("http_reqs"))
    failed = metrics.select("http_req_failed")
    failures, answered = (failed.passes, failed.fails) if isinstance(failed, RateDelta) else (0, 0)
    vus = metrics.select("vus")
    return LiveView(
        run_id=record.run_id,
        name=record.plan.name,
        state=record.state,
        cause=record.cause,
        elapsed_s=record.elapsed_s,
        planned_s=planned_s,
        left_s=max(planned_s - record.elapsed_s, 0.0),
        rate_per_s=per_s(total_of(window("http_reqs", (), RATE_WINDOW_S, end_s))),
        iterations_per_s=per_s(total_of(window("iterations", (), RATE_WINDOW_S, end_s))),
        open_iterations_per_s=per_s(target.finished(lambda m, tags: window(m, tags, RATE_WINDOW_S, end_s)))
        if target.exists
        else None,
        target_per_s=_target_per_s(target, end_s, length_s),
        percentiles=_percentiles(window("http_req_duration", (), PERCENTILE_WINDOW_S, end_s)),
        requests=requests,
        failed=failures,
        failed_fraction=failures / (failures + answered) if failures else 0.0,
        iterations=total_of(metrics.select("iterations")),
        vus=vus.last if isinstance(vus, GaugeDelta) else 0,
        dropped=total_of(metrics.select("dropped_iterations")),
        missed=total_of(metrics.select("missed_iterations")),
        agents=[_agent(metrics, agent) for agent in by_name(record.agents.values())],
        thresholds=list(thresholds),
    )


def planned_s_of(record: RunRecord) -> float:
    """The length that the run is to have, pauses included; one that lasts counts up to now."""
    courses = [course_of(name, s, record.changes) for name, s in record.plan.scenarios.items()]
    if all(course.end_run_ns < NEVER_RUN_NS for course in courses):
        return max(course.end_run_ns for course in courses) / NS_PER_S
    return record.plan.duration_ns / NS_PER_S + record.paused_s()


def total_of(delta: Delta | None) -> int:
    """The total of a counter; 0 of nothing."""
    return delta.total if isinstance(delta, CounterDelta) else 0


def _settled_s(record: RunRecord) -> int:
    """The second up to which the view is complete."""
    present = [agent.agent_id for agent in record.agents.values() if agent.state in ("online", "finished")]
    delivered_s = record.metrics.watermark(present)
    if present and delivered_s >= record.elapsed_s - _BEHIND_S:
        return min(delivered_s, int(record.elapsed_s))
    return max(int(record.elapsed_s) - 1, 0)


def _target_per_s(target: Target, end_s: int, length_s: int) -> float | None:
    """Of the same seconds as the rates; before the first full second, of that one."""
    return target.mean_per_s(end_s - length_s, end_s) if length_s else target.mean_per_s(0, 1)


def _percentiles(delta: Delta | None) -> Percentiles:
    if not isinstance(delta, TrendDelta) or not delta.histogram.count:
        return Percentiles()
    p50, p95, p99 = (ns / NS_PER_MS for ns in delta.histogram.quantiles_ns((0.5, 0.95, 0.99)))
    return Percentiles(p50=p50, p95=p95, p99=p99)


def _agent(metrics: RunMetrics, agent: AgentRecord) -> LiveAgent:
    return LiveAgent(
        name=agent.name,
        state=agent.state,
        share=agent.share,
        cpu_percent=agent.cpu_percent,
        lag_p99_ms=agent.lag_p99_ns / NS_PER_MS,
        requests=metrics.agent_total(agent.agent_id, "http_reqs"),
        vus=agent.vus,
        clock_bound_ms=in_ms(agent.clock_bound_ns),
        start_skew_ms=in_ms(agent.start_skew_ns),
    )


def by_name(agents: Iterable[AgentRecord]) -> list[AgentRecord]:
    """Sorted as people count: agent-2 before agent-10."""

    def key(agent: AgentRecord) -> list[str | int]:
        return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", agent.name)]

    return sorted(agents, key=key)


def in_ms(duration_ns: int | None) -> float | None:
    """Milliseconds; None stays None."""
    return None if duration_ns is None else duration_ns / NS_PER_MS
