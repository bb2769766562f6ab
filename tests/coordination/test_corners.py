"""Corners: a late joiner in each of its states, and what can happen to it there; ends at odd moments."""

from __future__ import annotations

from typing import Any

import pytest

from loadr.coordination import agent_io, controller_io
from loadr.coordination.agent import LinkState
from loadr.coordination.agent_run import AgentRunState
from loadr.coordination.controller_io import RunState, StoppedBy
from loadr.coordination.dealer import holes
from loadr.coordination.messages import (
    AgentBeat,
    Drain,
    FaultKind,
    FileChunk,
    Goodbye,
    Ledger,
    ManifestFile,
    Refused,
    Register,
    RunEventKind,
)
from loadr.coordination.views import AgentState, ParticipantState
from loadr.errors import ExitCode
from loadr.schedule.change import ChangeKind
from support.conversation import Agent, Conversation, S, plan

A = AgentRunState
FILE = ManifestFile("b.csv", 300 * 1024, "b" * 64)
STEPS: list[tuple[AgentRunState, Any]] = [
    (A.FETCHING, agent_io.SandboxMissing("run", 1, (FILE,))),
    (A.PREPARING, agent_io.SandboxReady("run", 1)),
    (A.ARMING, agent_io.EnginePrepared("run", 1)),
]
BEFORE_ARMED = [A.OPENING, A.FETCHING, A.PREPARING, A.READY, A.ARMING]
BEFORE_START = [*BEFORE_ARMED, A.ARMED]


def joining(state: AgentRunState, **changes: Any) -> tuple[Conversation, Agent]:
    """A run that goes on with agent a, and agent b in a state on its way into it."""
    talk = Conversation("a")
    talk.submit(plan(scenario={"duration": "90s"}, **changes), files=(FILE,))
    talk.start()
    b = talk.join("b", engine=False)
    path = {A.OPENING: [], A.FETCHING: STEPS[:1]}.get(state, STEPS[1:])
    for reached, event in path:
        if reached is A.ARMING and state is A.PREPARING:
            break
        b.deaf = reached is A.ARMING and state is A.READY
        b.feed(event)
    if state is A.ARMED:
        b.deaf = True
        b.feed(agent_io.EngineArmed("run", 1))
    assert b.core.runs["run", 1].state is state
    return talk, b


def hear_again(b: Agent) -> None:
    b.deaf = False
    b.cut()


@pytest.mark.parametrize("graceful", [True, False])
@pytest.mark.parametrize("state", BEFORE_START, ids=lambda state: state.name)
def test_a_stop_finds_a_joiner_wherever_it_is(state: AgentRunState, graceful: bool) -> None:
    talk, b = joining(state)
    talk.stop(graceful=graceful)
    hear_again(b)
    if state is A.ARMED:  # its share was on its way: it ends as one that had load
        assert b.of(agent_io.StopEngine)[-1].graceful is graceful
        b.finish(0, "enough")
    talk["a"].finish(0, "enough")
    assert talk.run.state is RunState.COMPLETE
    assert not b.core.runs and not b.of(agent_io.StartEngine)


@pytest.mark.parametrize("state", BEFORE_START, ids=lambda state: state.name)
def test_a_joiner_that_hears_nothing_for_a_lease_lets_go_of_the_run(state: AgentRunState) -> None:
    talk, b = joining(state)
    b.deaf = True
    b.reachable = False
    talk.after(11)
    assert b.core.runs["run", 1].state is A.FAILED and b.of(agent_io.ForgetRun)
    assert not b.of(agent_io.StartEngine)
    talk.after(5)
    assert holes_of(talk) == 0 and talk.run.state is RunState.RUNNING


def holes_of(talk: Conversation) -> int:
    return holes(talk.held.values())


@pytest.mark.parametrize("state", BEFORE_START, ids=lambda state: state.name)
def test_a_joiner_whose_worker_dies_says_so_and_is_left_out(state: AgentRunState) -> None:
    talk, b = joining(state)
    dead = agent_io.EngineEvent("run", 1, RunEventKind.WORKER_LOST, "worker 1 was killed by SIGKILL")
    b.feed(dead)
    assert b.core.runs["run", 1].state is A.FAILED if ("run", 1) in b.core.runs else True
    hear_again(b)
    assert ("run", 1) not in b.core.runs
    assert any("worker 1 was killed" in event for event in [*talk.run.notes, *talk.run.events])
    assert talk.run.state is RunState.RUNNING


@pytest.mark.parametrize("state", [A.ARMING, A.ARMED], ids=lambda state: state.name)
def test_a_joiner_whose_engine_ends_before_it_began_says_so(state: AgentRunState) -> None:
    talk, b = joining(state)
    b.finish(0, "all workers were lost")
    hear_again(b)
    assert any("the workers ended before the start" in event for event in [*talk.run.notes, *talk.run.events])
    assert ("run", 1) not in b.core.runs


def fetched(b: Agent) -> None:
    """All chunks of the file come and are stored."""
    for offset in range(0, FILE.size_bytes, 65536):
        end = min(offset + 65536, FILE.size_bytes)
        b.feed(agent_io.Received(FileChunk("run", FILE.digest, offset, bytes(end - offset))))
        b.feed(agent_io.ChunkStored("run", FILE.digest, end, end == FILE.size_bytes))


@pytest.mark.parametrize("state", BEFORE_START, ids=lambda state: state.name)
def test_a_joiner_that_reconnects_goes_on_where_it_was(state: AgentRunState) -> None:
    talk, b = joining(state)
    hear_again(b)
    run = b.core.runs["run", 1]
    if run.state is A.FETCHING:
        fetched(b)
    for reached, event in ((A.OPENING, STEPS[1][1]), (A.PREPARING, STEPS[2][1])):
        if run.state is reached:
            b.feed(event)
    if run.state is A.ARMING:
        b.feed(agent_io.EngineArmed("run", 1))
    b.begin()
    assert talk.run.agents["b"].state is ParticipantState.RUNNING and holes_of(talk) == 0


def test_a_joiner_that_failed_says_so_again_until_it_is_released() -> None:
    talk, b = joining(A.PREPARING)
    b.leave()
    b.feed(agent_io.EnginePrepared("run", 1, FaultKind.SCRIPT, "no module named foo"))
    b.come_back()
    assert talk.run.events == ["agent b could not join: no module named foo"]
    assert list(b.core.runs) == [("run", 2)], "it is back: it may try again"


@pytest.mark.parametrize("state", [A.FETCHING, A.PREPARING], ids=lambda state: state.name)
def test_a_joiner_that_takes_too_long_is_left_out(state: AgentRunState) -> None:
    talk, _ = joining(state)
    talk.after(61)
    assert any("not prepared in time" in event for event in talk.run.events)
    assert talk.run.state is RunState.RUNNING and list(talk.run.agents) == ["a"]


def test_files_that_can_not_be_fetched_leave_a_joiner_out() -> None:
    talk, b = joining(A.FETCHING)
    b.feed(agent_io.SandboxFailed("run", 1, FaultKind.DISK, "no space left on device"))
    assert talk.run.events == ["agent b could not join: no space left on device"]


# --- the first agents -----------------------------------------------------------------------------------------


def preparing(*, armed: bool = False) -> tuple[Conversation, Agent]:
    talk = Conversation()
    web = talk.join("web", engine=False)
    talk.submit(plan(scenario={"duration": "60s"}))
    if armed:
        web.feed(agent_io.SandboxReady("run", 1))
        web.feed(agent_io.EnginePrepared("run", 1))
    return talk, web


def test_agents_that_never_answer_are_named_when_time_is_up() -> None:
    for armed, limit_s, words in (
        (False, 66, "web did not prepare in time"),
        (True, 31, "web did not arm in time"),
    ):
        talk, web = preparing(armed=armed)
        web.core.runs["run", 1]._prepare_until_ns = 10**18  # a clock that stands still
        talk.after(limit_s)
        assert (talk.run.state, talk.run.cause) == (RunState.FAILED, words)


def test_a_stop_while_agents_arm_or_are_awaited_is_a_failure_to_start() -> None:
    talk, web = preparing(armed=True)
    assert talk.change(ChangeKind.PAUSE).detail == "run run is arming; only a running one can be changed"
    talk.stop()
    assert talk.run.cause == "enough (before the load began)" and not web.core.runs
    waiting = Conversation()
    waiting.submit(expect=3)
    waiting.stop()
    assert waiting.run.state is RunState.FAILED


def test_a_worker_that_dies_between_commit_and_start_is_a_loss_of_the_run() -> None:
    talk = Conversation("a", "b")
    talk.submit(plan(scenario={"duration": "60s"}), expect=2)
    talk["a"].feed(agent_io.EngineEvent("run", 1, RunEventKind.WORKER_LOST, "killed", (Ledger("s"),)))
    talk["a"].report(0, 0)
    assert talk.run.state is RunState.COMMITTED
    assert talk.run.notes == ["agent a lost a worker (killed); none of its requests are missing"]


def test_a_stop_at_once_before_the_start_instant() -> None:
    talk = Conversation("a")
    talk.submit(plan(scenario={"duration": "60s"}))
    talk.stop(graceful=False)
    assert talk["a"].of(agent_io.StopEngine)[-1].graceful is False
    talk["a"].finish(0, "enough")
    assert talk.run.state is RunState.COMPLETE


@pytest.mark.parametrize("begun", [True, False])
def test_one_that_is_to_leave_stops_by_itself_when_nobody_answers(begun: bool) -> None:
    talk = Conversation("a")
    talk.submit(plan(scenario={"duration": "60s"}, lease="30s"))
    if begun:
        talk.start()
    a = talk["a"]
    a.leave()
    a.feed(agent_io.DrainRequested("SIGTERM"))
    a.core.runs["run", 1].pass_time(talk.now + 9 * S)
    assert not a.of(agent_io.StopEngine)
    talk.after(10.1)
    assert a.of(agent_io.StopEngine)[-1].cause == "the agent leaves: SIGTERM"


def test_a_lease_that_ends_while_iterations_finish_interrupts_them() -> None:
    talk = Conversation("a")
    talk.submit(plan(scenario={"duration": "60s"}))
    talk.start()
    a = talk["a"]
    talk.stop()
    a.feed(agent_io.EngineEvent("run", 1, RunEventKind.SCRIPT_EXCEPTION, "KeyError"))
    a.leave()
    talk.to(a.of(agent_io.SetLease)[-1].end_mono_ns)
    assert [stop.graceful for stop in a.of(agent_io.StopEngine)] == [True, False]


def test_an_agent_that_lost_its_run_after_the_commit_is_replaced() -> None:
    talk = Conversation("a", "b")
    talk.submit(plan(scenario={"duration": "60s"}), expect=2)
    del talk["a"].core._runs["run", 1]
    talk["a"].cut()
    assert talk.run.agents["a"].lost_because == "it no longer knows the run"
    assert talk.run.state is RunState.COMMITTED
    talk.start()
    assert holes_of(talk) == 0 and talk.run.agents["a#2"].state is ParticipantState.COMMITTED


# --- ends -----------------------------------------------------------------------------------------------------


def draining() -> Conversation:
    """A run whose engines did not end in time, and were killed."""
    talk = Conversation("a", "b")
    talk.submit(plan(scenario={"duration": "60s"}), expect=2)
    talk.start()
    talk.stop()
    talk.after(8)
    assert talk.run.state is RunState.DRAINING
    return talk


def test_last_numbers_that_come_late_still_make_a_run_complete() -> None:
    talk = draining()
    assert isinstance(talk.change(ChangeKind.PAUSE), controller_io.ChangeRefused)
    for name in ("a", "b"):
        talk[name].finish(0, "killed")
    assert (talk.run.state, talk.run.stopped_by) == (RunState.COMPLETE, StoppedBy.OPERATOR)


def test_one_that_is_lost_while_last_numbers_are_awaited_is_not_awaited_any_more() -> None:
    talk = draining()
    talk["a"].finish(0, "killed")
    talk["b"].leave()
    talk.after(12)
    assert talk.run.state is RunState.INCOMPLETE and talk.run.agents["b"].state is ParticipantState.LOST
    lost = draining()
    del lost["a"].core._runs["run", 1]
    lost["a"].cut()
    assert lost.run.agents["a"].lost_because == "it no longer knows the run"


@pytest.mark.parametrize("armed", [True, False])
def test_an_answer_to_a_run_that_has_ended_is_acknowledged_by_letting_it_go(armed: bool) -> None:
    talk, b = joining(A.ARMING if armed else A.PREPARING)
    b.deaf = True
    talk.stop()
    talk["a"].finish(0, "enough")
    assert talk.run.state is RunState.COMPLETE and b.core.runs
    b.deaf = False
    if armed:
        b.feed(agent_io.EngineArmed("run", 1, FaultKind.WORKER, "out of memory"))
    else:
        b.feed(agent_io.EnginePrepared("run", 1, FaultKind.SCRIPT, "no module named foo"))
    assert not b.core.runs


def test_an_answer_to_a_run_that_has_failed_is_let_go_too() -> None:
    talk = Conversation("a")
    web = talk.join("web", engine=False)
    talk.submit(plan(scenario={"duration": "60s"}), expect=2)
    web.deaf = True
    talk.stop()
    web.deaf = False
    web.feed(agent_io.SandboxFailed("run", 1, FaultKind.DISK, "full"))
    assert talk.run.state is RunState.FAILED and not web.core.runs


def test_batches_of_a_complete_run_are_late() -> None:
    talk = Conversation("a", "b")
    talk.submit(plan(scenario={"duration": "60s"}), expect=2)
    talk.start()
    b = talk["b"]
    b.leave()
    talk.to(b.of(agent_io.SetLease)[-1].end_mono_ns)
    b.finish(0, "orphaned")
    talk.after(2)
    assert talk.run.agents["b"].state is ParticipantState.LOST
    talk.run.agents["b"].missing_at_most = 0
    talk.to((talk.run.start_controller_ns or 0) + 60 * S)
    talk["a"].finish(0)
    assert talk.run.state is RunState.COMPLETE
    b.come_back()
    assert talk.run.agents["b"].late_batches > 0 and not b.core.runs


def test_a_release_that_was_lost_with_a_stream_is_said_again() -> None:
    talk = Conversation("a", "b")
    talk.submit(plan(scenario={"duration": "60s"}, on_agent_loss="abort"), expect=2)
    talk.start()
    b = talk["b"]
    b.leave()
    talk.after(12)
    talk["a"].finish(0, "enough")
    assert talk.run.state is RunState.INCOMPLETE
    b.come_back()
    b.deaf = True
    b.finish(0, "orphaned")
    b.deaf = False
    assert b.core.runs
    b.cut()
    assert not b.core.runs


# --- links ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [LinkState.IDLE, LinkState.DIALING, LinkState.REGISTERING])
def test_an_agent_without_a_session_leaves_at_once(state: LinkState) -> None:
    talk = Conversation()
    if state is LinkState.IDLE:
        fresh = Agent(talk, "web", talk.join("web").core.__class__(talk["web"].core._config), "web/9")
        talk.agents["web/9"] = fresh
        fresh.feed(agent_io.DrainRequested("SIGTERM"))
        assert fresh.exit_code == ExitCode.PASSED
        return
    web = talk.join("web", reachable=False)
    if state is LinkState.REGISTERING:
        web.feed(agent_io.LinkUp())
    assert web.core.state is state
    web.feed(agent_io.DrainRequested("SIGTERM"))
    assert web.exit_code == ExitCode.PASSED


@pytest.mark.parametrize("registered", [True, False])
def test_a_controller_that_goes_away_is_dialled_again_later(registered: bool) -> None:
    talk = Conversation()
    web = talk.join("web", reachable=registered)
    if registered:
        web.reachable = False
    else:
        web.feed(agent_io.LinkUp())
    web.feed(agent_io.Received(Drain(S, 60 * S, "upgrade")))
    assert web.core.state is LinkState.DIALING
    assert web.of(agent_io.Dial)[-1].max_delay_ns == 10 * S


def test_an_agent_that_is_refused_in_mid_session_leaves() -> None:
    talk = Conversation("web")
    talk["web"].feed(agent_io.Received(Refused("quarantined", "look at the log", False)))
    assert talk["web"].exit_code == ExitCode.FLEET_COULD_NOT_START


class Peer:
    """An agent written by hand."""

    def __init__(self, talk: Conversation, link: int = 99) -> None:
        self.talk, self.link = talk, link
        talk.tell(controller_io.LinkOpened(link, "10.0.0.9:1", (), loopback=True))
        self.say(Register(1, 1, "peer", "peer", "peer/1", "1.0", 1, 1, 1))

    def say(self, message: Any) -> None:
        self.talk.tell(controller_io.Received(self.link, message))

    @property
    def state(self) -> AgentState:
        return self.talk.controller.agents["peer"].state


def test_one_that_registers_and_says_nothing_is_doubted_and_given_up() -> None:
    talk = Conversation()
    peer = Peer(talk)
    talk.after(3)
    assert peer.state is AgentState.SUSPECT
    talk.after(8)
    assert peer.state is AgentState.LOST


@pytest.mark.parametrize("doubted", [True, False])
def test_a_goodbye_is_taken_at_any_time(doubted: bool) -> None:
    talk = Conversation()
    peer = Peer(talk)
    talk.after(4 * doubted)
    peer.say(Goodbye("SIGTERM", drained=True))
    assert peer.state is AgentState.LEFT


def test_a_controller_that_sleeps_gives_up_nobody_on_waking_but_in_time() -> None:
    for online in (False, True):
        talk = Conversation()
        peer = Peer(talk)
        if online:
            peer.say(AgentBeat(1, talk.now))
        talk.now += 60 * S
        talk.tell(controller_io.TimePassed())
        assert peer.state in (AgentState.REGISTERED, AgentState.ONLINE)
        talk.after(3)
        assert peer.state is AgentState.LOST
