"""A tracker, fed with what a core would say."""

from __future__ import annotations

import asyncio

import pytest

from loadr.coordination.controller_io import Merge, RunState
from loadr.coordination.messages import Ledger
from loadr.coordination.views import AgentState, AgentView, ParticipantState, ParticipantView, RunView
from loadr.metrics.delta import CounterDelta, IntervalDelta
from loadr.metrics.series import Kind, series
from loadr.plan.model import Plan
from loadr.tracker import RunTracker
from loadr.units import NS_PER_S

START_NS = 1000 * NS_PER_S
REQUESTS = series("http_reqs", Kind.COUNTER, scenario="browse")
FLOW = [{"request": {"method": "GET", "url": "/"}}]
OPEN = {"executor": "constant-arrival-rate", "rate": 10, "duration": "4s", "max_vus": 5, "flow": FLOW}


def plan(*rules: dict[str, object], scenario: dict[str, object] | None = None) -> Plan:
    thresholds = {"http_reqs": list(rules)} if rules else {}
    return Plan.model_validate({"scenarios": {"browse": scenario or OPEN}, "thresholds": thresholds})


class Told:
    """A tracker, the core's view of its run, and two agents in it."""

    def __init__(self, plan: Plan) -> None:
        self.tracker = RunTracker("r-1", plan)
        self.run = RunView("r-1", plan, RunState.RUNNING, start_controller_ns=START_NS, start_unix_ms=1)
        self.agents: dict[str, AgentView] = {}
        for name in ("a1", "a2"):
            running = ParticipantState.RUNNING
            self.run.agents[name] = ParticipantView(name, name, name, "i", 1, 1, running, share=0.5)
            self.agents[name] = AgentView(
                name, name, "i", "peer", True, AgentState.ONLINE, "1", 1, 1, 1, {}, 0, 0, vus=3
            )

    def merge(self, agent: str, second: int, requests: int, *, late: bool = False) -> None:
        interval = IntervalDelta(second, second + 1, {REQUESTS: CounterDelta(requests)})
        self.tracker.merge(Merge("r-1", agent, second + 1, (interval,), late=late))

    def update(self, elapsed_s: float) -> str:
        return self.tracker.update(self.run, self.agents, START_NS + round(elapsed_s * NS_PER_S))

    def finish(self, state: RunState = RunState.COMPLETE, **ledger: int):
        self.run.state = state
        for part in self.run.agents.values():
            part.state = ParticipantState.FINISHED
            part.ledgers = (Ledger("browse", **ledger),)
        self.update(4)
        return asyncio.run(self.tracker.finish(self.run))


def test_the_live_view_tells_what_the_core_knows_and_what_was_merged() -> None:
    told = Told(plan())
    told.merge("a1", 0, 10)
    told.merge("a2", 0, 20)
    told.agents["a2"].state = AgentState.SUSPECT
    told.update(1.5)
    view = told.tracker.view()
    assert (view.state, view.elapsed_s, view.requests) == ("running", 1.5, 30)
    assert {agent.name: (agent.state, agent.requests, agent.vus) for agent in view.agents} == {
        "a1": ("online", 10, 3),
        "a2": ("suspect", 20, 3),
    }


def test_only_a_run_that_is_over_lets_go_of_what_was_merged() -> None:
    told = Told(plan())
    told.merge("a1", 0, 10)
    told.update(1.5)
    told.tracker.let_go()
    assert told.tracker.has_metrics and told.tracker.record.metrics.totals
    summary = told.finish(planned=20, started=20, finished=20)
    before = told.tracker.view()
    told.tracker.let_go()
    assert not told.tracker.has_metrics and not told.tracker.record.metrics.totals
    assert before.requests == 10 and told.tracker.view() == before
    assert told.tracker.summary is summary


def test_the_health_of_a_new_process_under_an_old_name_is_not_taken_for_that_of_the_run() -> None:
    told = Told(plan())
    told.agents["a1"].incarnation = "another"
    told.update(1)
    assert {agent.name: agent.vus for agent in told.tracker.view().agents} == {"a1": 0, "a2": 3}


def test_a_threshold_that_aborts_is_named_when_merged_data_breaks_it() -> None:
    told = Told(plan({"threshold": "count<25", "abort_on_fail": True}))
    told.merge("a1", 0, 20)
    assert told.update(1.0) == ""
    told.merge("a2", 0, 20)
    assert told.update(1.5) == "", "thresholds are judged once a second"
    assert told.update(2.0) == "http_reqs: count<25"
    assert told.tracker.record.aborting_threshold == "http_reqs: count<25"


def test_a_threshold_that_does_not_abort_stops_nothing() -> None:
    told = Told(plan({"threshold": "count<5"}))
    told.merge("a1", 0, 20)
    assert told.update(1.0) == ""
    assert [result.passed for result in told.tracker.view().thresholds] == [False]


def test_nothing_is_judged_before_the_load_and_after_it() -> None:
    told = Told(plan({"threshold": "count<5", "abort_on_fail": True}))
    told.merge("a1", 0, 20)
    for state in (RunState.ARMING, RunState.STOPPING, RunState.DRAINING):
        told.run.state = state
        assert told.update(2.0) == ""


def test_the_account_is_the_sum_of_the_agents_ledgers_beside_what_the_schedule_planned() -> None:
    told = Told(plan())
    told.merge("a1", 0, 20)
    told.merge("a2", 1, 20)
    summary = told.finish(planned=20, started=19, dropped=1, finished=18, interrupted=1, requests=20)
    (account,) = summary.accounting.scenarios
    assert (account.planned, account.started, account.dropped, account.missed) == (40, 38, 2, 0)
    assert (account.finished, account.interrupted, account.expected) == (36, 2, 40)
    assert summary.accounting.requests_merged == summary.accounting.requests_ledger == 40
    assert summary.accounting.balanced


@pytest.mark.parametrize("state", [RunState.INCOMPLETE, RunState.FAILED])
def test_of_a_run_that_did_not_end_by_plan_nothing_is_expected(state: RunState) -> None:
    (account,) = Told(plan()).finish(state).accounting.scenarios
    assert account.expected is None


def test_what_comes_late_changes_neither_totals_nor_a_finished_summary() -> None:
    told = Told(plan())
    told.merge("a1", 0, 20)
    told.merge("a1", 1, 5, late=True)
    summary = told.finish(planned=20, started=20, finished=20, requests=20)
    told.merge("a1", 2, 7)
    assert asyncio.run(told.tracker.finish(told.run)) is summary
    assert summary.accounting.requests_merged == 20
    assert told.tracker.record.metrics.totals[REQUESTS] == CounterDelta(20)
    assert told.tracker.over.is_set()


def test_time_stands_still_after_the_load() -> None:
    told = Told(plan())
    told.run.load_end_ns = START_NS + 4 * NS_PER_S
    told.run.state = RunState.COMPLETE
    told.update(60)
    assert told.tracker.view().elapsed_s == 4
