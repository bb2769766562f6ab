"""One run on the controller: from its submission to its end.

Takes what agents answer and deliver, losses, operators' requests and time; gives messages to agents, batches to
merge, and changes of state. What happens in which state is in `run_table`; the methods here say how. Who has a
part and what it was told is in `parts`, how load moves in `moving`, what an operator may change in `control`, and
what became of the run in `ending`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from loadr.coordination import controller_io as io
from loadr.coordination.control import ChangeInvalid, Control
from loadr.coordination.controller_io import RunState, StoppedBy
from loadr.coordination.controller_session import Member
from loadr.coordination.downlink import Downlink
from loadr.coordination.ending import Notes, ending_of, is_abandoned
from loadr.coordination.exchange import Exchange
from loadr.coordination.messages import (
    Ack,
    ActiveRun,
    Claim,
    ControllerMessage,
    LeaseGrant,
    Metrics,
    Resume,
    RunEvent,
    RunEventKind,
    RunPhase,
)
from loadr.coordination.moving import Moving
from loadr.coordination.participant import Participant
from loadr.coordination.parts import MAX_WAIT_NS, Parts
from loadr.coordination.reports import Reports
from loadr.coordination.run_table import TABLE, Fact, RunInput
from loadr.coordination.table import FAULT, IGNORE
from loadr.coordination.timing import Timing
from loadr.coordination.views import AgentState, ParticipantState, ParticipantView, RunView
from loadr.errors import PeerFault
from loadr.schedule.change import NEVER_RUN_NS
from loadr.units import NS_PER_MS, format_short_ns

S = RunState
P = ParticipantState


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
        self.deadline_ns: int | None = now_ns + (timing.gather_ns if request.wait_ns is None else request.wait_ns)
        self._request = request
        self.parts = Parts(self.view, downlink, timing, members, send)
        self.moving: Moving | None = None  # from the first deal on
        self._timing = timing
        self._members = members
        self._do = do
        self._to_unix_ms = to_unix_ms
        self._was_stopped = False  # agents were told to end: a cause in their last message is to be expected
        self._notes = Notes(self.view.notes, self.view.events)
        self._control = Control(request.plan)
        self._reports = Reports(self.view, self._notes, do)
        self.values = Exchange(self.view, self.parts, self._notes, timing)
        self._ended_in = S.DRAFT  # the state in which the load was over

    # --- what others see ------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        return self.view.state.is_final

    def parts_of(self, agent_id: str, incarnation: str) -> list[Participant]:
        """All parts of this very process, the oldest first."""
        return [part for part in self.parts.of_agent(agent_id) if part.view.incarnation == incarnation]

    def grant(self, part: Participant, sent_mono_ns: int) -> LeaseGrant | None:
        """The lease that a good beat earns, which the agent sent at that instant of its clock, if its load may
        go on."""
        if self.is_over or not self.may_send(part):
            return None
        if part.may_load:
            part.granted(sent_mono_ns + self.view.plan.lease_ns)
        return LeaseGrant(self.view.run_id, part.view.generation, self.view.plan.lease_ns)

    def may_send(self, part: Participant) -> bool:
        """It may be given leases: for load, or for a teardown."""
        return part.may_load or self.values.is_doing(part)

    def ack(self, part: Participant) -> Ack | None:
        """What was taken so far."""
        seq = part.intake.acked_seq
        return Ack(self.view.run_id, seq, part.view.generation) if seq else None

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
        if self.moving is not None and not self.is_over:
            self.moving.pass_time(now_ns)
        self.values.pass_time(now_ns)
        while self.deadline_ns is not None and now_ns >= self.deadline_ns:
            self.handle(RunInput.DUE, Fact(), now_ns)

    def next_ns(self) -> int | None:
        """When time alone changes something next."""
        moving = self.moving.next_ns() if self.moving is not None else None
        due = [moving, self.values.next_ns(), self.deadline_ns]
        return min((at for at in due if at is not None), default=None)

    def _enter(self, state: RunState, deadline_ns: int | None, cause: str = "") -> None:
        self.view.state = state
        self.deadline_ns = deadline_ns
        if state in (S.STOPPING, S.DRAINING):
            self.values.stop()
        if cause and not self.view.cause:
            self.view.cause = cause
        self._do(io.RunChanged(self.view.run_id, state, self.view.cause))

    def _part(self, fact: Fact) -> Participant:
        return self.parts.get(fact.agent_id, fact.generation)

    def _run_ns(self, now_ns: int) -> int:
        return now_ns - (self.view.start_controller_ns or now_ns)

    # --- gathering, preparing, arming -----------------------------------------------------------------------

    def _gather(self, _: Fact, now_ns: int) -> None:
        online = self._suited()
        if len(online) < self.view.expect_agents:
            return
        if faults := [fault for member in online for fault in self.parts.faults_of(member)]:
            self._end(S.FAILED, "; ".join(faults))
            return
        for member in online:
            self.parts.add(member, 1)
        self.moving = Moving(self.view, self.parts, self._notes, self._request.suits)
        self._enter(S.PREPARING, now_ns + self.parts.prepare_ns() + self._timing.stop_slack_ns)
        for part in self.parts:
            self.parts.assign(part)

    def _fail_to_gather(self, _: Fact, __: int) -> None:
        with_labels = "".join(f" with {key}={value}" for key, value in self._request.labels.items())
        wanted, online = self.view.expect_agents, len(self._suited())
        needed = f"{wanted} agents are" if wanted != 1 else "an agent is"
        self._end(S.FAILED, f"{needed} needed{with_labels}, and {online or 'none'} {_is(online)} online")

    def _suited(self) -> list[Member]:
        """The agents that are online and may take part."""
        return [
            member
            for member in self._members.values()
            if member.view.state is AgentState.ONLINE
            and not member.is_leaving
            and self._request.suits(member.view.labels)
        ]

    def _note_prepared(self, fact: Fact, now_ns: int) -> None:
        self.parts.prepared(self._part(fact))
        self._arm_if_prepared(now_ns)

    def _arm_if_prepared(self, now_ns: int) -> None:
        if self.moving is not None and all(part.view.state is P.PREPARED for part in self.parts):
            self._enter(S.ARMING, now_ns + self._timing.arm_ns)
            for part in self.parts:
                self.parts.desire(part, RunPhase.ARMED, shares=self.moving.held[part.view.key])

    def _note_armed(self, fact: Fact, now_ns: int) -> None:
        part = self._part(fact)
        part.view.state = P.ARMED
        part.view.clock_bound_ns = fact.clock_bound_ns
        if all(part.view.state is P.ARMED for part in self.parts):
            self._commit(now_ns)

    def _commit(self, now_ns: int) -> None:
        timing = self._timing
        local = all(self._members[part.view.agent_id].view.loopback for part in self.parts)
        least_ns = timing.barrier_loopback_ns if local else timing.barrier_network_ns
        start_ns = now_ns + min(max(least_ns, timing.barrier_rtts * self.parts.rtt_ns()), MAX_WAIT_NS)
        view = self.view
        view.start_controller_ns = start_ns
        view.start_unix_ms = self._to_unix_ms(start_ns)
        view.load_end_ns = start_ns + view.plan.duration_ns
        for part in self.parts:
            part.view.state = P.COMMITTED
        self._enter(S.COMMITTED, start_ns)
        self.parts.want(RunPhase.RUNNING)

    # --- failing before the load ----------------------------------------------------------------------------

    def _fail_by_agent(self, fact: Fact, _: int) -> None:
        part = self._part(fact)
        done = "prepare" if self.view.state is S.PREPARING else "arm"
        self._end(S.FAILED, f"agent {part.view.name} could not {done}: {fact.text}")

    def _fail_by_loss(self, fact: Fact, now_ns: int) -> None:
        part = self._part(fact)
        part.view.state = P.LOST
        part.view.lost_because = fact.text
        self._end(S.FAILED, f"agent {part.view.name} was lost before the start ({fact.text})")

    def _lose_early(self, fact: Fact, now_ns: int) -> None:
        """With a setup, which may take its time, the others go on: another does what this one was told to do."""
        part, plan = self._part(fact), self.view.plan
        if plan.setup is None or plan.on_agent_loss == "abort" or len(list(self.parts)) == 1:
            self._fail_by_loss(fact, now_ns)
            return
        self.parts.leave_out(part)
        self._notes.tell(f"agent {part.view.name} was lost before the start ({fact.text}); the others go on")
        self.values.away(part)
        if self.moving is not None:
            self.moving.end()
        self.moving = Moving(self.view, self.parts, self._notes, self._request.suits)
        self._arm_if_prepared(now_ns)

    def _fail_by_slowness(self, _: Fact, __: int) -> None:
        ready, what = (P.PREPARED, "prepare") if self.view.state is S.PREPARING else (P.ARMED, "arm")
        slow = [part.view.name for part in self.parts if part.view.state is not ready]
        self._end(S.FAILED, f"{', '.join(slow)} did not {what} in time")

    def _cancel(self, fact: Fact, _: int) -> None:
        self.view.stopped_by = fact.stopped_by
        self._end(S.FAILED, f"{fact.text} (before the load began)")

    # --- load -----------------------------------------------------------------------------------------------

    def _begin(self, _: Fact, now_ns: int) -> None:
        self._enter(S.RUNNING, self.view.load_end_ns)
        if not all(part.may_load for part in self.parts):
            self._redistribute(now_ns)
        for agent_id in list(self._members):
            self._invite(Fact(agent_id), now_ns)

    def _invite(self, fact: Fact, now_ns: int) -> None:
        if self.moving is not None:
            self.moving.invite(fact.agent_id, now_ns)

    def _arm_joiner(self, fact: Fact, _: int) -> None:
        if self.moving is not None:
            self.moving.arm(self._part(fact))

    def _take_in(self, fact: Fact, now_ns: int) -> None:
        if self.moving is not None:
            self.moving.take_in(self._part(fact), fact.clock_bound_ns, now_ns)

    def _note_applied(self, fact: Fact, now_ns: int) -> None:
        if self.moving is not None:
            self.moving.applied(self._part(fact), fact.revision, now_ns)

    def _let_go(self, fact: Fact, now_ns: int) -> None:
        if self.moving is not None:
            self.moving.let_go(self._part(fact), now_ns)

    def _redistribute(self, now_ns: int) -> None:
        if self.moving is not None and self.view.plan.on_agent_loss == "redistribute":
            self.moving.rebalance(now_ns)

    # --- what operators change ------------------------------------------------------------------------------

    def _change(self, fact: Fact, now_ns: int) -> None:
        request, view, moving = fact.change, self.view, self.moving
        if request is None or moving is None:
            return
        run_ns = self._run_ns(now_ns)
        at_run_ns = max(run_ns + self.parts.delay_ns(), moving.from_run_ns, 0)
        try:
            change = self._control.add(request.kind, request.scenario, request.value, at_run_ns)
        except ChangeInvalid as invalid:
            self._do(io.ChangeRefused(view.run_id, io.Refusal.INVALID, invalid.message, invalid.hint))
            return
        view.changes = self._control.changes
        self.parts.changed()
        self._notes.tell(self._control.words(change))
        self._do(io.ChangeAccepted(view.run_id, change, change.at_run_ns - run_ns))
        moving.tell_changes()
        end_ns = self._control.end_run_ns()
        view.load_end_ns = None if end_ns >= NEVER_RUN_NS else (view.start_controller_ns or 0) + end_ns
        if view.state is S.RUNNING:
            self.deadline_ns = view.load_end_ns
        if self._control.has_scaled:
            moving.scale(self._control.scaled_plan(), now_ns if view.state is S.RUNNING else None)

    def _refuse_change(self, _: Fact, __: int) -> None:
        detail = f"run {self.view.run_id} is {self.view.state.value}; only a running one can be changed"
        self._do(io.ChangeRefused(self.view.run_id, io.Refusal.INVALID, detail))

    # --- the end of the load --------------------------------------------------------------------------------

    def _end_load(self, _: Fact, now_ns: int) -> None:
        """By plan. Agents know by themselves."""
        if not self.parts.present():
            self._finish(now_ns)
            return
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
        self.values.skip_teardown = self.values.skip_teardown or not graceful
        patience_ns = (self._graceful_ns() if graceful else 0) + self._timing.stop_slack_ns
        self._enter(S.STOPPING, now_ns + patience_ns, cause)
        self.parts.want(RunPhase.STOPPING if graceful else RunPhase.KILLED, cause)
        self._end_if_all_out(now_ns)

    def _kill(self, _: Fact, now_ns: int) -> None:
        """Engines that have not ended by now are interrupted; what is on its way up is awaited a while longer."""
        self._was_stopped = True
        self._enter(S.DRAINING, now_ns + self._timing.final_flush_ns)
        self.parts.want(RunPhase.KILLED, self.view.cause or "the graceful stop took too long")

    # --- losses ---------------------------------------------------------------------------------------------

    def _lose(self, fact: Fact, now_ns: int) -> None:
        part = self._part(fact)
        if part.is_out or self.moving is None:
            return
        if self.parts.is_joining(part):
            self.moving.leave_out(part, fact.text, now_ns)
            self._end_if_all_out(now_ns)
            return
        until_ns = now_ns if fact.until_ns is None else min(now_ns, fact.until_ns)
        self.values.away(part)
        self._carry_on(part, part.lose(self.view, fact.text, until_ns, now_ns), now_ns)

    def _drop_out(self, fact: Fact, now_ns: int) -> None:
        """It has nothing to deliver: it may forget the run at once."""
        part = self._part(fact)
        if not self.is_over:
            self._lose(fact, now_ns)
        self.parts.release(part)

    def _carry_on(self, part: Participant, loss: str, now_ns: int) -> None:
        """Load or numbers of a part are gone: others take its share, or not, as the plan wants it."""
        if loss:
            self._notes.add_loss(part.view.key, loss, is_end=not part.may_load)
        if not part.may_load and self.moving is not None:
            self.values.over(part)
            self.moving.gone(part, now_ns)
        if loss and self.view.plan.on_agent_loss == "abort" and self.view.state in (S.COMMITTED, S.RUNNING):
            self._stop_load(loss, StoppedBy.LOSS, now_ns, graceful=True)
        elif self.view.state is S.RUNNING:
            self._redistribute(now_ns)
        self._end_if_all_out(now_ns)

    # --- numbered messages ----------------------------------------------------------------------------------

    def _take(self, fact: Fact, now_ns: int) -> None:
        """One batch or event. Raises `PeerFault` on a gap, `BadBatch` after a batch was rejected."""
        part, message = self._part(fact), fact.message
        if isinstance(message, Metrics):
            self._reports.take_batch(part, message, self._run_ns(now_ns))
        elif isinstance(message, RunEvent) and self._reports.take_event(part, message):
            self._heed(part, message, now_ns)

    def _heed(self, part: Participant, event: RunEvent, now_ns: int) -> None:
        if event.kind is RunEventKind.STARTED:
            part.started(event)
        elif event.kind is RunEventKind.FINISHED:
            self._take_last(part, event, now_ns)
        elif self.is_over:
            return
        elif event.kind is RunEventKind.WORKER_LOST:
            self._carry_on(part, part.lost_worker(event), now_ns)
        elif event.kind is RunEventKind.ORPHANED:
            if part.may_load:
                part.view.state = P.RETURNING  # its load is over, by its own word
            self._carry_on(part, part.orphaned(), now_ns)
        elif event.kind is RunEventKind.ABORT_REQUESTED:
            self.handle(RunInput.STOP, Fact(text=event.cause, stopped_by=StoppedBy.TEST), now_ns)
        else:
            self._notes.add(f"agent {part.view.name}: {event.cause}")

    def _take_last(self, part: Participant, event: RunEvent, now_ns: int) -> None:
        if self.is_over:
            self.parts.release(part)
            return
        flaws = len(part.flaws)
        was_asked = self._was_stopped or part.view.draining
        early = part.view.state is P.RETURNING or (bool(event.cause) and not was_asked)
        loss = part.finished(event.ledgers, event.cause, was_asked=was_asked)
        for flaw in part.flaws[flaws:]:
            self._notes.add(flaw)
        if early or part.view.draining:
            if not self.values.has_teardown or (part.view.draining and self.parts.present()):
                self.parts.release(part)
            if early and self.view.state is S.RUNNING:
                self._invite(Fact(part.view.agent_id), now_ns)
            self._carry_on(part, loss, now_ns)
        elif self.moving is not None:
            self.moving.gone(part, now_ns)
            self._end_if_all_out(now_ns)

    # --- the end --------------------------------------------------------------------------------------------

    def _end_if_all_out(self, now_ns: int) -> None:
        """Not while somebody is about to join that may take the load over."""
        may_go_on = self.view.state is S.RUNNING and self.view.plan.on_agent_loss == "redistribute"
        if self.is_over or self.view.state is S.TEARING_DOWN or self.parts.present():
            return
        if not (may_go_on and any(self.parts.is_joining(part) for part in self.parts)):
            self._finish(now_ns)

    def _finish(self, now_ns: int) -> None:
        self._ended_in = self.view.state
        if is_abandoned(self.view, self._loaded()):
            self.view.load_end_ns = min(now_ns, self.view.load_end_ns or now_ns)
        if self.values.has_teardown and self.values.can_tear_down:
            self._enter(S.TEARING_DOWN, None, self.view.cause)
            self.deadline_ns = now_ns + self.values.begin_teardown()
        else:
            self._close()

    def _loaded(self) -> list[Participant]:
        return [part for part in self.parts if not self.parts.is_joining(part)]

    def _close(self) -> None:
        """Load and teardown are over."""
        ending = ending_of(self.view, self._loaded(), self._ended_in)
        self.view.absorbed = ending.absorbed
        self._end(ending.state, ending.cause)

    def _give_up_teardown(self, _: Fact, __: int) -> None:
        self._close()

    def _break_off(self, fact: Fact, _: int) -> None:
        """Who kills a run does not wait for its teardown."""
        if not fact.graceful:
            self.values.skip_teardown = True
            self._close()

    # --- values of the fleet --------------------------------------------------------------------------------

    def _claim(self, fact: Fact, now_ns: int) -> None:
        if isinstance(fact.message, Claim):
            self.values.claim(self._part(fact), fact.message, now_ns)
        if self.view.state is S.PREPARING and self.values.setup_fault:
            self.view.stopped_by = StoppedBy.SCRIPT
            self._end(S.FAILED, self.values.setup_fault)
        elif self.view.state is S.TEARING_DOWN and self.values.is_torn_down:
            self._close()

    def left_by(self, part: Participant) -> None:
        """An agent is gone of whose part nothing more is awaited, but a teardown perhaps."""
        self.values.away(part)
        if self.view.state is S.TEARING_DOWN and not self.values.can_tear_down:
            self._close()

    def _end_anyway(self, _: Fact, now_ns: int) -> None:
        waited = format_short_ns(self._timing.final_flush_ns)
        late = self.parts.present()
        for part in late:
            loss = part.lose(self.view, f"it did not deliver its last numbers within {waited}", now_ns, now_ns)
            part.flaws.append(loss)
            self._notes.add_loss(part.view.key, loss, is_end=True)
        self._end_if_all_out(now_ns)
        for part in late:
            self.parts.release(part)

    def _end(self, state: RunState, cause: str) -> None:
        self.view.cause = cause
        self.values.end()
        self._enter(state, None)
        self._do(io.RunEnded(self.view.run_id, state, cause))
        if self.moving is not None:
            self.moving.end()
        for part in self.parts:
            member = self._members.get(part.view.agent_id)
            if member is not None:
                member.lease_ns = self._timing.lease_ns
            part.stop_at_ns = None
            if part.view.state is not P.LOST:
                self.parts.release(part)

    # --- a new session of a participant ---------------------------------------------------------------------

    def resume(self, part: Participant, active: ActiveRun | None) -> Resume | None:
        """What to tell an agent that registers again and still knows this part, or not."""
        if active is None:
            return None
        view = part.view
        done = view.state is P.FINISHED or (self.is_over and self.view.start_controller_ns is None)
        if view.state is P.LOST and not self.is_over and not done:
            view.state = P.RETURNING
        return Resume(self.view.run_id, done, part.intake.acked_seq + 1, view.generation)

    def go_on(self, part: Participant, active: ActiveRun | None, now_ns: int) -> None:
        """After the registration was answered: say again what may have been lost with the old session."""
        view = part.view
        if self.is_over:
            if part.desired is not None and part.desired.phase is RunPhase.NONE:
                self.parts.say_again(part)
        elif active is None and view.state is P.ASSIGNED:
            self.parts.assign(part)
        elif active is None and not part.is_out:
            fact = Fact(view.agent_id, text="it no longer knows the run", generation=view.generation)
            self.handle(RunInput.FAULTED, fact, now_ns)
        elif active is not None:
            self.parts.say_again(part)


def _is(count: int) -> str:
    return "is" if count < 2 else "are"


def to_unix_ms(offset_ms: int | None, controller_ns: int) -> int:
    """The wall clock at an instant of the controller's; 0 if nobody told it."""
    return 0 if offset_ms is None else offset_ms + controller_ns // NS_PER_MS
