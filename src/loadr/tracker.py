"""The tracker of one run: fills its `RunRecord` from what the core decided and what was merged.

Takes merged intervals and the core's view of the run; gives the live view, the word that a threshold wants the
run to end, and, once the run is over, its immutable summary.
"""

from __future__ import annotations

import asyncio

from loadr.coordination.controller_io import Merge, RunState
from loadr.coordination.views import AgentState, AgentView, ParticipantState, RunView
from loadr.plan.model import ConstantVus, Plan
from loadr.plan.usage import rows_limit
from loadr.schedule.account import expected_count
from loadr.units import NS_PER_S
from loadr.verdict.live import live_view
from loadr.verdict.model import LiveView, Summary, ThresholdResult
from loadr.verdict.record import AgentRecord, RunRecord, ScenarioAccount
from loadr.verdict.summary import summarise
from loadr.verdict.thresholds import ThresholdWatch

EVALUATE_EVERY_S = 1.0


class RunTracker:
    """One run as the shell follows it. ``judge`` false leaves the thresholds out (`--no-thresholds`)."""

    def __init__(self, run_id: str, plan: Plan) -> None:
        self.record = RunRecord(run_id=run_id, plan=plan)
        self.summary: Summary | None = None
        self.over = asyncio.Event()
        self._watch = ThresholdWatch(plan)
        self._watch.register(self.record.metrics)
        self._results: list[ThresholdResult] = []
        self._evaluated_at_s = 0.0
        self._late_batches = 0

    def merge(self, effect: Merge) -> None:
        """Add one batch. What comes after the end is counted and changes nothing."""
        if effect.late or self.summary is not None:
            self._late_batches += 1
            return
        for interval in effect.intervals:
            self.record.metrics.add(effect.agent_id, interval)

    def update(self, run: RunView, agents: dict[str, AgentView], now_ns: int) -> str:
        """Take over what the core knows now. Returns the threshold that wants the run to end, or ""."""
        record = self.record
        record.state = "preparing" if run.state is RunState.DRAFT else run.state.value  # type: ignore[assignment]
        record.cause = run.cause
        record.stopped_by = run.stopped_by.value
        record.started_unix_ms = run.start_unix_ms
        if run.start_controller_ns is not None:
            end_ns = now_ns
            if run.state.is_final and run.load_end_ns is not None:
                end_ns = min(now_ns, run.load_end_ns)
            record.elapsed_s = max(0.0, (end_ns - run.start_controller_ns) / NS_PER_S)
        for agent_id, part in run.agents.items():
            row = record.agents.get(agent_id)
            if row is None:
                row = record.agents[agent_id] = AgentRecord(agent_id=agent_id, name=part.name)
            row.share = part.share
            row.workers = part.weight
            row.requests = record.metrics.agent_total(agent_id, "http_reqs")
            row.start_skew_ns = part.start_error_ns
            row.start_mono_ns = part.start_mono_ns
            row.clock_bound_ns = part.clock_bound_ns
            row.cpu_max_percent = part.cpu_max_percent
            row.lag_p99_ns = part.lag_p99_max_ns
            row.lost_at_s = part.lost_at_s
            row.last_acked_s = part.last_merged_s
            row.missing_at_most = part.missing_at_most
            if part.ledgers:
                row.ledger_requests = sum(ledger.requests for ledger in part.ledgers)
            view = agents.get(agent_id)
            row.state = _state_of(part.state, view)
            if view is not None and view.incarnation == part.incarnation:
                row.wall_error_ms = view.wall_error_ms
                row.cpu_percent = view.cpu_percent
                row.loop_lag_ns = view.loop_lag_ns
                row.rss_bytes = view.used_memory_bytes
                row.vus = view.vus
        return self._evaluate(run)

    def _evaluate(self, run: RunView) -> str:
        record = self.record
        if run.state is not RunState.RUNNING or record.elapsed_s - self._evaluated_at_s < EVALUATE_EVERY_S:
            return ""
        self._evaluated_at_s = record.elapsed_s
        self._results = self._watch.evaluate(record.metrics, record.elapsed_s, final=False)
        failing = self._watch.aborting(self._results, record.elapsed_s)
        if failing:
            record.aborting_threshold = failing
        return failing

    def view(self) -> LiveView:
        """What people watch, as of the last `update`."""
        return live_view(self.record, self._results)

    async def finish(self, run: RunView) -> Summary:
        """Make the summary, once. Counting what the schedule planned may take a moment and is done aside."""
        if self.summary is not None:
            return self.summary
        record = self.record
        record.duration_s = record.elapsed_s
        record.notes = list(run.notes)
        expected: dict[str, int] = {}
        if run.state is RunState.COMPLETE and not run.stopped_by:
            expected = await asyncio.to_thread(_expected, record.plan)
        for name in record.plan.scenarios:
            record.accounts[name] = _account(name, run, expected.get(name))
        self._results = self._watch.evaluate(record.metrics, record.elapsed_s, final=True)
        self.summary = summarise(record, self._results)
        self.over.set()
        return self.summary


def _state_of(state: ParticipantState, view: AgentView | None) -> str:
    if state in (ParticipantState.LOST, ParticipantState.FINISHED):
        return state.value
    if view is not None and view.state is AgentState.SUSPECT:
        return "suspect"
    return "online"


def _expected(plan: Plan) -> dict[str, int]:
    """Planned iterations of the open scenarios, from the schedule alone."""
    out = {}
    for name, scenario in plan.scenarios.items():
        if not isinstance(scenario, ConstantVus):
            count = expected_count(plan, name, rows_limit(plan, name))
            if count is not None:
                out[name] = count
    return out


def _account(name: str, run: RunView, expected: int | None) -> ScenarioAccount:
    account = ScenarioAccount(scenario=name, expected=expected)
    for part in run.agents.values():
        for ledger in part.ledgers:
            if ledger.scenario == name:
                account.planned += ledger.planned
                account.started += ledger.started
                account.finished += ledger.finished
                account.interrupted += ledger.interrupted
                account.dropped += ledger.dropped
                account.missed += ledger.missed
                account.requests += ledger.requests
    return account
