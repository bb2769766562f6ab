"""The agent's connection: every input in every state, beats, the clock, grants."""

from __future__ import annotations

from typing import Any

import pytest

from loadr.coordination import agent_io as io
from loadr.coordination.agent import TABLE, AgentConfig, AgentCore, LinkInput, LinkState
from loadr.coordination.messages import (
    Ack,
    AgentBeat,
    Assignment,
    ControllerBeat,
    Desired,
    Drain,
    FaultKind,
    Metrics,
    Prepared,
    Refused,
    Register,
    Registered,
    RunPhase,
)
from loadr.coordination.table import FAULT, IGNORE
from loadr.errors import ExitCode, InternalFault
from support.conversation import MS, Conversation, S

NOW = 1000 * S
WELCOME = Registered("controller", 1, "s-1", 1, (), S, 10 * S, 0)
EVENTS: dict[LinkInput, Any] = {
    LinkInput.LINK_UP: io.LinkUp(),
    LinkInput.LINK_DOWN: io.LinkDown("reset"),
    LinkInput.REGISTERED: io.Received(WELCOME),
    LinkInput.REFUSED: io.Received(Refused("no", "never", retry=False)),
    LinkInput.BEAT: io.Received(ControllerBeat(1, 0, 1, 0)),
    LinkInput.RUN_MESSAGE: io.Received(Desired("run", 1, 1, RunPhase.ARMED)),
    LinkInput.CONTROLLER_DRAINS: io.Received(Drain(0, 5 * S, "an upgrade")),
    LinkInput.WAKE: io.TimePassed(),
    LinkInput.DRAIN: io.DrainRequested("SIGTERM"),
}


def core(state: LinkState = LinkState.IDLE) -> AgentCore:
    out = AgentCore(AgentConfig("web", "Web", "web/1", "1.0", 4, 1 << 30, 2, {"zone": "a"}))
    order = list(LinkState)
    for event in [io.TimePassed(), io.LinkUp(), io.Received(WELCOME)][: order.index(state)]:
        out.handle(event, NOW)
    if state is LinkState.LEFT:
        out.handle(io.DrainRequested("SIGTERM"), NOW)
    assert out.state is state
    return out


def sent(effects: list[Any], message: type) -> list[Any]:
    return [e.message for e in effects if isinstance(e, io.Send) and isinstance(e.message, message)]


@pytest.mark.parametrize("given", LinkInput, ids=lambda given: given.name)
@pytest.mark.parametrize("state", LinkState, ids=lambda state: state.name)
def test_every_input_in_every_state_does_what_the_table_says(state: LinkState, given: LinkInput) -> None:
    agent = core(state)
    action = TABLE.action(state, given)
    if action == FAULT and given is LinkInput.LINK_UP:
        with pytest.raises(InternalFault, match="LINK_UP can not come in state"):
            agent.handle(EVENTS[given], NOW)
        return
    effects = agent.handle(EVENTS[given], NOW)
    if action == FAULT:
        kinds = [type(effect) for effect in effects]
        assert kinds == [io.Log, io.CloseLink, io.Dial] and "broke the protocol" in effects[0].text
    if action == IGNORE and state is not LinkState.IDLE:
        assert effects == [] and agent.state is state


def test_the_first_dial_is_at_once() -> None:
    agent = core()
    assert agent.deadline_ns() == 0
    assert agent.handle(io.TimePassed(), NOW) == [io.Dial(0, 3 * S)]


def test_it_registers_with_all_that_it_is() -> None:
    agent = core(LinkState.DIALING)
    agent.handle(io.HealthSampled(1.0, 2, 3, 4, 5, 6, 7777), NOW)
    (register,) = sent(agent.handle(io.LinkUp(), NOW), Register)
    assert register == Register(
        1, 1, "web", "Web", "web/1", "1.0", 4, 1 << 30, 2, {"zone": "a"}, (), (), "", 7777
    )


def test_eight_probes_follow_the_registration_each_on_the_answer_to_the_last() -> None:
    talk = Conversation("web")
    beats = talk["web"].sent(AgentBeat)
    assert [beat.number for beat in beats] == list(range(1, 9))
    talk.after(1)
    assert len(talk["web"].sent(AgentBeat)) == 9


def test_a_clock_that_is_known_already_is_not_probed_again_after_a_reconnect() -> None:
    talk = Conversation("web")
    talk.after(0.5)
    web = talk["web"]
    web.cut()
    talk.after(0.5)
    assert web.core.state is LinkState.ONLINE
    assert [beat.number for beat in web.sent(AgentBeat)[8:]] == [1], "the number of the new session"


def test_once_a_run_delivers_each_beat_goes_with_a_batch() -> None:
    talk = Conversation("web")
    talk.submit()
    talk.start()
    web = talk["web"]
    for number in range(4):
        talk.to(talk.run.start_controller_ns + (number + 1) * S)
        web.report(number, 10)
    sends = [(at, done.message) for at, done in enumerate(web.did) if isinstance(done, io.Send)]
    batches = [at for at, message in sends if isinstance(message, Metrics)]
    beats = [at for at, message in sends if isinstance(message, AgentBeat) and at > batches[0]]
    assert len(batches) >= 3 and len(beats) == len(batches)
    assert all(abs(beat - batch) == 1 for beat, batch in zip(beats, batches, strict=True)), (
        "one right at the other"
    )


def test_a_beat_carries_health_and_the_echo_of_the_last_answer() -> None:
    agent = core(LinkState.ONLINE)
    agent.handle(io.HealthSampled(55.0, 2, 3, 4, 5, 6, 7), NOW)
    answer = ControllerBeat(number=41, sent_mono_ns=77, echo_number=1, echo_received_mono_ns=70)
    (beat,) = sent(agent.handle(io.Received(answer), NOW + MS), AgentBeat)
    assert (beat.echo_number, beat.echo_sent_mono_ns, beat.echo_received_mono_ns) == (41, 77, NOW + MS)
    assert (beat.cpu_percent, beat.memory_bytes, beat.dispatch_lag_p99_ns, beat.wall_unix_ms) == (55.0, 2, 4, 8)
    assert beat.rtt_ns == MS - 7 and beat.clock_bound_ns >= beat.rtt_ns // 2


def test_beats_go_on_every_second_and_silence_ends_them() -> None:
    agent = core(LinkState.ONLINE)
    numbers = []
    while (deadline := agent.deadline_ns()) is not None and agent.state is LinkState.ONLINE:
        numbers += [beat.number for beat in sent(agent.handle(io.TimePassed(), deadline), AgentBeat)]
    assert numbers == [2, 3] and agent.state is LinkState.DIALING


def test_an_answer_to_a_beat_that_was_never_sent_is_nothing() -> None:
    agent = core(LinkState.ONLINE)
    before = agent.deadline_ns()
    assert agent.handle(io.Received(ControllerBeat(1, 0, 99, 0)), NOW + S // 2) == []
    assert agent.deadline_ns() == before


def test_an_acknowledgement_of_what_was_never_sent_closes_the_link() -> None:
    talk = Conversation("web")
    talk.submit()
    talk.start()
    web = talk["web"]
    web.deaf = True
    talk.after(1)
    last = web.sent(AgentBeat)[-1].number
    effects = web.core.handle(io.Received(ControllerBeat(9, 0, last, 0, (), (Ack("run", 77, 1),))), talk.now)
    assert [type(effect) for effect in effects] == [io.Log, io.CloseLink, io.Dial]


def test_a_refusal_for_now_is_tried_again_and_one_for_good_ends_the_process() -> None:
    agent = core(LinkState.REGISTERING)
    effects = agent.handle(io.Received(Refused("the fleet is full", "start fewer", retry=True)), NOW)
    assert [type(effect) for effect in effects] == [io.Log, io.CloseLink, io.Dial]
    agent = core(LinkState.REGISTERING)
    close, leave = agent.handle(io.Received(Refused("too old", "upgrade", retry=False)), NOW)
    assert isinstance(close, io.CloseLink)
    assert leave == io.Leave(
        ExitCode.FLEET_COULD_NOT_START, "the controller refused this agent: too old (upgrade)"
    )
    assert agent.deadline_ns() is None


def test_when_the_controller_drains_it_waits_before_it_dials() -> None:
    agent = core(LinkState.ONLINE)
    effects = agent.handle(io.Received(Drain(0, 5 * S, "an upgrade")), NOW)
    assert effects[-1] == io.Dial(8 * S, 3 * S) and effects[-2] == io.CloseLink("the controller drains")


def assigned(agent: AgentCore, run_id: str, now_ns: int = NOW) -> list[Any]:
    return agent.handle(io.Received(Assignment(run_id, 1, b"{}", "d" * 64, (), 60 * S)), now_ns)


def test_one_run_at_a_time_a_second_one_is_answered_busy() -> None:
    agent = core(LinkState.ONLINE)
    assigned(agent, "one")
    (said,) = sent(assigned(agent, "two"), Prepared)
    assert (said.run_id, said.fault, said.detail) == ("two", FaultKind.INTERNAL, "this agent is busy: one")
    assert list(agent.runs) == [("one", 1)]


def test_an_assignment_is_answered_with_a_beat_that_earns_the_first_lease() -> None:
    agent = core(LinkState.ONLINE)
    (beat,) = sent(assigned(agent, "one"), AgentBeat)
    assert [run.run_id for run in beat.runs] == ["one"]


def test_runs_whose_last_words_nobody_takes_are_bounded() -> None:
    agent = core(LinkState.ONLINE)
    for number in range(9):
        assigned(agent, f"run-{number}")
        agent.handle(io.SandboxFailed(f"run-{number}", 1, FaultKind.DISK, "full"), NOW)
    assert [run_id for run_id, _ in agent.runs] == ["run-5", "run-6", "run-7", "run-8"]


def test_events_of_a_run_that_is_not_known_are_ignored() -> None:
    agent = core(LinkState.ONLINE)
    for event in (
        io.SandboxReady("ghost", 1),
        io.ChunkStored("ghost", "d", 1, True),
        io.EngineStarted("ghost", 1, 0),
    ):
        assert agent.handle(event, NOW) == []
    assigned(agent, "one")
    assert agent.handle(io.EngineStarted("one", 7, 0), NOW) == [], "of another generation"


def test_a_broken_contract_of_the_shell_is_told_with_the_story() -> None:
    agent = core(LinkState.ONLINE)
    assigned(agent, "one")
    with pytest.raises(InternalFault) as caught:
        agent.handle(io.EngineStarted("one", 1, 0), NOW)
    assert "ENGINE_STARTED can not come in state OPENING" in str(caught.value)
    assert "Assignment(run_id=one" in str(caught.value)


def test_the_same_events_give_the_same_effects() -> None:
    one, other = core(), core()
    for event in (io.TimePassed(), io.LinkUp(), io.Received(WELCOME), io.LinkDown("x"), io.DrainRequested("y")):
        assert one.handle(event, NOW) == other.handle(event, NOW)
    assert one.story.text() == other.story.text()


def test_the_wall_clock_that_is_told_is_that_of_now_and_not_of_the_last_sample() -> None:
    talk = Conversation("web")
    web = talk["web"]
    web.feed(io.HealthSampled(0.0, 0, 0, 0, 0, 0, 1_700_000_000_000))
    sampled_ns = talk.now
    talk.after(3.5)
    beat = web.sent(AgentBeat)[-1]
    assert beat.sent_mono_ns - sampled_ns >= 2 * S
    assert beat.wall_unix_ms == 1_700_000_000_000 + (beat.sent_mono_ns - sampled_ns) // MS
