"""Conversations about load that moves: losses, returns, late joiners, agents that leave, changes of a run."""

from __future__ import annotations

from typing import Any

import pytest

from loadr.coordination import agent_io, controller_io
from loadr.coordination.controller_io import Refusal, RunState, StoppedBy
from loadr.coordination.dealer import holes
from loadr.coordination.messages import Assignment, Desired, Goodbye, Ledger, RunEventKind, RunPhase
from loadr.coordination.views import AgentState, ParticipantState
from loadr.errors import ExitCode
from loadr.schedule.change import Change, ChangeKind
from support.conversation import MS, Agent, Conversation, S, plan

ALL = set(range(1024))


def running(*agents: str, **changes: Any) -> Conversation:
    """A minute's run that has just begun."""
    talk = Conversation(*agents)
    talk.submit(plan(scenario={"duration": "60s"}, **changes), expect=len(agents))
    talk.start()
    return talk


def run_ns(talk: Conversation) -> int:
    assert talk.run.start_controller_ns is not None
    return talk.now - talk.run.start_controller_ns


def assert_all_owned(talk: Conversation, *agents: Agent) -> None:
    """I6, I7: by what the controller thinks and by what engines were told."""
    assert holes(talk.held.values()) == 0
    assert set.union(*(agent.slots for agent in agents)) == ALL
    assert sum(len(agent.slots) for agent in agents) == len(ALL)


# --- losses ---------------------------------------------------------------------------------------------------


def test_what_a_lost_agent_owned_goes_to_the_survivors_at_one_instant() -> None:
    talk = running("a", "b", "c")
    a, b, c = talk["a"], talk["b"], talk["c"]
    before = b.slots, c.slots
    talk.after(2)
    a.leave()
    lost_ns = talk.now
    talk.after(10)
    assert (b.slots, c.slots) == before, "its load may be alive: nobody takes anything"
    talk.after(2)
    view = talk.run.agents["a"]
    assert view.state is ParticipantState.LOST and talk.run.state is RunState.RUNNING
    assert_all_owned(talk, b, c)
    assert b.slots > before[0] and c.slots > before[1]
    assert b.share.from_run_ns == c.share.from_run_ns
    assert lost_ns + 11 * S - S <= b.start_ns + b.share.from_run_ns <= lost_ns + 12 * S
    assert view.covered_at_s == b.share.from_run_ns / S
    assert (view.share, talk.run.agents["b"].share) == (342 / 1024, 0.5)


def test_a_loss_that_is_absorbed_leaves_the_run_incomplete_with_a_bound() -> None:
    talk = running("a", "b")
    talk.after(2)
    talk["a"].report(0, 5)
    talk["a"].leave()
    talk.to(talk.run.start_controller_ns + 60 * S)
    talk["b"].finish(0)
    run = talk.run
    assert (run.state, run.absorbed) == (RunState.INCOMPLETE, True)
    assert run.cause == run.notes[0] and run.cause.startswith("agent a was lost 1")
    assert 40 <= (run.agents["a"].missing_at_most or 0) <= 60


def test_a_loss_before_the_start_is_dealt_with_at_the_start() -> None:
    talk = Conversation("a", "b")
    talk.submit(plan(scenario={"duration": "60s"}, lease="3s"), expect=2)
    talk["a"].feed(agent_io.DrainRequested("SIGTERM"))
    talk["a"].feed(agent_io.DrainRequested("SIGTERM"))
    assert talk.run.state is RunState.COMMITTED and talk.run.agents["a"].state is ParticipantState.LOST
    talk.start()
    assert_all_owned(talk, talk["b"])


def test_who_said_before_the_start_that_its_load_is_over_is_replaced_at_the_start() -> None:
    talk = Conversation("a", "b")
    talk.submit(plan(scenario={"duration": "60s"}), expect=2)
    talk["a"].finish(0, "orphaned")
    assert talk.run.state is RunState.COMMITTED
    assert talk.run.agents["a"].state is ParticipantState.FINISHED
    talk.start()
    assert_all_owned(talk, talk["a"], talk["b"])


def test_under_continue_the_others_go_on_with_what_they_had() -> None:
    talk = running("a", "b", on_agent_loss="continue")
    before = talk["b"].slots
    talk.after(1)
    talk["a"].leave()
    talk.to(talk.run.start_controller_ns + 60 * S)
    assert talk["b"].slots == before and not talk["b"].of(agent_io.StopEngine)
    talk["b"].finish(0)
    assert (talk.run.state, talk.run.absorbed) == (RunState.INCOMPLETE, True)
    assert talk.run.agents["a"].covered_at_s is None


def test_under_abort_the_run_is_stopped() -> None:
    talk = running("a", "b", on_agent_loss="abort")
    talk["a"].leave()
    talk.after(12)
    (stop,) = talk["b"].of(agent_io.StopEngine)
    assert stop.graceful and talk.run.state is RunState.STOPPING
    talk["b"].finish(0, stop.cause)
    run = talk.run
    assert (run.state, run.stopped_by, run.absorbed) == (RunState.INCOMPLETE, StoppedBy.LOSS, False)


@pytest.mark.parametrize(("allowed", "absorbed"), [("1%", False), ("70%", True), ("500", True), ("5", False)])
def test_what_may_be_missing_is_held_against_what_the_plan_allows(allowed: str, absorbed: bool) -> None:
    talk = running("a", "b", allowed_loss=allowed)
    for number in range(12):
        talk.to(talk.run.start_controller_ns + (number + 1) * S)
        talk["b"].report(number, 5)
    talk["a"].leave()
    talk.to(talk.run.start_controller_ns + 60 * S)
    talk["b"].finish(60)
    assert talk.run.state is RunState.INCOMPLETE and talk.run.absorbed is absorbed
    assert ("(allowed_loss)" in talk.run.cause) is not absorbed


def test_when_the_last_one_is_lost_the_run_has_failed() -> None:
    talk = running("a", "b")
    talk["a"].leave()
    talk["b"].leave()
    talk.after(12)
    assert talk.run.state is RunState.FAILED
    assert talk.run.cause.startswith("all agents were lost; agent a was lost 10.8s after")


def test_a_worker_that_died_moves_no_slots_between_agents() -> None:
    talk = running("a", "b")
    before = talk["a"].slots, talk["b"].slots
    dead = agent_io.EngineEvent(
        "run", 1, RunEventKind.WORKER_LOST, "killed by SIGKILL", (Ledger("s", 3, 3, 1, requests=2),)
    )
    talk["a"].feed(dead)
    talk.after(2)
    assert (talk["a"].slots, talk["b"].slots) == before
    assert talk.run.agents["a"].missing_at_most == 2 and talk.run.state is RunState.RUNNING


def test_an_agent_all_of_whose_workers_died_is_taken_in_again() -> None:
    talk = running("a", "b")
    talk.after(1)
    talk["a"].finish(0, "all workers were lost")
    assert talk.run.agents["a"].state is ParticipantState.FINISHED
    assert talk.run.agents["a#2"].state is ParticipantState.COMMITTED
    assert_all_owned(talk, talk["a"], talk["b"])


# --- returns --------------------------------------------------------------------------------------------------


def test_a_returning_agent_delivers_what_it_kept_and_then_joins_with_a_new_generation() -> None:
    talk = running("a", "b")
    a, b = talk["a"], talk["b"]
    talk.after(2)
    a.report(0, 5)
    a.leave()
    talk.after(12)
    a.finish(5, "orphaned")
    assert talk.run.agents["a"].state is ParticipantState.LOST
    a.come_back()
    old, new = talk.run.agents["a"], talk.run.agents["a#2"]
    assert (old.state, old.missing_at_most) == (ParticipantState.FINISHED, 0)
    assert (new.generation, new.name, new.state) == (2, "a#2", ParticipantState.COMMITTED)
    assert_all_owned(talk, a, b)
    a.begin(generation=2)
    assert new.state is ParticipantState.RUNNING
    assert new.joined_at_s == a.share.from_run_ns / S and a.share.from_run_ns > run_ns(talk)
    assert a.of(agent_io.ForgetRun) == [agent_io.ForgetRun("run", 1)]
    talk.to(talk.run.start_controller_ns + 60 * S)
    a.finish(0, generation=2)
    b.finish(0)
    assert talk.run.state is RunState.COMPLETE, "load was missed for a while, but nothing is missing"


def test_one_that_returns_before_it_was_given_up_says_itself_that_its_load_is_over() -> None:
    talk = running("a", "b")
    a, b = talk["a"], talk["b"]
    a.leave()
    talk.to(a.of(agent_io.SetLease)[-1].end_mono_ns)
    assert a.of(agent_io.StopEngine)
    a.come_back()
    assert talk.run.agents["a"].state is ParticipantState.RETURNING
    assert b.slots == ALL, "no need to wait until it is lost"
    a.finish(0, "orphaned")
    assert talk.run.agents["a"].state is ParticipantState.FINISHED
    assert_all_owned(talk, a, b)


def test_a_restarted_agent_waits_for_the_end_of_its_old_lease_and_joins_under_the_next_generation() -> None:
    talk = running("a", "b")
    old = talk["a"]
    old.leave()
    new = talk.join("a", "a/2", dials=1)
    assert talk.run.agents.keys() == {"a", "b"}
    talk.after(12)
    new.dials = 1
    new.feed(agent_io.LinkDown("connection refused"))
    part = talk.run.agents["a#2"]
    assert (part.generation, part.incarnation, part.state) == (2, "a/2", ParticipantState.COMMITTED)
    assert talk.run.agents["a"].state is ParticipantState.LOST
    assert_all_owned(talk, new, talk["b"])


def test_a_restart_ends_the_waiting_for_what_the_old_process_would_have_delivered() -> None:
    talk = running("a", "b")
    a = talk["a"]
    a.leave()
    talk.to(a.of(agent_io.SetLease)[-1].end_mono_ns)
    a.come_back()
    assert talk.run.agents["a"].state is ParticipantState.RETURNING
    a.leave()
    talk.join("a", "a/2")
    assert talk.run.agents["a"].state is ParticipantState.LOST
    assert talk.run.agents["a#2"].incarnation == "a/2"


def test_an_agent_that_is_lost_again_and_again_gets_no_share_for_a_while() -> None:
    talk = Conversation("a", "b")
    talk.submit(plan(scenario={"duration": "900s"}, lease="3s"), expect=2)
    talk.start()
    a = talk["a"]
    for generation in (1, 2, 3):
        assert a.core.runs[("run", generation)].generation == generation
        a.leave()
        talk.after(5)
        a.finish(0, "orphaned", generation=generation)
        a.come_back()
    assert "a#4" not in talk.run.agents and talk.controller.agents["a"].state is AgentState.ONLINE
    assert any("lost 3 times of late" in log.text for log in talk.of(controller_io.Log))
    assert talk["b"].slots == ALL
    talk.after(301)
    assert talk.run.agents["a#4"].state is ParticipantState.COMMITTED
    assert_all_owned(talk, a, talk["b"])


def test_when_the_controller_was_away_agents_are_heard_before_they_are_given_up() -> None:
    talk = running("a", "b")
    talk.after(2)
    for name in ("a", "b"):
        talk[name].report(0, 5)
    hang = [talk["a"], talk["b"]]
    for agent in hang:
        agent.mute = agent.deaf = True
        lease_end_ns = agent.of(agent_io.SetLease)[-1].end_mono_ns
    talk.now = lease_end_ns + 10 * S  # nobody wakes the controller
    for agent in hang:
        agent.feed(agent_io.TimePassed())
        assert agent.of(agent_io.StopEngine)[-1].cause == "orphaned"
        agent.finish(5, "orphaned")
        agent.mute = agent.deaf = False
    talk.tell(controller_io.TimePassed())
    assert talk.run.state is RunState.RUNNING
    for agent in hang:
        agent.up = True
        agent.cut()
    assert talk.run.state is RunState.RUNNING
    assert [part.missing_at_most for part in talk.run.agents.values()] == [0, 0, 0, 0]
    assert_all_owned(talk, *hang)
    talk.to(talk.run.start_controller_ns + 60 * S)
    for agent in hang:
        agent.finish(0, generation=2)
    assert talk.run.state is RunState.COMPLETE


def test_a_run_without_load_waits_for_who_is_about_to_take_it_over() -> None:
    talk = running("a")
    b = talk.join("b", engine=False)
    talk["a"].finish(0, "all workers were lost")
    talk["a"].feed(agent_io.DrainRequested("SIGTERM"))
    assert talk.run.state is RunState.RUNNING
    b.feed(agent_io.SandboxReady("run", 1))
    b.feed(agent_io.EnginePrepared("run", 1))
    b.feed(agent_io.EngineArmed("run", 1))
    assert_all_owned(talk, b)


def test_when_who_was_about_to_take_over_can_not_the_run_ends() -> None:
    talk = running("a")
    b = talk.join("b", engine=False)
    talk["a"].feed(agent_io.DrainRequested("SIGTERM"))
    talk["a"].finish(0, "it was asked to leave")
    assert talk.run.state is RunState.RUNNING
    b.feed(agent_io.SandboxFailed("run", 1, agent_io.FaultKind.DISK, "no space left on device"))
    assert talk.run.state is RunState.INCOMPLETE
    assert talk.run.cause.startswith("nobody was left to carry the load")


def test_a_run_that_nobody_took_over_before_its_end_has_no_load_to_wait_for() -> None:
    talk = running("a")
    talk.join("b", engine=False)
    talk["a"].feed(agent_io.DrainRequested("SIGTERM"))
    talk["a"].finish(0, "it was asked to leave")
    talk.to(talk.run.start_controller_ns + 60 * S)
    assert talk.run.state is RunState.INCOMPLETE
    assert talk.run.cause == "nobody was left to carry the load; the last agent was asked to leave"


# --- late joiners ---------------------------------------------------------------------------------------------


def test_a_late_agent_takes_its_share_at_one_instant_and_nobody_else_restarts() -> None:
    talk = running("a", "b")
    talk.after(5)
    c = talk.join("c")
    a, b = talk["a"], talk["b"]
    assert_all_owned(talk, a, b, c)
    assert len(c.slots) in (341, 342)
    assert a.share.from_run_ns == b.share.from_run_ns == c.share.from_run_ns == run_ns(talk) + 500 * MS
    part = talk.run.agents["c"]
    assert part.joined_at_s == c.share.from_run_ns / S and part.generation == 1
    assert "agent c joined 5.00s after the start" in talk.run.events
    assert not a.of(agent_io.StopEngine) and len(a.of(agent_io.StartEngine)) == 1
    assert c.start_ns == a.start_ns


def test_takers_are_told_after_the_givers_have_given() -> None:
    talk = running("a", "b")
    talk.after(5)
    b = talk["b"]
    b.deaf = True
    c = talk.join("c")
    assert c.slots == set() and holes(talk.held.values()) > 0
    assert talk["a"].slots & b.slots == set()
    talk.after(1)
    b.deaf = False
    b.cut()  # on its new stream it hears of it
    assert_all_owned(talk, talk["a"], b, c)
    assert c.share.from_run_ns == run_ns(talk) + 500 * MS, "the first instant had passed"
    assert b.share.from_run_ns < c.share.from_run_ns


def test_a_giver_that_is_lost_in_between_has_given_when_its_lease_is_over() -> None:
    talk = running("a", "b")
    talk.after(5)
    talk["b"].deaf = True
    c = talk.join("c")
    talk["b"].leave()
    talk.after(9)
    assert c.slots == set()
    talk.after(4)
    assert talk.run.agents["b"].state is ParticipantState.LOST
    assert_all_owned(talk, talk["a"], c)


def test_a_joiner_that_is_lost_in_the_middle_of_its_move_leaves_nothing_unowned() -> None:
    talk = running("a", "b")
    talk.after(5)
    talk["b"].deaf = True
    c = talk.join("c")
    c.feed(agent_io.DrainRequested("SIGTERM"))
    assert talk.controller.agents["c"].state is AgentState.LEFT
    talk["b"].deaf = False
    talk["b"].cut()
    assert_all_owned(talk, talk["a"], talk["b"])
    assert talk.run.agents.keys() == {"a", "b"}
    assert "agent c could not join: it left: SIGTERM" in talk.run.events


def test_two_that_join_at_once_follow_each_other() -> None:
    talk = running("a", "b")
    talk["b"].deaf = True
    c, d = talk.join("c"), talk.join("d")
    talk["b"].deaf = False
    talk["b"].cut()
    assert_all_owned(talk, talk["a"], talk["b"], c, d)
    assert {len(agent.slots) for agent in (c, d)} == {256}


def test_a_joiner_that_can_not_prepare_costs_nothing() -> None:
    talk = running("a")
    c = talk.join("c", engine=False)
    c.feed(agent_io.SandboxReady("run", 1))
    c.feed(agent_io.EnginePrepared("run", 1, agent_io.FaultKind.SCRIPT, "no module named foo"))
    assert talk.run.events == ["agent c could not join: no module named foo"]
    assert talk.run.agents.keys() == {"a"} and not c.core.runs
    talk.to(talk.run.start_controller_ns + 60 * S)
    talk["a"].finish(0)
    assert talk.run.state is RunState.COMPLETE


def test_a_run_that_ends_lets_go_of_who_was_about_to_join() -> None:
    talk = running("a")
    c = talk.join("c", engine=False)
    assert talk.run.agents["c"].state is ParticipantState.ASSIGNED
    talk.to(talk.run.start_controller_ns + 60 * S)
    talk["a"].finish(0)
    assert talk.run.state is RunState.COMPLETE and not c.core.runs


def test_who_is_there_before_the_start_but_not_in_the_run_joins_at_the_start() -> None:
    talk = Conversation("a")
    talk.submit(plan(scenario={"duration": "60s"}))
    assert talk.run.state is RunState.COMMITTED
    b = talk.join("b")
    assert not talk.said(Assignment, b)
    talk.start()
    assert_all_owned(talk, talk["a"], b)


# --- leaving --------------------------------------------------------------------------------------------------


def test_an_agent_that_is_asked_to_leave_hands_over_first_without_a_gap() -> None:
    talk = running("a", "b")
    a, b = talk["a"], talk["b"]
    talk.after(2)
    a.report(0, 5)
    a.feed(agent_io.DrainRequested("SIGTERM"))
    assert talk.run.agents["a"].draining and not a.of(agent_io.StopEngine)
    assert a.slots == set() and b.slots == ALL
    assert a.share.from_run_ns == b.share.from_run_ns
    talk.to(a.start_ns + b.share.from_run_ns)
    assert a.of(agent_io.StopEngine)[-1].graceful
    a.finish(5, "it was asked to leave")
    talk.after(1.1)
    assert a.exit_code == ExitCode.PASSED and a.sent(Goodbye) == [Goodbye("SIGTERM", drained=True)]
    assert talk.run.agents["a"].state is ParticipantState.FINISHED and talk.run.state is RunState.RUNNING
    assert talk.controller.agents["a"].state is AgentState.LEFT
    talk.to(talk.run.start_controller_ns + 60 * S)
    b.finish(0)
    assert talk.run.state is RunState.COMPLETE
    assert talk.run.events == ["agent a was asked to leave; its share goes to others"]


def test_a_taker_that_can_not_be_reached_keeps_nobody_from_leaving() -> None:
    talk = running("a", "b", "c")
    a = talk["a"]
    talk["b"].deaf = True
    a.feed(agent_io.DrainRequested("SIGTERM"))
    talk.after(1)
    assert a.of(agent_io.StopEngine), "its share is b's from then on, whether b knows it or not"


def test_a_giver_that_can_not_be_reached_keeps_one_that_leaves_for_ten_seconds_at_most() -> None:
    talk = running("a", "b")
    a = talk["a"]
    a.mute = True
    a.feed(agent_io.DrainRequested("SIGTERM"))
    talk.after(9)
    assert not a.of(agent_io.StopEngine)
    talk.after(1.1)
    assert a.of(agent_io.StopEngine)[-1].cause in ("orphaned", "the agent leaves: SIGTERM")


def test_when_the_only_agent_is_asked_to_leave_the_load_ends_and_that_is_said() -> None:
    talk = running("a")
    a = talk["a"]
    talk.after(1)
    a.report(0, 10)
    a.feed(agent_io.DrainRequested("SIGTERM"))
    assert a.of(agent_io.StopEngine)[-1].graceful
    a.finish(10, "it was asked to leave")
    run = talk.run
    assert (run.state, run.absorbed) == (RunState.INCOMPLETE, False)
    assert run.cause == "nobody was left to carry the load; the last agent was asked to leave"
    assert run.agents["a"].missing_at_most == 0


def test_under_continue_nobody_takes_the_share_of_one_that_leaves() -> None:
    talk = running("a", "b", on_agent_loss="continue")
    before = talk["b"].slots
    talk["a"].feed(agent_io.DrainRequested("SIGTERM"))
    assert talk["a"].of(agent_io.StopEngine) and talk["b"].slots == before
    assert talk.run.notes == ["agent a was asked to leave; nobody takes its share"]


def test_one_that_leaves_is_not_invited_again() -> None:
    talk = running("a", "b")
    a = talk["a"]
    a.feed(agent_io.DrainRequested("SIGTERM"))
    a.finish(0, "all workers were lost")
    assert talk.run.agents.keys() == {"a", "b"}


# --- changes --------------------------------------------------------------------------------------------------


def test_a_change_has_one_instant_for_all_and_everybody_gets_the_whole_list() -> None:
    talk = running("a", "b")
    talk.after(2)
    first = talk.change(ChangeKind.RATE, "20")
    assert (first.in_ns, first.change) == (500 * MS, Change(run_ns(talk) + 500 * MS, ChangeKind.RATE, "", "20"))
    talk.after(1)
    second = talk.change(ChangeKind.FACTOR, "0.5")
    for agent in (talk["a"], talk["b"]):
        assert agent.of(agent_io.ReshareEngine)[-1].changes == (first.change, second.change)
    assert talk.run.changes == (first.change, second.change)
    assert "rate set to 20/s at 2.50s" in talk.run.events


@pytest.mark.parametrize(
    ("kind", "value", "scenario", "why"),
    [
        (ChangeKind.RATE, "fast", "", "'fast' is no rate"),
        (ChangeKind.RATE, "-1", "", "'-1' is no rate"),
        (ChangeKind.SCALE, "0", "", "'0' is no number of VUs"),
        (ChangeKind.SCALE, "3", "nope", "there is no scenario nope"),
        (ChangeKind.RESUME, "", "", "the run is not paused"),
        (ChangeKind.PAUSE, "", "s", "a pause is one of the whole run"),
    ],
)
def test_a_change_that_can_not_be_is_refused_in_words(
    kind: ChangeKind, value: str, scenario: str, why: str
) -> None:
    talk = running("a")
    answer = talk.change(kind, value, scenario)
    assert isinstance(answer, controller_io.ChangeRefused) and answer.refusal is Refusal.INVALID
    assert answer.detail.startswith(why)
    assert talk.run.changes == () and not talk["a"].of(agent_io.ReshareEngine)


def test_a_change_of_a_run_that_is_not_there_or_not_running_is_refused() -> None:
    talk = Conversation("a")
    assert talk.change(ChangeKind.PAUSE).refusal is Refusal.NO_SUCH_RUN
    talk.submit(expect=2)
    assert talk.change(ChangeKind.PAUSE).detail == "run run is draft; only a running one can be changed"


def test_a_change_reaches_an_agent_that_was_away_when_it_returns() -> None:
    talk = running("a", "b")
    a = talk["a"]
    a.leave()
    talk.after(1)
    change = talk.change(ChangeKind.PAUSE).change
    assert not a.of(agent_io.ReshareEngine)
    talk.after(2)
    a.come_back()
    assert a.of(agent_io.ReshareEngine)[-1].changes == (change,)
    assert talk.run.agents["a"].changed_late_s >= 1.5, "at worst: its clock may be ahead"
    assert "agent a heard 1.50s too late of a change of the run" in talk.run.notes
    assert talk.run.agents["b"].changed_late_s == 0


def test_what_was_begun_too_early_is_never_given_to_anybody_else() -> None:
    talk = running("a", "b")
    a = talk["a"]
    a.leave()
    pause = talk.change(ChangeKind.PAUSE).change
    talk.after(5)
    a.come_back()
    heard_ns = run_ns(talk)
    assert heard_ns > pause.at_run_ns
    begun = heard_ns * 10 // S
    c = talk.join("c")
    assert begun <= c.share.from_iteration <= begun + 1
    assert c.share.from_iteration == talk["b"].share.from_iteration
    talk.change(ChangeKind.RESUME)
    assert c.share.from_iteration >= begun


def test_in_time_nothing_is_spared() -> None:
    talk = running("a", "b")
    talk.change(ChangeKind.PAUSE)
    talk.after(5)
    assert talk.join("c").share.from_iteration == 0


def test_a_pause_puts_off_the_end_and_a_resume_says_until_when() -> None:
    talk = running("a")
    end_ns = talk.run.load_end_ns
    talk.after(10)
    talk.change(ChangeKind.PAUSE)
    assert talk.run.load_end_ns is None
    talk.after(300)
    assert talk.run.state is RunState.RUNNING
    talk.change(ChangeKind.RESUME)
    assert talk.run.load_end_ns == (end_ns or 0) + 300 * S
    talk.to(talk.run.load_end_ns)
    assert talk.run.state is RunState.STOPPING


def test_a_paused_run_can_be_stopped() -> None:
    talk = running("a")
    talk.change(ChangeKind.PAUSE)
    talk.after(5)
    talk.stop()
    talk["a"].finish(0, "enough")
    assert talk.run.state is RunState.COMPLETE


def test_a_change_before_the_start_holds_from_the_start() -> None:
    talk = Conversation("a")
    talk.submit(plan(scenario={"duration": "60s"}))
    assert talk.change(ChangeKind.RATE, "5").change.at_run_ns == 300 * MS
    assert talk.run.state is RunState.COMMITTED
    talk.start()
    talk.after(3)
    assert talk.run.agents["a"].changed_late_s == 0


def test_a_change_never_takes_effect_before_a_move_that_was_announced() -> None:
    talk = running("a", "b")
    for _ in range(8):
        talk.controller._members["a"].took(2 * S)
    c = talk.join("c")
    assert c.share.from_run_ns == run_ns(talk) + 8 * S
    talk.controller._members["a"]._rtts.clear()
    assert talk.change(ChangeKind.RATE, "1").change.at_run_ns == c.share.from_run_ns


def test_scale_deals_the_slots_again() -> None:
    talk = Conversation("a", "b")
    talk.submit(plan(scenario={"duration": "60s", "max_vus": 1}), expect=2)
    talk.start()
    a, b = talk["a"], talk["b"]
    assert {len(a.slots), len(b.slots)} == {0, 1024}, "who holds no VU holds no slot"
    talk.change(ChangeKind.SCALE, "10")
    assert_all_owned(talk, a, b)
    assert len(a.slots) == len(b.slots) == 512


def test_a_late_joiner_knows_all_changes() -> None:
    talk = running("a")
    first, second = talk.change(ChangeKind.RATE, "20"), talk.change(ChangeKind.FACTOR, "0.5")
    talk.after(5)
    c = talk.join("c")
    assert c.of(agent_io.ReshareEngine)[-1].changes == (first.change, second.change)
    assert talk.run.agents["c"].changed_late_s == 0


def test_a_change_does_not_wake_one_that_was_told_to_stop() -> None:
    talk = running("a", "b", on_agent_loss="continue")
    talk["a"].feed(agent_io.DrainRequested("SIGTERM"))
    talk.change(ChangeKind.RATE, "20")
    assert talk.said(Desired, talk["a"])[-1].phase is RunPhase.STOPPING
