"""The run on the controller: every input in every state, and the rules that the table can not say."""

from __future__ import annotations

import gc
import weakref

import pytest

import loadr.coordination.controller
from loadr.coordination import agent_io, controller_io
from loadr.coordination.controller_io import RunState, StoppedBy
from loadr.coordination.controller_run import ControllerRun
from loadr.coordination.messages import (
    Armed,
    Assignment,
    Claim,
    ClaimKind,
    Corpus,
    Desired,
    FaultKind,
    ManifestFile,
    Prepared,
    RunEvent,
    RunEventKind,
    RunPhase,
)
from loadr.coordination.run_table import TABLE, Fact, RunInput
from loadr.coordination.table import FAULT, IGNORE
from loadr.coordination.views import ParticipantState
from loadr.errors import PeerFault
from loadr.plan.model import DataSet
from loadr.schedule.change import ChangeKind
from support.conversation import Conversation, S, ledger, plan

LONG = {"duration": "60s"}


def reach(state: RunState) -> tuple[Conversation, ControllerRun]:
    """A run in that state, with agents a and b whose engines are ours to play."""
    talk = Conversation()
    a, b = talk.join("a", engine=False), talk.join("b", engine=False)
    policy = "abort" if state is RunState.INCOMPLETE else "redistribute"
    around = {"teardown": {"flow": []}} if state is RunState.TEARING_DOWN else {}
    talk.submit(plan(scenario=LONG, on_agent_loss=policy, **around), expect=3 if state is RunState.DRAFT else 2)
    order = [RunState.DRAFT, RunState.PREPARING, RunState.ARMING, RunState.COMMITTED, RunState.RUNNING]
    far = order.index(state) if state in order else len(order)
    for agent in (a, b):
        if far >= 2:
            agent.feed(agent_io.SandboxReady("run", 1))
            agent.feed(agent_io.EnginePrepared("run", 1))
    for agent in (a, b):
        if far >= 3:
            agent.feed(agent_io.EngineArmed("run", 1))
    if far >= 4:
        talk.start()
    if state in (RunState.STOPPING, RunState.DRAINING, RunState.TEARING_DOWN, RunState.COMPLETE):
        talk.stop()
    if state is RunState.DRAINING:
        talk.after(8)
    if state in (RunState.COMPLETE, RunState.INCOMPLETE, RunState.TEARING_DOWN):
        a.finish(0, "gone" if state is RunState.INCOMPLETE else "")
        b.finish(0)
    if state is RunState.FAILED:
        for agent in (a, b):
            agent.feed(agent_io.DrainRequested("SIGTERM"))
            agent.feed(agent_io.DrainRequested("SIGTERM"))
    assert talk.run.state is state
    run = talk.controller._runs["run"]
    return talk, run


def fact(given: RunInput, run: ControllerRun) -> Fact:
    part = run.view.agents.get("a")
    seq = part.acked_seq + 1 if part is not None else 1
    return {
        RunInput.PREPARED: Fact("a", Prepared("run", 1)),
        RunInput.ARMED: Fact("a", Armed("run", 1)),
        RunInput.FAULTED: Fact("a", Armed("run", 1, 0, FaultKind.WORKER), "out of memory"),
        RunInput.REPORT: Fact("a", RunEvent("run", 1, seq, RunEventKind.FINISHED, ledgers=(ledger(0),))),
        RunInput.CLAIM: Fact("a", Claim("run", 1, 1, 0, ClaimKind.ONCE, "token")),
        RunInput.AGENT_LOST: Fact("a", text="no beat"),
        RunInput.STOP: Fact(text="enough"),
        RunInput.APPLIED: Fact("a", revision=7),
        RunInput.LEAVING: Fact("a"),
        RunInput.CHANGE: Fact(change=controller_io.ChangeRequested("run", ChangeKind.PAUSE)),
    }.get(given, Fact())


@pytest.mark.parametrize("given", RunInput, ids=lambda given: given.name)
@pytest.mark.parametrize("state", RunState, ids=lambda state: state.name)
def test_every_input_in_every_state_does_what_the_table_says(state: RunState, given: RunInput) -> None:
    talk, run = reach(state)
    before = len(talk.controller._out)
    action = TABLE.action(state, given)
    if action == FAULT:
        with pytest.raises(PeerFault, match=f"{given.name} can not come in state {state.name}"):
            run.handle(given, fact(given, run), talk.now)
    else:
        run.handle(given, fact(given, run), talk.now)
    if action in (FAULT, IGNORE):
        assert run.view.state is state and len(talk.controller._out) == before


@pytest.mark.parametrize("state", [s for s in RunState if s.is_final], ids=lambda state: state.name)
def test_what_has_ended_never_changes(state: RunState) -> None:
    talk, run = reach(state)
    kept = (run.view.state, run.view.cause, list(run.view.notes), run.view.load_end_ns)
    for given in RunInput:
        if TABLE.action(state, given) != FAULT:
            run.handle(given, fact(given, run), talk.now + S)
    assert (run.view.state, run.view.cause, run.view.notes, run.view.load_end_ns) == kept
    assert run.deadline_ns is None


@pytest.mark.parametrize("state", [s for s in RunState if not s.is_final], ids=lambda state: state.name)
def test_every_state_that_is_not_final_has_an_end_in_time(state: RunState) -> None:
    talk, run = reach(state)
    assert run.deadline_ns is not None
    for agent in talk.agents.values():
        agent.deaf = True
    talk.after(60 + 2 + 5 + 30 + 100)
    assert run.is_over


@pytest.mark.parametrize("state", [RunState.DRAFT, RunState.PREPARING, RunState.ARMING], ids=lambda s: s.name)
def test_before_the_commit_no_agent_is_told_to_run(state: RunState) -> None:
    talk, _ = reach(state)
    assert RunPhase.RUNNING not in [each.phase for each in talk.said(Desired)]


def test_nobody_is_granted_a_lease_after_it_is_out_or_the_run_is_over() -> None:
    talk, run = reach(RunState.RUNNING)
    part = run.parts.find("a", "a/1")
    assert part is not None and run.parts.find("a", "a/2") is None
    assert run.parts.find("a", "a/1", 2) is None
    assert run.grant(part, talk.now) is not None
    run.handle(RunInput.AGENT_LOST, Fact("a", text="no beat"), talk.now)
    assert run.grant(part, talk.now) is None


def test_a_lost_agent_that_comes_back_may_deliver_and_is_then_released() -> None:
    talk, run = reach(RunState.RUNNING)
    talk.after(1)
    talk["a"].report(0, 5)
    talk["a"].reachable = False
    talk["a"].cut()
    talk.after(12)
    assert run.view.agents["a"].state is ParticipantState.LOST
    talk["a"].finish(5, "orphaned")
    talk["a"].reachable = True
    talk["a"].feed(agent_io.LinkDown("connection refused"))
    assert run.view.agents["a"].state is ParticipantState.FINISHED
    assert run.view.agents["a"].missing_at_most == 0
    talk["b"].finish(0)
    talk.to((run.view.start_controller_ns or 0) + 60 * S)
    assert run.view.state is RunState.COMPLETE and not talk["a"].core.runs


def test_a_stop_by_an_operator_keeps_its_name_when_an_agent_is_lost_on_the_way_out() -> None:
    talk, run = reach(RunState.STOPPING)
    run.handle(RunInput.AGENT_LOST, Fact("a", text="no beat"), talk.now + S)
    talk["b"].finish(0, "enough")
    assert (run.view.state, run.view.stopped_by) == (RunState.INCOMPLETE, StoppedBy.OPERATOR)
    assert (run.view.cause, run.view.absorbed) == ("enough", True)
    assert run.view.notes[0].startswith("agent a was lost")


def test_the_barrier_covers_ten_round_trips_but_not_more_than_half_a_minute() -> None:
    for rtt_ns, barrier_ns in ((1, 200_000_000), (S // 2, 5 * S), (100 * S, 30 * S)):
        talk = Conversation()
        web = talk.join("web", engine=False)
        talk.submit()
        web.feed(agent_io.SandboxReady("run", 1))
        web.feed(agent_io.EnginePrepared("run", 1))
        for _ in range(8):
            talk.controller._members["web"].took(rtt_ns)
        web.feed(agent_io.EngineArmed("run", 1))
        assert talk.run.start_controller_ns == talk.now + barrier_ns


def test_notes_are_bounded() -> None:
    talk, run = reach(RunState.RUNNING)
    for number in range(1, 200):
        event = RunEvent("run", 1, number, RunEventKind.SCRIPT_EXCEPTION, str(number))
        run.handle(RunInput.REPORT, Fact("a", event), talk.now)
    assert len(run.view.notes) == 50


def test_changes_of_state_are_told() -> None:
    talk, _ = reach(RunState.COMPLETE)
    assert [e.state for e in talk.of(controller_io.RunEnded)] == [RunState.COMPLETE]


def test_a_fleet_without_the_corpora_of_a_plan_is_told_all_at_once_and_is_sent_nothing() -> None:
    talk = Conversation()
    digest, other = "a" * 64, "b" * 64
    talk.join("right", corpora=(Corpus("big", 9, digest),))
    talk.join("wrong", corpora=(Corpus("big", 9, other),))
    talk.join("none")
    wanted = plan(data={"big": DataSet(corpus="big", sha256=digest, columns=("id",))})
    talk.submit(wanted, expect=3)
    assert talk.run.state is RunState.FAILED
    first, second = talk.run.cause.split("; ")
    assert first.startswith(f"agent wrong has another corpus 'big' (sha256 {other}, and the plan wants {digest})")
    assert second.startswith("agent none has no corpus 'big'")
    assert talk.said(Assignment) == []


def test_a_late_agent_without_the_corpora_of_a_run_gets_no_share_and_the_run_goes_on() -> None:
    talk = Conversation()
    digest = "a" * 64
    corpora = (Corpus("big", 9, digest),)
    talk.join("first", corpora=corpora)
    talk.submit(plan(scenario=LONG, data={"big": DataSet(corpus="big", sha256=digest, columns=("id",))}))
    talk.start()
    bare, right = talk.join("bare"), talk.join("right", corpora=corpora)
    assert talk.run.state is RunState.RUNNING
    assert talk.said(Assignment, bare) == [] and len(talk.said(Assignment, right)) == 1
    (note,) = [note for note in talk.run.notes if "corpus" in note]
    assert note.startswith("agent bare has no corpus 'big'") and note.endswith("it gets no share")


def test_a_late_agent_is_known_to_have_the_files_that_it_prepared() -> None:
    talk = Conversation("first")
    files = (ManifestFile("a", 3, "a" * 64, b"abc"),)
    talk.submit(plan(scenario=LONG), files=files)
    talk.start()
    late = talk.join("late")
    talk.stop()
    for name in ("first", "late"):
        talk[name].finish(0)
    talk.submit(files=files, run_id="next", expect=2)
    assert [sent.files[0].inline for sent in talk.said(Assignment, late)] == [b"abc", None]


def test_files_that_an_agent_has_prepared_do_not_come_inline_in_its_next_run() -> None:
    talk = Conversation("old")
    files = (ManifestFile("a", 3, "a" * 64, b"abc"),)
    talk.submit(files=files)
    talk.stop()
    talk["old"].finish(0)
    talk.join("new")
    talk.submit(files=files, run_id="next", expect=2)
    sent = {agent: talk.said(Assignment, talk[agent])[-1].files[0].inline for agent in ("old", "new")}
    assert sent == {"old": None, "new": b"abc"}


@pytest.mark.parametrize("state", [RunState.COMPLETE, RunState.INCOMPLETE, RunState.FAILED])
def test_a_run_that_is_forgotten_is_gone_and_no_search_for_garbage_is_needed(
    state: RunState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loadr.coordination.controller, "KEPT_RUNS", 0)
    talk, run = reach(state)
    left = [weakref.ref(run), weakref.ref(run.moving), weakref.ref(run.parts)]
    gc.disable()
    try:
        del run
        assert None not in [ref() for ref in left]
        talk.submit(run_id="next")
        assert [ref() for ref in left] == [None, None, None]
    finally:
        gc.enable()
