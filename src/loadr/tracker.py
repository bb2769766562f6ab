"""The tracker of one run: fills its `RunRecord` from what the core decided and what was merged.

Takes merged intervals and the core's view of the run; gives the live view, the word that a threshold wants the
run to end, and, once the run is over, its immutable summary.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from loadr.coordination.controller_io import Merge, RunState
from loadr.coordination.views import AgentState, AgentView, ParticipantState, RunView
from loadr.metrics.merge import RunMetrics
from loadr.plan.model import ConstantVus, Plan
from loadr.plan.usage import rows_limit
from loadr.schedule.account import expected_count
from loadr.schedule.change import Change, pauses_of
from loadr.units import NS_PER_S
from loadr.verdict.live import live_view
from loadr.verdict.model import LiveView, Summary, ThresholdResult
from loadr.verdict.record import AgentRecord, RunRecord, ScenarioAccount
from loadr.verdict.summary import summarise
from loadr.verdict.thresholds import ThresholdWatch

EVALUATE_EVERY_S = 1.0


class RunTracker:
    """One run as the shell follows it."""

    def __init__(self, run_id: str, plan: Plan) -> None:
        self.record = RunRecord(run_id=run_id, plan=plan)
        self.summary: Summary | None = None
        self.over = asyncio.Event()
        self._watch = ThresholdWatch(plan)
        self._watch.register(self.record.metrics)
        self._results: list[ThresholdResult] = []
        self._evaluated_at_s = 0.0
        self._late_batches = 0
        self._last_view: LiveView | None = None  # once what it was drawn from is gone

    def merge(self, effect: Merge) -> None:
        """Add one batch. What comes after the end is counted and changes nothing."""
        if effect.late or self.summary is not None:
            self._late_batches += 1
            return
        for interval in effect.intervals:
            self.record.metrics.add(effect.part, interval)

    def update(self, run: RunView, agents: dict[str, AgentView], now_ns: int) -> str:
        """Take over what the core knows now. Returns the threshold that wants the run to end, or ""."""
        record = self.record
        record.state = "preparing" if run.state is RunState.DRAFT else run.state.value  # type: ignore[assignment]
        record.cause = run.cause
        record.stopped_by = run.stopped_by.value
        record.changes = run.changes
        record.absorbed = run.absorbed
        record.setup_requests, record.teardown_requests = run.setup_requests, run.teardown_requests
        record.teardown_fault = run.teardown_fault
        record.started_unix_ms = run.start_unix_ms
        if run.start_controller_ns is not None:
            end_ns = now_ns
            if run.state.is_final and run.load_end_ns is not None:
                end_ns = min(now_ns, run.load_end_ns)
            record.elapsed_s = max(0.0, (end_ns - run.start_controller_ns) / NS_PER_S)
        if run.state is RunState.RUNNING and _is_paused(run, now_ns):
            record.state = "paused"
        for key in record.agents.keys() - run.agents.keys():
            del record.agents[key]  # it could not join
        for key, part in run.agents.items():
            row = record.agents.get(key)
            if row is None:
                row = record.agents[key] = AgentRecord(agent_id=key, name=part.name)
            row.share = part.share
            row.workers = part.weight
            row.requests = record.metrics.agent_total(key, "http_reqs")
            row.start_skew_ns = part.start_error_ns
            row.start_mono_ns = part.start_mono_ns
            row.clock_bound_ns = part.clock_bound_ns
            row.cpu_max_percent = part.cpu_max_percent
            row.lag_p99_ns = part.lag_p99_max_ns
            row.joined_at_s = part.joined_at_s
            row.lost_at_s = part.lost_at_s
            row.lost_because = part.lost_because
            row.covered_at_s = part.covered_at_s
            row.last_acked_s = part.last_merged_s
            row.missing_at_most = part.missing_at_most
            if part.ledgers:
                row.ledger_requests = sum(ledger.requests for ledger in part.ledgers)
            view = agents.get(part.agent_id)
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
        return self._last_view or live_view(self.record, self._results)

    @property
    def has_metrics(self) -> bool:
        """What was merged is still here."""
        return self._last_view is None

    def let_go(self) -> None:
        """Of a run that is over: what was merged goes, often tens of MB; its summary and its last view stay."""
        if self.summary is not None and self._last_view is None:
            self._last_view = self.view()
            self.record.metrics = RunMetrics()

    async def finish(self, run: RunView) -> Summary:
        """Make the summary, once. Counting what the schedule planned may take a moment and is done aside."""
        if self.summary is not None:
            return self.summary
        record = self.record
        record.duration_s = record.elapsed_s
        told = tuple(f"agent {part.name} was lost" for part in run.agents.values() if part.lost_at_s is not None)
        record.notes = [note for note in run.notes if not (told and note.startswith(told))]
        record.events = list(run.events)
        expected: dict[str, int] = {}
        if not run.stopped_by and (run.state is RunState.COMPLETE or run.absorbed):
            expected = await asyncio.to_thread(_expected, record.plan, run.changes)
        for name in record.plan.scenarios:
            record.accounts[name] = _account(name, run, expected.get(name))
        self._results = self._watch.evaluate(record.metrics, record.elapsed_s, final=True)
        self.summary = summarise(record, self._results)
        self.over.set()
        return self.summary


def _state_of(state: ParticipantState, view: AgentView | None) -> str:
    if state in (ParticipantState.LOST, ParticipantState.RETURNING, ParticipantState.FINISHED):
        return state.value
    if state in (ParticipantState.ASSIGNED, ParticipantState.PREPARED, ParticipantState.ARMED):
        return "joining"
    if view is not None and view.state is AgentState.SUSPECT:
        return "suspect"
    return "online"


def _is_paused(run: RunView, now_ns: int) -> bool:
    run_ns = now_ns - (run.start_controller_ns or now_ns)
    return any(pause.from_run_ns <= run_ns < pause.to_run_ns for pause in pauses_of(run.changes))


def _expected(plan: Plan, changes: Sequence[Change]) -> dict[str, int]:
    """Planned iterations of the open scenarios, from the schedule alone."""
    out = {}
    for name, scenario in plan.scenarios.items():
        if not isinstance(scenario, ConstantVus):
            count = expected_count(plan, name, rows_limit(plan, name), changes)
            if count is not None:
                out[name] = count
    return out


def _was_unowned_for_a_while(run: RunView) -> bool:
    """Load was lost or moved in this run."""
    moved = any(
        part.lost_at_s is not None or part.joined_at_s is not None or part.finish_cause or part.missing_at_most
        for part in run.agents.values()
    )
    return moved or any("lost a worker" in note for note in run.notes)


def _account(name: str, run: RunView, expected: int | None) -> ScenarioAccount:
    """The books of the fleet. After a loss, what the schedule promised and no part ever planned was nobody's: its
    owner was gone, and the next one did not own it yet. It is missed. Any other difference stays, and is told."""
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
                account.lost += ledger.lost
                account.requests += ledger.requests
    if expected is not None and account.planned < expected and _was_unowned_for_a_while(run):
        account.missed += expected - account.planned
        account.planned = expected
    return account
