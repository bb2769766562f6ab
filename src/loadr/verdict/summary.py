"""The summary of a finished run: its record and final threshold results → one immutable `Summary`.

Complete in itself: every report is rendered from it alone, so a saved one can be reported again. A run that never
started, or did nothing, has a summary too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise

from loadr.metrics.delta import CounterDelta, Delta, GaugeDelta, RateDelta, TrendDelta
from loadr.metrics.series import Tags
from loadr.metrics.timeline import TimelinePoint
from loadr.plan.model import ConstantVus
from loadr.plan.thresholds import parse_metric
from loadr.schedule.change import pauses_of
from loadr.units import NS_PER_MS, NS_PER_S
from loadr.verdict.judgement import EXIT_CODES, headline, judge, judge_generator, limits_of_trust
from loadr.verdict.live import by_name, in_ms, planned_s_of, total_of
from loadr.verdict.model import (
    Accounting,
    AgentLine,
    ChartPoint,
    MetricLine,
    ScenarioAccounting,
    Summary,
    ThresholdResult,
)
from loadr.verdict.record import AgentRecord, RunRecord, ScenarioAccount
from loadr.verdict.tables import check_lines, error_lines, metric_line, metric_lines, request_lines
from loadr.verdict.target import Target

__all__ = ["Summary", "summarise"]


def summarise(record: RunRecord, thresholds: Sequence[ThresholdResult]) -> Summary:
    """Everything that is known about a run, once it is over."""
    metrics, plan = record.metrics, record.plan
    points = metrics.timeline.points()
    duration_s = record.duration_s or record.elapsed_s
    load_s = duration_s - record.paused_s()  # rates are of the time in which load was to be
    requests = total_of(metrics.select("http_reqs"))
    failed = metrics.select("http_req_failed")
    errors = error_lines(metrics)
    accounting = _accounting(record, requests)
    verdict = judge(record, thresholds)
    asked = [(text, *parse_metric(text)) for text in plan.thresholds]
    return Summary(
        run_id=record.run_id,
        name=plan.name,
        verdict=verdict,
        exit_code=int(EXIT_CODES[verdict]),
        headline=headline(
            verdict, record, thresholds, requests, failed.passes if isinstance(failed, RateDelta) else 0, errors
        ),
        cause=record.cause,
        validity=judge_generator(
            record, _p99_ns(record, "http_req_duration"), _p99_ns(record, "iteration_lag"), errors
        ),
        plan_digest=plan.digest,
        seed=plan.seed,
        tags=dict(plan.tags),
        started_at=_iso(record.started_unix_ms),
        duration_s=duration_s,
        paused_s=record.paused_s(),
        planned_s=planned_s_of(record),
        accounting=accounting,
        thresholds=list(thresholds),
        checks=check_lines(metrics),
        metrics=_metrics(record, asked, points, load_s),
        requests=request_lines(metrics, load_s),
        errors=errors,
        agents=[_agent(agent) for agent in by_name(record.agents.values())],
        series=len(metrics.totals),
        timeline=list(_timeline(record, points)),
        notes=limits_of_trust(record, requests, accounting.requests_ledger) + metrics.notes(),
        events=list(record.events),
    )


def _p99_ns(record: RunRecord, metric: str) -> int:
    delta = record.metrics.select(metric)
    return delta.histogram.quantile_ns(0.99) if isinstance(delta, TrendDelta) else 0


def _iso(unix_ms: int) -> str:
    if not unix_ms:
        return ""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- accounting and agents -------------------------------------------------------------------------------


def _accounting(record: RunRecord, requests: int) -> Accounting:
    ledgers = [agent.ledger_requests for agent in record.agents.values()]
    known = [count for count in ledgers if count is not None]
    return Accounting(
        balanced=all(account.balanced for account in record.accounts.values()),
        requests_merged=requests,
        requests_ledger=sum(known) if ledgers and len(known) == len(ledgers) else None,
        scenarios=[_account(record, account) for account in record.accounts.values()],
        setup_requests=record.setup_requests,
        teardown_requests=record.teardown_requests,
    )


def _account(record: RunRecord, account: ScenarioAccount) -> ScenarioAccounting:
    closed = isinstance(record.plan.scenarios.get(account.scenario), ConstantVus)
    return ScenarioAccounting(
        scenario=account.scenario,
        model="closed" if closed else "open",
        planned=account.planned,
        started=account.started,
        finished=account.finished,
        interrupted=account.interrupted,
        dropped=account.dropped,
        missed=account.missed,
        lost=account.lost,
        requests=account.requests,
        expected=account.expected,
        balanced=account.balanced,
    )


def _metrics(
    record: RunRecord, asked: Sequence[tuple[str, str, Tags]], points: Sequence[TimelinePoint], load_s: float
) -> list[MetricLine]:
    """All metrics. Lost iterations, and those that nobody owned, are known from the books alone: nobody was there
    to count them as samples."""
    lines = metric_lines(record.metrics, asked, points, load_s)
    accounts = record.accounts.values()
    for name, total in (
        ("lost_iterations", sum(account.lost for account in accounts)),
        ("missed_iterations", sum(account.missed for account in accounts)),
    ):
        sampled = total_of(record.metrics.select(name))
        if total > sampled:
            lines = [line for line in lines if line.name != name]
            lines.append(metric_line(name, None, CounterDelta(total), load_s))
    return lines


def _agent(agent: AgentRecord) -> AgentLine:
    return AgentLine(
        agent_id=agent.agent_id,
        name=agent.name,
        state=agent.state,
        share=agent.share,
        workers=agent.workers,
        requests=agent.requests,
        requests_ledger=agent.ledger_requests,
        start_skew_ms=in_ms(agent.start_skew_ns),
        clock_bound_ms=in_ms(agent.clock_bound_ns),
        wall_error_ms=agent.wall_error_ms,
        cpu=agent.cpu_max_percent,
        lag_p99_ms=agent.lag_p99_ns / NS_PER_MS,
        loop_lag_ms=agent.loop_lag_ns / NS_PER_MS,
        joined_at_s=agent.joined_at_s,
        lost_at_s=agent.lost_at_s,
        covered_at_s=agent.covered_at_s,
        last_acked_s=agent.last_acked_s,
        missing_at_most=agent.missing_at_most,
    )


# --- timeline --------------------------------------------------------------------------------------------


def _timeline(record: RunRecord, points: Sequence[TimelinePoint]) -> Iterator[ChartPoint]:
    """The points without holes: a stretch in which nobody delivered anything is a point of zeros."""
    target = Target(record.plan, record.changes)
    pauses = pauses_of(record.changes)
    end_s = int(record.duration_s or record.elapsed_s)
    edges = [(0, 0), *((point.t0_s, point.t1_s) for point in points), (end_s, end_s)]
    holes = [(before[1], after[0]) for before, after in pairwise(edges) if before[1] < after[0]]
    empty = [TimelinePoint(t0_s, t1_s, {}) for t0_s, t1_s in holes]
    for point in sorted((*points, *empty), key=lambda point: point.t0_s):
        paused = any(
            pause.from_run_ns < point.t1_s * NS_PER_S and point.t0_s * NS_PER_S < pause.to_run_ns
            for pause in pauses
        )
        yield _chart_point(point, target, paused)


def _chart_point(point: TimelinePoint, target: Target, paused: bool) -> ChartPoint:
    length_s = point.t1_s - point.t0_s
    failed, vus, durations = point.get("http_req_failed"), point.get("vus"), point.get("http_req_duration")
    p50, p90, p99, largest = _bands(durations)
    return ChartPoint(
        t0_s=point.t0_s,
        t1_s=point.t1_s,
        rate_per_s=total_of(point.get("http_reqs")) / length_s,
        iterations_per_s=total_of(point.get("iterations")) / length_s,
        open_iterations_per_s=target.finished(point.get) / length_s if target.exists else None,
        target_per_s=target.mean_per_s(point.t0_s, point.t1_s),
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        max_ms=largest,
        failed_per_s=failed.passes / length_s if isinstance(failed, RateDelta) else 0.0,
        vus=vus.last if isinstance(vus, GaugeDelta) else 0,
        dropped=total_of(point.get("dropped_iterations")),
        paused=paused,
    )


def _bands(delta: Delta | None) -> tuple[float | None, float | None, float | None, float | None]:
    if not isinstance(delta, TrendDelta) or not delta.histogram.count:
        return None, None, None, None
    p50, p90, p99 = (ns / NS_PER_MS for ns in delta.histogram.quantiles_ns((0.5, 0.9, 0.99)))
    return p50, p90, p99, delta.histogram.max_ns / NS_PER_MS
