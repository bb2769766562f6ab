"""One run on the controller: from its submission to its verdict of completeness.

Takes what agents answer and deliver, losses, stop requests and time; gives messages to agents, batches to merge,
and changes of state. The table says what happens in which state; the methods say how.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from loadr.coordination import controller_io as io
from loadr.coordination.controller_io import RunState, StoppedBy
from loadr.coordination.controller_session import Member
from loadr.coordination.downlink import Downlink
from loadr.coordination.intake import Order
from loadr.coordination.messages import (
    Ack,
    ActiveRun,
    Armed,
    ControllerMessage,
    Desired,
    LeaseGrant,
    Metrics,
    Prepared,
    Resume,
    RunEvent,
    RunEventKind,
    RunHealth,
    RunPhase,
)
from loadr.coordination.participant import Participant
from loadr.coordination.table import FAULT, IGNORE, Row, Table
from loadr.coordination.timing import Timing
from loadr.coordination.views import AgentState, ParticipantState, ParticipantView, RunView
from loadr.coordination.wire import BadBatch
from loadr.errors import PeerFault
from loadr.schedule.ownership import share_out, slot_count
from loadr.units import NS_PER_MS, NS_PER_S, format_short_ns

MAX_BARRIER_NS = 30 * NS_PER_S
MAX_NOTES = 50


class RunInput(Enum):
    """What can happen to a run."""

    AGENT_ONLINE = "an agent is there"
    PREPARED = "an agent has prepared"
    ARMED = "an agent has armed"
    FAULTED = "an agent could not prepare or arm, or can not go on"
    REPORT = "a numbered batch or event"
    AGENT_LOST = "the load of an agent is over, and its numbers may be lost"
    STOP = "somebody wants it to end"
    DUE = "the time of the state is over"


S = RunState
P = ParticipantState
_BEFORE_COMMIT = (S.DRAFT, S.PREPARING, S.ARMING)
_ASSIGNED = (S.PREPARING, S.ARMING)
_LOADED = (S.COMMITTED, S.RUNNING, S.STOPPING, S.DRAINING)
_FINAL = (S.COMPLETE, S.INCOMPLETE, S.FAILED)

TABLE = Table(
    RunState,
    RunInput,
    {
        RunInput.AGENT_ONLINE: Row({"gather": (S.DRAFT,)}, rest=IGNORE),
        RunInput.PREPARED: Row({"note_prepared": (S.PREPARING,), FAULT: (S.DRAFT,)}, rest=IGNORE),
        RunInput.ARMED: Row({"note_armed": (S.ARMING,), FAULT: (S.DRAFT, S.PREPARING)}, rest=IGNORE),
        RunInput.FAULTED: Row({"fail_by_agent": _ASSIGNED, "drop_out": (*_LOADED, *_FINAL)}, rest=FAULT),
        RunInput.REPORT: Row({"take": (*_LOADED, *_FINAL)}, rest=FAULT),
        RunInput.AGENT_LOST: Row({"fail_by_loss": _ASSIGNED, "lose": _LOADED}, rest=IGNORE),
        RunInput.STOP: Row(
            {"cancel": _BEFORE_COMMIT, "stop": (S.COMMITTED, S.RUNNING), "stop_again": (S.STOPPING,)}, rest=IGNORE
        ),
        RunInput.DUE: Row(
            {
                "fail_to_gather": (S.DRAFT,),
                "fail_by_slowness": _ASSIGNED,
                "begin": (S.COMMITTED,),
                "end_load": (S.RUNNING,),
                "kill": (S.STOPPING,),
                "end_anyway": (S.DRAINING,),
            },
            rest=IGNORE,
        ),
    },
)


@dataclass(frozen=True, slots=True)
class Fact:
    """What a run is told beside the input; empty where it does not matter."""

    agent_id: str = ""
    message: Prepared | Armed | Metrics | RunEvent | None = None
    text: str = ""
    stopped_by: StoppedBy = StoppedBy.OPERATOR
    graceful: bool = True


class ControllerRun:
    """``members`` are all agents of the controller by id; ``send`` reaches one of them if it is connected."""

    def __init__(
        self,
        request: io.RunRequest,
        downlink: Downlink,
        *,
        now_ns: int,
        timing: Timing,
        members: Mapping[str, Member],
        send: Callable[[ParticipantView, ControllerMessage], None],
        do: Callable[[io.ControllerEffect], None],
        to_unix_ms: Callable[[int], int],
    ) -> None:
        self.view = RunView(request.run_id, request.plan, S.DRAFT, expect_agents=max(1, request.expect_agents))
        self.downlink = downlink
        self.deadline_ns: int | None = now_ns + timing.gather_ns
        self._participants: dict[str, Participant] = {}
        self._timing = timing
        self._members = members
        self._send = send
        self._do = do
        self._to_unix_ms = to_unix_ms
        self._revision = 0
        self._was_stopped = False  # agents were told to end: a cause in their last message is to be expected

    # --- what others see ------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        return self.view.state.is_final

    def participant(self, agent_id: str, incarnation: str) -> Participant | None:
        """The part of this very process in the run."""
        found = self._participants.get(agent_id)
        return found if found is not None and found.view.incarnation == incarnation else None

    def grant(self, part: Participant, health: RunHealth) -> LeaseGrant | None:
        """The lease that a good beat earns, if its load may go on."""
        if self.is_over or part.is_out or health.generation != part.view.generation:
            return None
        return LeaseGrant(self.view.run_id, part.view.generation, self.view.plan.lease_ns)

    def ack(self, part: Participant) -> Ack | None:
        """What was taken so far."""
        return Ack(self.view.run_id, part.intake.acked_seq) if part.intake.acked_seq else None

    # --- what happens ---------------------------------------------------------------------------------------

    def handle(self, given: RunInput, fact: Fact, now_ns: int) -> None:
        """Do what the table says. Raises `PeerFault` where it says `FAULT`, or a batch can not be."""
        action = TABLE.action(self.view.state, given)
        if action == IGNORE:
            return
        if action == FAULT:
            raise PeerFault(f"run {self.view.run_id}: {given.name} can not come in state {self.view.state.name}")
        getattr(self, f"_{action}")(fact, now_ns)

    def pass_time(self, now_ns: int) -> None:
        """See to the deadline of the state."""
        while self.deadline_ns is not None and now_ns >= self.deadline_ns:
            self.handle(RunInput.DUE, Fact(), now_ns)

    def _enter(self, state: RunState, deadline_ns: int | None, cause: str = "") -> None:
        self.view.state = state
        self.deadline_ns = deadline_ns
        if cause and not self.view.cause:
            self.view.cause = cause
        self._do(io.RunChanged(self.view.run_id, state, self.view.cause))

    def _part(self, fact: Fact) -> Participant:
        return self._participants[fact.agent_id]

    def _present(self) -> list[Participant]:
        """Those of whom something is still awaited."""
        return [part for part in self._participants.values() if not part.is_out]

    # --- gathering, preparing, arming -----------------------------------------------------------------------

    def _gather(self, _: Fact, now_ns: int) -> None:
        online = [member for member in self._members.values() if member.view.state is AgentState.ONLINE]
        if len(online) < self.view.expect_agents:
            return
        lease_ns = self.view.plan.lease_ns
        for member in online:
            agent = member.view
            part = ParticipantView(agent.agent_id, agent.name, agent.incarnation, 1, agent.weight)
            self._participants[agent.agent_id] = Participant(part)
            self.view.agents[agent.agent_id] = part
            member.lease_ns = lease_ns
        self._share_out()
        self._enter(S.PREPARING, now_ns + self._timing.prepare_ns + self._timing.stop_slack_ns)
        for part_ in self._participants.values():
            self._assign(part_)

    def _share_out(self) -> None:
        weights = {agent_id: float(part.view.weight) for agent_id, part in self._participants.items()}
        slots = slot_count(len(weights))
        for agent_id, shares in share_out(self.view.plan, weights, slots).items():
            view = self._participants[agent_id].view
            view.shares = shares
            held = sum(int.from_bytes(share.slots, "little").bit_count() for share in shares)
            view.share = held / (slots * len(shares))

    def _assign(self, part: Participant) -> None:
        view = part.view
        self._send(view, self.downlink.assignment(view.generation, self._timing.prepare_ns))

    def _fail_to_gather(self, _: Fact, __: int) -> None:
        online = sum(member.view.state is AgentState.ONLINE for member in self._members.values())
        self._fail(f"{self.view.expect_agents} agents are needed, and {online} are online")

    def _note_prepared(self, fact: Fact, now_ns: int) -> None:
        self._part(fact).view.state = P.PREPARED
        if all(part.view.state is P.PREPARED for part in self._participants.values()):
            self._enter(S.ARMING, now_ns + self._timing.arm_ns)
            self._want(RunPhase.ARMED)

    def _note_armed(self, fact: Fact, now_ns: int) -> None:
        part = self._part(fact)
        part.view.state = P.ARMED
        if isinstance(fact.message, Armed):
            part.view.clock_bound_ns = fact.message.clock_bound_ns
        if all(part.view.state is P.ARMED for part in self._participants.values()):
            self._commit(now_ns)

    def _commit(self, now_ns: int) -> None:
        timing = self._timing
        members = [self._members[agent_id] for agent_id in self._participants]
        local = all(member.view.loopback for member in members)
        rtt_ns = max(member.rtt_max_ns for member in members)
        barrier_ns = max(
            timing.barrier_loopback_ns if local else timing.barrier_network_ns, timing.barrier_rtts * rtt_ns
        )
        start_ns = now_ns + min(barrier_ns, MAX_BARRIER_NS)
        view = self.view
        view.start_controller_ns = start_ns
        view.start_unix_ms = self._to_unix_ms(start_ns)
        view.load_end_ns = start_ns + view.plan.duration_ns
        for part in self._participants.values():
            part.view.state = P.COMMITTED
        self._enter(S.COMMITTED, start_ns)
        self._want(RunPhase.RUNNING)

    def _want(self, phase: RunPhase, cause: str = "") -> None:
        """A new revision of the desired state, for everybody: who is cut off gets it on return."""
        self._revision += 1
        for part in self._participants.values():
            part.desired = Desired(
                run_id=self.view.run_id,
                generation=part.view.generation,
                revision=self._revision,
                phase=phase,
                start_unix_ms=self.view.start_unix_ms,
                start_controller_ns=self.view.start_controller_ns or 0,
                shares=part.view.shares if phase in (RunPhase.ARMED, RunPhase.RUNNING) else (),
                cause=cause,
            )
            self._send(part.view, part.desired)

    # --- failing before the load ----------------------------------------------------------------------------

    def _fail_by_agent(self, fact: Fact, _: int) -> None:
        part = self._part(fact)
        done = "prepare" if self.view.state is S.PREPARING else "arm"
        self._fail(f"agent {part.view.name} could not {done}: {fact.text}")

    def _fail_by_loss(self, fact: Fact, now_ns: int) -> None:
        part = self._part(fact)
        part.view.state = P.LOST
        part.view.lost_because = fact.text
        self._fail(f"agent {part.view.name} was lost before the start ({fact.text})")

    def _fail_by_slowness(self, _: Fact, __: int) -> None:
        ready = P.PREPARED if self.view.state is S.PREPARING else P.ARMED
        slow = [part.view.name for part in self._participants.values() if part.view.state is not ready]
        what = "prepare" if self.view.state is S.PREPARING else "arm"
        self._fail(f"{', '.join(slow)} did not {what} in time")

    def _cancel(self, fact: Fact, _: int) -> None:
        self.view.stopped_by = fact.stopped_by
        self._fail(f"{fact.text} (before the load began)")

    def _fail(self, cause: str) -> None:
        self._end(S.FAILED, cause)

    # --- load -----------------------------------------------------------------------------------------------

    def _begin(self, _: Fact, __: int) -> None:
        self._enter(S.RUNNING, self.view.load_end_ns)

    def _end_load(self, _: Fact, now_ns: int) -> None:
        """By plan. Agents know by themselves."""
        self._enter(S.STOPPING, now_ns + self._graceful_ns() + self._timing.stop_slack_ns)

    def _graceful_ns(self) -> int:
        return max(scenario.graceful_stop_ns for scenario in self.view.plan.scenarios.values())

    def _stop(self, fact: Fact, now_ns: int) -> None:
        self._stop_load(fact.text, fact.stopped_by, now_ns, graceful=fact.graceful)

    def _stop_again(self, fact: Fact, now_ns: int) -> None:
        """A graceful stop, or the end by plan, may be hastened."""
        if not fact.graceful:
            self._stop_load(fact.text, fact.stopped_by, now_ns, graceful=False)

    def _stop_load(self, cause: str, stopped_by: StoppedBy, now_ns: int, *, graceful: bool) -> None:
        view = self.view
        if not view.stopped_by:
            view.stopped_by = stopped_by
        view.load_end_ns = min(now_ns, view.load_end_ns or now_ns)
        self._was_stopped = True
        patience_ns = (self._graceful_ns() if graceful else 0) + self._timing.stop_slack_ns
        self._enter(S.STOPPING, now_ns + patience_ns, cause)
        self._want(RunPhase.STOPPING if graceful else RunPhase.KILLED, cause)

    def _kill(self, _: Fact, now_ns: int) -> None:
        """Engines that have not ended by now are interrupted; what is on its way up is awaited a while longer."""
        self._was_stopped = True
        self._enter(S.DRAINING, now_ns + self._timing.final_flush_ns)
        self._want(RunPhase.KILLED, self.view.cause or "the graceful stop took too long")

    def _lose(self, fact: Fact, now_ns: int) -> None:
        part = self._part(fact)
        if part.is_out:
            return
        part.lose(self.view, fact.text, now_ns)
        self._carry_on(part.flaws[-1], now_ns)

    def _drop_out(self, fact: Fact, now_ns: int) -> None:
        """It never started, and has nothing to deliver: it may forget the run at once."""
        if not self.is_over:
            self._lose(fact, now_ns)
        self._release(self._part(fact))

    def _carry_on(self, flaw: str, now_ns: int) -> None:
        """Load is missing: what is left of the fleet is stopped, and the run ends as incomplete."""
        self._note(flaw)
        if self.view.state in (S.COMMITTED, S.RUNNING):
            self._stop_load(flaw, StoppedBy.LOSS, now_ns, graceful=True)
        self._end_if_all_out()

    # --- numbered messages ----------------------------------------------------------------------------------

    def _take(self, fact: Fact, now_ns: int) -> None:
        """One batch or event. Raises `PeerFault` on a gap, `BadBatch` after a batch was rejected."""
        part, message = self._part(fact), fact.message
        if not isinstance(message, Metrics | RunEvent):
            return
        if message.generation != part.view.generation:
            raise PeerFault(f"run {message.run_id}: a batch of generation {message.generation}")
        order = part.intake.order(message.seq)
        if order is Order.REPEATED:
            return
        if order is Order.GAP:
            raise PeerFault(
                f"run {message.run_id}: batch {message.seq} came, and {part.intake.acked_seq + 1} was awaited"
            )
        if self.is_over:
            part.view.late_batches += 1
        if isinstance(message, Metrics):
            self._take_batch(part, message, now_ns)
        else:
            part.taken(message.seq)
            self._take_event(part, message, now_ns)

    def _take_batch(self, part: Participant, batch: Metrics, now_ns: int) -> None:
        elapsed_s = (now_ns - (self.view.start_controller_ns or now_ns)) / NS_PER_S
        try:
            intervals = part.intake.take(batch, elapsed_s)
        except BadBatch as bad:
            part.taken(batch.seq)
            part.view.rejected_batches += 1
            if not self.is_over:
                part.flaws.append(f"a batch of agent {part.view.name} was rejected: {bad.message}")
                self._note(part.flaws[-1])
            raise
        part.taken(batch.seq)
        self._do(io.Merge(batch.run_id, part.view.agent_id, batch.seq, intervals, late=self.is_over))

    def _take_event(self, part: Participant, event: RunEvent, now_ns: int) -> None:
        name = part.view.name
        if event.kind is RunEventKind.STARTED:
            if not part.is_out:
                part.started(event)
        elif event.kind is RunEventKind.FINISHED:
            self._take_last(part, event, now_ns)
        elif self.is_over:
            return
        elif event.kind is RunEventKind.WORKER_LOST:
            part.worker_lost = True
            part.flaws.append(f"agent {name} lost a worker: {event.cause}")
            self._carry_on(part.flaws[-1], now_ns)
        elif event.kind is RunEventKind.ORPHANED:
            part.orphaned()
            self._carry_on(part.flaws[-1], now_ns)
        elif event.kind is RunEventKind.ABORT_REQUESTED:
            self.handle(RunInput.STOP, Fact(text=event.cause, stopped_by=StoppedBy.TEST), now_ns)
        else:
            self._note(f"agent {name}: {event.cause}")

    def _take_last(self, part: Participant, event: RunEvent, now_ns: int) -> None:
        if self.is_over:
            self._release(part)
            return
        before = len(part.flaws)
        part.finished(event.ledgers, event.cause, was_asked=self._was_stopped)
        for flaw in part.flaws[before:]:
            self._note(flaw)
        if event.cause and self.view.state in (S.COMMITTED, S.RUNNING):
            self._stop_load(part.flaws[0], StoppedBy.LOSS, now_ns, graceful=True)
        self._end_if_all_out()

    # --- the end --------------------------------------------------------------------------------------------

    def _note(self, text: str) -> None:
        if text not in self.view.notes and len(self.view.notes) < MAX_NOTES:
            self.view.notes.append(text)

    def _end_if_all_out(self) -> None:
        if self.is_over or any(not part.is_out for part in self._participants.values()):
            return
        flaws = [flaw for part in self._participants.values() for flaw in part.flaws]
        if all(part.view.state is P.LOST for part in self._participants.values()):
            self._end(S.FAILED, flaws[0] if len(flaws) == 1 else f"all agents were lost; {flaws[0]}")
        elif flaws:
            self._end(S.INCOMPLETE, flaws[0])
        else:
            self._end(S.COMPLETE, self.view.cause)

    def _end_anyway(self, _: Fact, now_ns: int) -> None:
        waited = format_short_ns(self._timing.final_flush_ns)
        late = self._present()
        for part in late:
            part.lose(self.view, f"it did not deliver its last numbers within {waited}", now_ns)
            self._note(part.flaws[-1])
        self._end_if_all_out()
        for part in late:
            self._release(part)

    def _end(self, state: RunState, cause: str) -> None:
        self.view.cause = cause
        self._enter(state, None)
        self._do(io.RunEnded(self.view.run_id, state, cause))
        self._revision += 1
        for agent_id, part in self._participants.items():
            member = self._members.get(agent_id)
            if member is not None:
                member.lease_ns = self._timing.lease_ns
            if part.view.state is not P.LOST:
                self._release(part)

    def _release(self, part: Participant) -> None:
        """The agent may forget the run."""
        view = part.view
        part.desired = Desired(self.view.run_id, view.generation, self._revision, RunPhase.NONE)
        self._send(view, part.desired)

    # --- a new session of a participant ---------------------------------------------------------------------

    def resume(self, part: Participant, active: ActiveRun | None) -> Resume | None:
        """What to tell an agent that registers again and still knows this run, or not."""
        if active is None:
            return None
        done = self.is_over and (self.view.start_controller_ns is None or part.view.state is P.FINISHED)
        abandon = done or active.generation != part.view.generation
        return Resume(self.view.run_id, abandon, part.intake.acked_seq + 1)

    def go_on(self, part: Participant, active: ActiveRun | None, now_ns: int) -> None:
        """After the registration was answered: say again what may have been lost with the old session."""
        if self.is_over:
            return
        if active is None and part.view.state is P.ASSIGNED:
            self._assign(part)
        elif active is None:
            self.handle(RunInput.FAULTED, Fact(part.view.agent_id, text="it no longer knows the run"), now_ns)
        elif part.desired is not None:
            self._send(part.view, part.desired)


def to_unix_ms(offset_ms: int | None, controller_ns: int) -> int:
    """The wall clock at an instant of the controller's; 0 if nobody told it."""
    return 0 if offset_ms is None else offset_ms + controller_ns // NS_PER_MS
