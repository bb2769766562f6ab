"""The run on an agent: every input in every state, and the rules that the table can not say."""

from __future__ import annotations

from typing import Any

import pytest

from loadr.coordination import agent_io as io
from loadr.coordination.agent_run import TABLE, AgentRun, AgentRunState, RunInput
from loadr.coordination.clock import PeerClock
from loadr.coordination.messages import (
    MAX_WORDS_CHARACTERS,
    Armed,
    Assignment,
    Claim,
    ClaimKind,
    Desired,
    FaultKind,
    FileChunk,
    ManifestFile,
    Metrics,
    Prepared,
    RunEvent,
    RunEventKind,
    RunPhase,
    Value,
    ValueKind,
)
from loadr.coordination.outbox import Outbox
from loadr.coordination.table import FAULT, IGNORE
from loadr.coordination.timing import TIMING
from loadr.errors import InternalFault, PeerFault
from support.conversation import Conversation, S, ledger, second

NOW = 1000 * S
FILE = ManifestFile("a.csv", 10, "a" * 64)


def desired(phase: RunPhase, revision: int = 1) -> Desired:
    return Desired("run", 1, revision, phase, start_controller_ns=NOW + S, cause="enough")


FACTS: dict[RunInput, Any] = {
    RunInput.ASSIGNED: None,
    RunInput.CHUNK: FileChunk("run", FILE.digest, 0, bytes(10)),
    RunInput.WANT_ARMED: desired(RunPhase.ARMED),
    RunInput.WANT_RUNNING: desired(RunPhase.RUNNING),
    RunInput.WANT_STOPPING: desired(RunPhase.STOPPING),
    RunInput.WANT_KILLED: desired(RunPhase.KILLED),
    RunInput.SANDBOX_READY: io.SandboxReady("run", 1),
    RunInput.SANDBOX_MISSING: io.SandboxMissing("run", 1, (FILE,)),
    RunInput.SANDBOX_FAILED: io.SandboxFailed("run", 1, FaultKind.DISK, "full"),
    RunInput.CHUNK_STORED: io.ChunkStored("run", FILE.digest, 10, True),
    RunInput.ENGINE_PREPARED: io.EnginePrepared("run", 1),
    RunInput.ENGINE_ARMED: io.EngineArmed("run", 1),
    RunInput.ENGINE_STARTED: io.EngineStarted("run", 1, 5),
    RunInput.ENGINE_INTERVAL: io.EngineInterval("run", 1, second(0, 1)),
    RunInput.ENGINE_EVENT: io.EngineEvent("run", 1, RunEventKind.WORKER_LOST, "killed"),
    RunInput.ENGINE_CLAIM: io.EngineClaim("run", 1, Claim("run", 1, 1, 0, ClaimKind.ONCE, "setup")),
    RunInput.VALUE: Value("run", 1, 1, ValueKind.DO),
    RunInput.ENGINE_FINISHED: io.EngineFinished("run", 1, (ledger(1),)),
    RunInput.LEASE_ENDED: None,
    RunInput.PREPARE_TIMED_OUT: None,
    RunInput.REGISTERED: None,
    RunInput.DRAIN: "SIGTERM",
    RunInput.HAND_OVER_TIMED_OUT: None,
}
TO = {
    AgentRunState.OPENING: [],
    AgentRunState.FETCHING: [RunInput.SANDBOX_MISSING],
    AgentRunState.PREPARING: [RunInput.SANDBOX_READY],
}
TO[AgentRunState.READY] = [*TO[AgentRunState.PREPARING], RunInput.ENGINE_PREPARED]
TO[AgentRunState.ARMING] = [*TO[AgentRunState.READY], RunInput.WANT_ARMED]
TO[AgentRunState.ARMED] = [*TO[AgentRunState.ARMING], RunInput.ENGINE_ARMED]
TO[AgentRunState.COMMITTED] = [*TO[AgentRunState.ARMED], RunInput.WANT_RUNNING]
TO[AgentRunState.RUNNING] = [*TO[AgentRunState.COMMITTED], RunInput.ENGINE_STARTED]
TO[AgentRunState.STOPPING] = [*TO[AgentRunState.RUNNING], RunInput.WANT_STOPPING]
TO[AgentRunState.FLUSHING] = [*TO[AgentRunState.STOPPING], RunInput.ENGINE_FINISHED]
TO[AgentRunState.FAILED] = [RunInput.SANDBOX_FAILED]


class Bench:
    """A run in a given state, with its effects."""

    def __init__(
        self, state: AgentRunState = AgentRunState.OPENING, *, clock: bool = True, claims: bool = False
    ) -> None:
        self.out = Outbox()
        self.out.online = True
        peer = PeerClock()
        if clock:
            peer.exchange(NOW - 2, NOW - 1, NOW - 1, NOW)
        self.run = AgentRun(
            Assignment("run", 1, b"{}", "d" * 64, (FILE,), 60 * S),
            now_ns=NOW,
            heard_ns=NOW,
            lease_ns=10 * S,
            closes_after_ns=0,
            timing=TIMING,
            clock=peer,
            out=self.out,
        )
        for given in TO[state]:
            self.run.handle(given, NOW, FACTS[given])
            if given is RunInput.SANDBOX_READY and claims:
                self.run.handle(RunInput.ENGINE_CLAIM, NOW, FACTS[RunInput.ENGINE_CLAIM])
        assert self.run.state is state
        self.run.pump(NOW)
        self.out.take()

    def do(self, given: RunInput, fact: Any = None, now_ns: int = NOW) -> list[Any]:
        self.run.handle(given, now_ns, FACTS[given] if fact is None else fact)
        self.run.pump(now_ns)
        return self.out.take()


@pytest.mark.parametrize("given", RunInput, ids=lambda given: given.name)
@pytest.mark.parametrize("state", AgentRunState, ids=lambda state: state.name)
def test_every_input_in_every_state_does_what_the_table_says(state: AgentRunState, given: RunInput) -> None:
    bench = Bench(state, claims=given is RunInput.VALUE)
    action = TABLE.action(state, given)
    if action == FAULT:
        with pytest.raises((PeerFault, InternalFault), match=f"{given.name} can not come in state {state.name}"):
            bench.do(given)
        assert bench.run.state is state
        return
    effects = bench.do(given)
    if action == IGNORE:
        assert bench.run.state is state and not effects


BEFORE_START = [
    s for s in AgentRunState if s.name in ("OPENING", "FETCHING", "PREPARING", "READY", "ARMING", "ARMED")
]


@pytest.mark.parametrize("state", AgentRunState, ids=lambda state: state.name)
def test_load_starts_only_by_a_commit(state: AgentRunState) -> None:
    for given in RunInput:
        bench = Bench(state, claims=given is RunInput.VALUE)
        if TABLE.action(state, given) == FAULT:
            continue
        starts = any(isinstance(effect, io.StartEngine) for effect in bench.do(given))
        assert starts == (state is AgentRunState.ARMED and given is RunInput.WANT_RUNNING)


@pytest.mark.parametrize("state", BEFORE_START, ids=lambda state: state.name)
def test_a_lease_that_ends_before_the_start_lets_go_of_the_run(state: AgentRunState) -> None:
    bench = Bench(state)
    bench.run.pass_time(NOW + 10 * S)
    effects = bench.out.take()
    assert io.ForgetRun("run", 1) in effects and bench.run.state is AgentRunState.FAILED
    (said,) = [e.message for e in effects if isinstance(e, io.Send)]
    assert said.fault is FaultKind.TIMEOUT
    expected = Prepared if state.name in ("OPENING", "FETCHING", "PREPARING") else Armed
    assert isinstance(said, expected)


@pytest.mark.parametrize("name", ["COMMITTED", "RUNNING", "STOPPING"])
def test_a_lease_that_ends_under_load_stops_the_engine_once(name: str) -> None:
    bench = Bench(AgentRunState[name])
    bench.run.grant(NOW + 5 * S)
    bench.out.take()
    bench.run.pass_time(NOW + 5 * S - 1)
    assert bench.out.take() == []
    bench.run.pass_time(NOW + 5 * S)
    assert bench.out.take() == [io.StopEngine("run", 1, False, "orphaned")]
    bench.run.pass_time(NOW + 6 * S)
    bench.run.grant(NOW + 99 * S)
    assert bench.out.take() == [] and bench.run.orphaned
    assert bench.run.active(NOW + 6 * S).lease_left_ns == 0


def test_leases_only_grow() -> None:
    bench = Bench(AgentRunState.RUNNING)
    bench.run.grant(NOW + 5 * S)
    bench.run.grant(NOW + 4 * S)
    assert bench.out.take() == [io.SetLease("run", 1, NOW + 5 * S)]


def test_a_granted_lease_counts_even_if_it_is_shorter_than_the_first_patience() -> None:
    bench = Bench(AgentRunState.RUNNING)
    bench.run.grant(NOW + 3 * S)
    assert bench.run.deadline_ns() == NOW + 2 * S  # the first second is closed
    bench.run.pass_time(NOW + 3 * S)
    assert bench.run.orphaned


def test_only_a_newer_revision_is_applied() -> None:
    bench = Bench(AgentRunState.RUNNING)
    bench.run.desire(desired(RunPhase.STOPPING, 5), NOW)
    assert bench.run.revision == 5 and len(bench.out.take()) == 1
    for revision in (5, 4):
        bench.run.desire(desired(RunPhase.KILLED, revision), NOW)
    assert bench.out.take() == [] and bench.run.revision == 5


def test_a_phase_of_a_later_version_is_ignored() -> None:
    bench = Bench(AgentRunState.RUNNING)
    bench.run.desire(desired(RunPhase.PAUSED, 9), NOW)
    (log,) = bench.out.take()
    assert isinstance(log, io.Log) and bench.run.state is AgentRunState.RUNNING


def test_the_start_is_converted_to_the_agents_clock_and_its_bound_is_told() -> None:
    bench = Bench(AgentRunState.COMMITTED)
    (event,) = [e.message for e in bench.do(RunInput.ENGINE_STARTED) if isinstance(e, io.Send)]
    assert isinstance(event, RunEvent) and event.kind is RunEventKind.STARTED
    assert event.start_mono_ns == NOW + S and event.start_error_ns == 5
    assert 500_000 <= event.clock_bound_ns < 510_000  # 500 ppm of the second until the start


def test_without_a_clock_nothing_is_armed() -> None:
    bench = Bench(AgentRunState.ARMING, clock=False)
    (_, said) = bench.do(RunInput.ENGINE_ARMED)
    assert said.message.fault is FaultKind.CLOCK


def test_an_answer_is_given_again_on_a_new_session() -> None:
    assert [e.message for e in Bench(AgentRunState.READY).do(RunInput.REGISTERED)] == [Prepared("run", 1)]
    prepared, armed = [e.message for e in Bench(AgentRunState.ARMED).do(RunInput.REGISTERED)]
    assert prepared == Prepared("run", 1) and isinstance(armed, Armed) and not armed.fault
    (failed,) = [e.message for e in Bench(AgentRunState.FAILED).do(RunInput.REGISTERED)]
    assert failed == Prepared("run", 1, FaultKind.DISK, "full")


def test_an_acknowledgement_of_what_was_never_sent_is_a_fault_of_the_controller() -> None:
    with pytest.raises(PeerFault, match="batch 6 was acknowledged, and never sent"):
        Bench(AgentRunState.RUNNING).run.resume(7, NOW)


def test_a_stop_of_an_armed_run_still_ends_with_its_books() -> None:
    bench = Bench(AgentRunState.ARMED)
    assert bench.do(RunInput.WANT_STOPPING) == [io.StopEngine("run", 1, True, "enough")]
    last = [e.message for e in bench.do(RunInput.ENGINE_FINISHED) if isinstance(e, io.Send)]
    assert [m.kind for m in last if not isinstance(m, Metrics)] == [RunEventKind.FINISHED]


def test_what_others_see_of_a_state_is_a_phase_of_the_protocol() -> None:
    phases = {state.name: state.phase for state in AgentRunState}
    assert phases["OPENING"] is phases["FETCHING"] is RunPhase.PREPARING
    assert phases["COMMITTED"] is RunPhase.COMMITTED and phases["FAILED"] is RunPhase.NONE
    health = Bench(AgentRunState.RUNNING).run.health(7)
    assert (health.phase, health.vus, health.generation) == (RunPhase.RUNNING, 7, 1)


def test_the_words_of_a_fault_are_cut_to_what_a_message_takes() -> None:
    talk = Conversation()
    web = talk.join("web", engine=False)
    talk.submit()
    web.feed(io.SandboxReady("run", 1))
    web.feed(io.EnginePrepared("run", 1, FaultKind.SCRIPT, "x" * 10_000_000))
    (said,) = web.sent(Prepared)
    assert (said.fault, said.detail) == (FaultKind.SCRIPT, "x" * MAX_WORDS_CHARACTERS)
