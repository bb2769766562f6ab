"""The controller's fleet: registration, liveness, bounds; every input of a session in every state."""

from __future__ import annotations

from typing import Any

import pytest

from loadr.coordination import agent_io
from loadr.coordination import controller_io as io
from loadr.coordination.controller import ControllerConfig, ControllerCore
from loadr.coordination.controller_session import TABLE, SessionInput
from loadr.coordination.messages import (
    AgentBeat,
    ControllerBeat,
    Goodbye,
    Prepared,
    Refused,
    Register,
    Registered,
)
from loadr.coordination.table import FAULT, IGNORE
from loadr.coordination.views import AgentState
from support.conversation import Conversation, S, plan

NOW = 1000 * S


def register(name: str = "web", incarnation: str = "web/1") -> Register:
    return Register(1, 1, name, name, incarnation, "1.0", 2, 1 << 30, 2)


class Bench:
    """A controller with one link, whose agent is played by the test."""

    def __init__(self, state: AgentState = AgentState.ACCEPTED, **config: Any) -> None:
        self.core = ControllerCore(ControllerConfig("controller", **config))
        self.now = NOW
        self.do(io.LinkOpened(1, "10.0.0.1:5", (), loopback=True))
        if state is not AgentState.ACCEPTED:
            self.say(register())
        if state not in (AgentState.ACCEPTED, AgentState.REGISTERED):
            self.say(AgentBeat(1, self.now))
        if state is AgentState.SUSPECT:
            self.now += 3 * S
            self.do(io.TimePassed())
        if state is AgentState.LEFT:
            self.say(Goodbye("SIGTERM", drained=True))
        if state is AgentState.LOST:
            for seconds in (3, 8):
                self.now += seconds * S
                self.do(io.TimePassed())

    def do(self, event: Any) -> list[Any]:
        return self.core.handle(event, self.now)

    def say(self, message: Any, link: int = 1) -> list[Any]:
        return self.do(io.Received(link, message))

    def dial(self, link: int, message: Register) -> list[Any]:
        self.do(io.LinkOpened(link, "10.0.0.2:5", (), loopback=True))
        return self.say(message, link)


def sent(effects: list[Any], message: type) -> list[Any]:
    return [e.message for e in effects if isinstance(e, io.Send) and isinstance(e.message, message)]


MESSAGES: dict[SessionInput, Any] = {
    SessionInput.REGISTER: register(),
    SessionInput.BEAT: AgentBeat(2, NOW),
    SessionInput.RUN_MESSAGE: Prepared("run", 1),
    SessionInput.GOODBYE: Goodbye("SIGTERM", drained=True),
}


@pytest.mark.parametrize("given", MESSAGES, ids=lambda given: given.name)
@pytest.mark.parametrize("state", AgentState, ids=lambda state: state.name)
def test_every_message_in_every_state_does_what_the_table_says(state: AgentState, given: SessionInput) -> None:
    bench = Bench(state)
    effects = bench.say(MESSAGES[given])
    if state in (AgentState.LOST, AgentState.LEFT):
        assert effects == [], "the link was closed: what still comes is nobody's"
        return
    action = TABLE.action(state, given)
    closed = any(isinstance(effect, io.CloseLink) for effect in effects)
    assert closed == (action in (FAULT, "leave") or given is SessionInput.RUN_MESSAGE)
    assert action != IGNORE


def test_an_agent_is_online_from_its_first_beat_on_and_each_beat_is_answered_at_once() -> None:
    bench = Bench()
    (welcome,) = sent(bench.say(register()), Registered)
    assert (welcome.controller_id, welcome.epoch, welcome.protocol) == ("controller", 1, 1)
    assert (welcome.beat_ns, welcome.lease_ns) == (S, 10 * S) and 0 <= welcome.flush_spread_ns < S // 5
    assert bench.core.agents["web"].state is AgentState.REGISTERED
    (answer,) = sent(bench.say(AgentBeat(1, 5)), ControllerBeat)
    assert answer == ControllerBeat(1, NOW, 1, NOW)
    assert bench.core.agents["web"].state is AgentState.ONLINE


def test_silence_is_doubt_at_three_seconds_and_loss_at_eleven() -> None:
    bench = Bench(AgentState.ONLINE)
    assert bench.core.deadline_ns() == NOW + 3 * S
    bench.now = NOW + 3 * S
    assert io.AgentChanged("web") in bench.do(io.TimePassed())
    assert bench.core.agents["web"].state is AgentState.SUSPECT
    assert bench.core.deadline_ns() == NOW + 11 * S
    bench.now = NOW + 11 * S
    assert io.CloseLink(1, "no beat for 11.0s") in bench.do(io.TimePassed())
    assert bench.core.agents["web"].state is AgentState.LOST and bench.core.deadline_ns() is None


def test_a_good_beat_ends_the_doubt() -> None:
    bench = Bench(AgentState.SUSPECT)
    bench.now += 1
    bench.say(AgentBeat(2, 0, echo_number=1))
    assert bench.core.agents["web"].state is AgentState.SUSPECT, (
        "its echo is three seconds old: heard, but not good"
    )
    (answer,) = sent(bench.say(AgentBeat(3, 0, echo_number=2)), ControllerBeat)
    assert bench.core.agents["web"].state is AgentState.ONLINE and answer.number == 3


def test_an_early_wake_does_nothing() -> None:
    bench = Bench(AgentState.ONLINE)
    assert bench.do(io.TimePassed()) == []


def test_flush_spread_is_fixed_for_a_name_and_differs_between_names() -> None:
    spreads = set()
    for name in ("a", "b", "c", "d"):
        first, second = (sent(Bench().dial(2, register(name, "x")), Registered)[0] for _ in range(2))
        assert first.flush_spread_ns == second.flush_spread_ns
        spreads.add(first.flush_spread_ns)
    assert len(spreads) == 4


def test_a_full_fleet_refuses_newcomers_and_forgets_whoever_is_gone_first() -> None:
    bench = Bench(AgentState.ONLINE, max_agents=1)
    (refused,) = sent(bench.dial(2, register("db", "db/1")), Refused)
    assert refused.retry and "full" in refused.reason
    bench.say(Goodbye("SIGTERM", drained=True))
    assert sent(bench.dial(3, register("db", "db/1")), Registered)
    assert set(bench.core.agents) == {"db"}


def test_an_agent_that_left_may_come_back_as_another_process() -> None:
    bench = Bench(AgentState.LEFT)
    assert sent(bench.dial(2, register("web", "web/2")), Registered)
    assert bench.core.agents["web"].incarnation == "web/2"


def test_the_wall_clock_is_only_for_people() -> None:
    talk = Conversation("web")
    talk.submit(plan(scenario={"duration": "60s"}))
    talk.start()
    start_ns = talk.run.start_controller_ns
    talk.tell(io.TimePassed(wall_unix_ms=1))
    talk["web"].feed(agent_io.HealthSampled(0.0, 0, 0, 0, 0, 0, wall_unix_ms=3_600_001))
    talk.after(1)
    assert talk.run.start_controller_ns == start_ns
    assert talk.controller.agents["web"].wall_error_ms == 3_600_000


def test_ended_runs_are_kept_for_a_while_and_then_forgotten() -> None:
    talk = Conversation()
    for number in range(12):
        talk.submit(run_id=f"run-{number}", expect=5)
        talk.after(31)
    assert talk.controller.run("run-0") is None and talk.controller.run("run-11") is not None
    assert len(talk.controller._runs) <= 9


def test_a_run_id_is_used_once() -> None:
    talk = Conversation()
    talk.submit(expect=5)
    talk.after(31)
    talk.submit(expect=5)
    (refused,) = talk.of(io.RunRefused)
    assert refused.refusal is io.Refusal.INVALID


def test_a_run_that_can_not_be_sent_is_refused_before_anything_is_sent() -> None:
    talk = Conversation("web")
    talk.submit(plan(env={"BOOK": "x" * 2**20}))
    (refused,) = talk.of(io.RunRefused)
    assert refused.refusal is io.Refusal.INVALID and "at most 1 MiB" in refused.detail
    assert talk.controller.current_run is None


def test_a_stop_of_a_run_that_is_not_known_does_nothing() -> None:
    assert Bench().do(io.StopRequested("ghost", "enough")) == []


def test_a_fault_of_a_peer_is_logged_with_the_story() -> None:
    effects = Bench(AgentState.ONLINE).say(Prepared("ghost", 1))
    (log,) = [e for e in effects if isinstance(e, io.Log) and "broke" in e.text]
    assert "agent web broke the protocol: agent web has no part in run ghost" in log.text
    assert "AgentBeat(number=1" in log.text


def test_the_same_events_give_the_same_effects() -> None:
    one, other = Bench(), Bench()
    for message in (register(), AgentBeat(1, 5), Prepared("ghost", 1)):
        assert one.say(message) == other.say(message)
    assert one.core.story.text() == other.core.story.text()
