"""The controller's core: everything a controller decides, without a clock, a socket or a process.

Takes `ControllerEvent`s and gives `ControllerEffect`s; see `controller_io` for the contract with the shell. This
module is the fleet: links, registration, liveness, strikes. What happens to a run is in `controller_run`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from loadr.coordination import controller_io as io
from loadr.coordination.admission import MESSAGES_PER_S, Admission, StrangerLog
from loadr.coordination.controller_run import ControllerRun, to_unix_ms
from loadr.coordination.controller_session import (
    MAX_ACTIVE_RUNS,
    TABLE,
    Member,
    SessionInput,
    Stream,
    refusal_of,
    shown,
    view_of,
    wall_ms,
)
from loadr.coordination.downlink import Downlink
from loadr.coordination.messages import (
    PROTOCOL_MAX,
    PROTOCOL_MIN,
    AgentBeat,
    AgentMessage,
    Armed,
    Claim,
    ControllerMessage,
    FileRequest,
    Goodbye,
    Metrics,
    Prepared,
    Refused,
    Register,
    Registered,
    RunEvent,
)
from loadr.coordination.participant import Participant
from loadr.coordination.run_table import Fact, RunInput
from loadr.coordination.story import Story
from loadr.coordination.table import FAULT, IGNORE
from loadr.coordination.timing import TIMING, Timing
from loadr.coordination.views import AgentState, AgentView, ParticipantView, RunView
from loadr.coordination.wire import BadBatch
from loadr.errors import PeerFault
from loadr.units import NS_PER_MS, format_short_ns

KEPT_RUNS = 8  # that have ended: late batches are acknowledged, and people may look at them
MAX_UNREGISTERED = 1000  # links at a time


@dataclass(frozen=True, slots=True)
class ControllerConfig:
    """``epoch`` only grows over the restarts of one controller: an agent never obeys an older one."""

    controller_id: str
    epoch: int = 1
    protocol_min: int = PROTOCOL_MIN
    protocol_max: int = PROTOCOL_MAX
    max_agents: int = 10_000


_INPUT_OF: dict[type, SessionInput] = {
    Register: SessionInput.REGISTER,
    AgentBeat: SessionInput.BEAT,
    Goodbye: SessionInput.GOODBYE,
    FileRequest: SessionInput.RUN_MESSAGE,
    Prepared: SessionInput.RUN_MESSAGE,
    Armed: SessionInput.RUN_MESSAGE,
    Metrics: SessionInput.RUN_MESSAGE,
    RunEvent: SessionInput.RUN_MESSAGE,
    Claim: SessionInput.RUN_MESSAGE,
}


class ControllerCore:
    """``handle`` every event with the time of now, carry the effects out, send `TimePassed` at the deadline.

    The time given never goes back.
    """

    def __init__(self, config: ControllerConfig, timing: Timing = TIMING) -> None:
        self.story = Story()
        self._config = config
        self._timing = timing
        self._streams: dict[int, Stream] = {}
        self._members: dict[str, Member] = {}
        self._views: dict[str, AgentView] = {}
        self._quarantine: dict[str, int] = {}  # agent id → until
        self._losses: dict[str, list[int]] = {}  # agent id → when it was lost, of late
        self._admission = Admission()
        self._strangers = StrangerLog()
        self._runs: dict[str, ControllerRun] = {}
        self._current: ControllerRun | None = None
        self._sessions = 0
        self._wall_offset_ms: int | None = None
        self._check_ns: int | None = None  # no session's silence means anything before
        self._out: list[io.ControllerEffect] = []

    # --- the interface --------------------------------------------------------------------------------------

    def handle(self, event: io.ControllerEvent, now_ns: int) -> list[io.ControllerEffect]:
        """What is to be done about ``event``, in this order."""
        self._pass_time(now_ns)
        if isinstance(event, io.Received):
            self._receive(event.link, event.message, now_ns)
        elif isinstance(event, io.LinkOpened):
            self._open(event, now_ns)
        elif isinstance(event, io.LinkClosed):
            self._closed(event, now_ns)
        elif isinstance(event, io.RunSubmitted):
            self._tell_wall(event.wall_unix_ms, now_ns)
            self._submit(event.request, now_ns)
        elif isinstance(event, io.StopRequested):
            self._stop(event, now_ns)
        elif isinstance(event, io.ChangeRequested):
            self._change_run(event, now_ns)
        elif isinstance(event, io.TokensLoaded):
            self._tell_wall(event.wall_unix_ms, now_ns)
            self._admission.load(event.tokens)
        else:
            self._tell_wall(event.wall_unix_ms, now_ns)
        if self._current is not None and self._current.is_over:
            self._current.downlink.forget_secrets()
            self._current = None
            self._look_soon(now_ns)  # leases, and so the patience with silence, may be others now
        effects, self._out = self._out, []
        self.story.record(now_ns, event, effects)
        return effects

    def deadline_ns(self) -> int | None:
        """When `TimePassed` matters next; None: not before another event."""
        due = [self._check_ns, self._current.next_ns() if self._current else None]
        return min((at for at in due if at is not None), default=None)

    @property
    def agents(self) -> Mapping[str, AgentView]:
        """All agents that are known, by id."""
        return self._views

    def run(self, run_id: str) -> RunView | None:
        """A run that is going on, or one of the last that ended."""
        run = self._runs.get(run_id)
        return run.view if run is not None else None

    @property
    def current_run(self) -> RunView | None:
        """The run that is not yet ended, if any."""
        return self._current.view if self._current is not None else None

    # --- time -----------------------------------------------------------------------------------------------

    def _tell_wall(self, wall_unix_ms: int, now_ns: int) -> None:
        if wall_unix_ms:
            self._wall_offset_ms = wall_unix_ms - now_ns // NS_PER_MS

    def _pass_time(self, now_ns: int) -> None:
        patience_ns = self._timing.suspect_for(self._timing.lease_ns)
        if self._check_ns is not None and now_ns >= self._check_ns + patience_ns:
            # It was this controller that was away: what agents have said meanwhile is still to be heard.
            self._check_ns = now_ns + patience_ns
        elif self._check_ns is not None and now_ns >= self._check_ns:
            self._check_sessions(now_ns)
        if self._current is not None:
            self._current.pass_time(now_ns)

    def _look_soon(self, at_ns: int) -> None:
        """Sessions are looked at again at ``at_ns`` or before. Beats only move their deadlines away."""
        self._check_ns = at_ns if self._check_ns is None else min(self._check_ns, at_ns)

    def _check_sessions(self, now_ns: int) -> None:
        timing = self._timing
        for stream in [s for s in self._streams.values() if s.member is None]:
            if now_ns >= stream.opened_ns + timing.register_ns:
                self._session(stream, SessionInput.NOT_REGISTERED, None, now_ns)
        for member in list(self._members.values()):
            if 0 < member.barred_until_ns <= now_ns:
                member.barred_until_ns = 0
                self._invite(member, now_ns)
            for given in (SessionInput.SILENT, SessionInput.LEASE_OVER):
                due_ns = member.good_ns + (
                    timing.suspect_for(member.lease_ns)
                    if given is SessionInput.SILENT
                    else timing.lost_for(member.lease_ns)
                )
                if now_ns >= due_ns:
                    self._member(member, given, "no beat for " + format_short_ns(now_ns - member.good_ns), now_ns)
        due = [s.opened_ns + timing.register_ns for s in self._streams.values() if s.member is None]
        due += [at for m in self._members.values() if (at := m.deadline_ns(timing)) is not None]
        due += [m.barred_until_ns for m in self._members.values() if m.barred_until_ns > now_ns]
        self._check_ns = min(due, default=None)
        for agent_id in [a for a, until_ns in self._quarantine.items() if now_ns >= until_ns]:
            del self._quarantine[agent_id]

    # --- links ----------------------------------------------------------------------------------------------

    def _open(self, event: io.LinkOpened, now_ns: int) -> None:
        if sum(stream.member is None for stream in self._streams.values()) >= MAX_UNREGISTERED:
            self._out.append(io.CloseLink(event.link, "too many links that have not registered"))
            return
        self._streams[event.link] = Stream(event.link, event.peer, event.identities, event.loopback, now_ns)
        self._look_soon(now_ns + self._timing.register_ns)

    def _closed(self, event: io.LinkClosed, now_ns: int) -> None:
        stream = self._streams.pop(event.link, None)
        if stream is None or stream.member is None:
            return
        stream.member.stream = None
        self._member(stream.member, SessionInput.LINK_CLOSED, event.reason, now_ns)

    def _close(self, stream: Stream, reason: str) -> None:
        """From this end; nothing of the link is heard any more."""
        if self._streams.pop(stream.number, None) is not None:
            self._out.append(io.CloseLink(stream.number, reason))
        if stream.member is not None and stream.member.stream is stream:
            stream.member.stream = None

    def _receive(self, number: int, message: AgentMessage, now_ns: int) -> None:
        stream = self._streams.get(number)
        if stream is None:
            return  # fenced or closed; what it still delivers is nobody's
        try:
            if not stream.allowance.take(now_ns):
                raise PeerFault(f"more than {MESSAGES_PER_S} messages a second")
            self._session(stream, _INPUT_OF[type(message)], message, now_ns)
        except BadBatch as bad:
            self._strike(stream, bad.message, now_ns, close=False)
        except PeerFault as fault:
            self._strike(stream, fault.message, now_ns, close=True)

    def _session(self, stream: Stream, given: SessionInput, fact: object, now_ns: int) -> None:
        action = TABLE.action(stream.state, given)
        if action == FAULT:
            raise PeerFault(f"{given.name} can not come in state {stream.state.name}")
        if action != IGNORE:
            getattr(self, f"_{action}")(stream, fact, now_ns)

    def _member(self, member: Member, given: SessionInput, why: str, now_ns: int) -> None:
        """What happens to an agent whether or not it has a link."""
        action = TABLE.action(member.view.state, given)
        if action == "suspect":
            self._change(member, AgentState.SUSPECT)
            self._out.append(io.Log("warning", f"agent {member.view.name} is suspect: {why}"))
            self._look_soon(member.good_ns + self._timing.lost_for(member.lease_ns))
        elif action == "lose":
            self._part_with(member, AgentState.LOST, why, now_ns)

    def _shut_out(self, stream: Stream, _: object, __: int) -> None:
        self._close(stream, "no registration within the time for it")

    def _change(self, member: Member, state: AgentState) -> None:
        if member.view.state is not state:
            member.view.state = state
            self._out.append(io.AgentChanged(member.view.agent_id))

    def _part_with(self, member: Member, state: AgentState, why: str, now_ns: int) -> None:
        """The agent is gone, and its load is certainly over, or is given up."""
        self._change(member, state)
        if member.stream is not None:
            self._close(member.stream, why)
        verb = " is lost" if state is AgentState.LOST else ""  # of one that left, ``why`` says so
        self._out.append(io.Log("warning", f"agent {member.view.name}{verb}: {why}"))
        if state is AgentState.LOST:
            self._note_loss(member.view.agent_id, now_ns)
        self._give_up(member, why, now_ns)

    def _give_up(self, member: Member, why: str, now_ns: int) -> None:
        """Nothing is awaited any more of what it does in the run."""
        alive_until_ns = min(now_ns, member.good_ns + member.lease_ns)
        for part in self._parts_in_current(member):
            if self._current is not None and part.is_out:
                self._current.left_by(part)
            elif self._current is not None:
                fact = Fact(
                    member.view.agent_id, text=why, generation=part.view.generation, until_ns=alive_until_ns
                )
                self._current.handle(RunInput.AGENT_LOST, fact, now_ns)

    def _note_loss(self, agent_id: str, now_ns: int) -> None:
        recent = [at for at in self._losses.get(agent_id, []) if at > now_ns - self._timing.flap_window_ns]
        self._losses[agent_id] = [*recent, now_ns][-self._timing.flaps :]
        for other in [a for a, at in self._losses.items() if at[-1] <= now_ns - self._timing.flap_window_ns]:
            del self._losses[other]

    def _bar_if_flapping(self, member: Member, now_ns: int) -> None:
        """An agent that comes and goes gets no share for a while: each time costs load."""
        losses = self._losses.get(member.view.agent_id, [])
        if len(losses) >= self._timing.flaps and losses[0] > now_ns - self._timing.flap_window_ns:
            until_ns = losses[-1] + self._timing.quarantine_ns
            if until_ns == member.barred_until_ns:
                return
            member.barred_until_ns = until_ns
            text = f"agent {member.view.name} was lost {len(losses)} times of late: it gets no share for a while"
            self._out.append(io.Log("warning", text))

    # --- faults of peers ------------------------------------------------------------------------------------

    def _strike(self, stream: Stream, reason: str, now_ns: int, *, close: bool) -> None:
        """Three faults of one process, and it is kept out for a while. Before it has registered, one will do."""
        member = stream.member
        if member is None:
            self._tell_of_stranger(f"peer {stream.peer} broke the protocol: {reason}", now_ns)
            self._close(stream, reason)
            return
        who = f"agent {member.view.name}"
        self._out.append(io.Log("warning", f"{who} broke the protocol: {reason}\n{self.story.text(10)}"))
        member.strikes += 1
        if member.strikes >= self._timing.strikes:
            self._quarantine[member.view.agent_id] = now_ns + self._timing.quarantine_ns
            member.strikes = 0
            self._part_with(member, AgentState.LOST, f"quarantined after {reason}", now_ns)
        elif close:
            self._close(stream, reason)
            self._member(member, SessionInput.LINK_CLOSED, reason, now_ns)

    def _tell_of_stranger(self, text: str, now_ns: int) -> None:
        line = self._strangers.line(text, now_ns)
        if line is not None:
            self._out.append(io.Log("warning", line))

    # --- registration ---------------------------------------------------------------------------------------

    def _register(self, stream: Stream, register: Register, now_ns: int) -> None:
        config = self._config
        refused = refusal_of(register, stream, config.protocol_min, config.protocol_max)
        refused = refused or self._refusal_here(register, now_ns)
        if refused is not None:
            name = shown(register.agent_id)
            self._tell_of_stranger(f"agent {name} at {stream.peer} was refused: {refused.reason}", now_ns)
            self._out.append(io.Send(stream.number, refused))
            self._close(stream, refused.reason)
            return
        token_id = self._admission.admit(register.token, register.incarnation)
        if token_id is not None:
            self._out.append(io.TokenUsed(token_id, register.agent_id, register.incarnation))
        member = self._members.get(register.agent_id)
        if member is not None and member.stream is not None:
            self._close(member.stream, "a newer stream of the same agent")
        if member is None or member.view.incarnation != register.incarnation:
            if member is not None:
                self._give_up(member, "another process has its name now", now_ns)
            self._forget_lost()
            member = Member(view_of(register, stream, now_ns), self._timing.lease_ns, now_ns)
            self._members[register.agent_id] = member
            self._views[register.agent_id] = member.view
        self._bar_if_flapping(member, now_ns)
        member.begin(stream, now_ns)
        self._out.append(io.AgentChanged(register.agent_id))
        self._look_soon(now_ns + self._timing.suspect_for(member.lease_ns))
        self._welcome(member, stream, register, now_ns)

    def _refusal_here(self, register: Register, now_ns: int) -> Refused | None:
        """Why this agent can not be taken beside the others, or not now."""
        config = self._config

        def refused(reason: str, hint: str, *, retry: bool) -> Refused:
            return Refused(reason, hint, retry, config.protocol_min, config.protocol_max)

        wall_unix_ms = wall_ms(self._wall_offset_ms, now_ns)
        unfit = self._admission.refusal(register.token, register.incarnation, wall_unix_ms)
        if unfit is not None:
            return refused(*unfit, retry=False)
        if now_ns < self._quarantine.get(register.agent_id, 0):
            return refused("it is quarantined: it broke the protocol too often", "look at the log", retry=True)
        member = self._members.get(register.agent_id)
        if member is None:
            if len(self._members) >= config.max_agents and not self._is_anybody_gone():
                return refused(f"the fleet is full ({config.max_agents} agents)", "start fewer", retry=True)
            return None
        if member.view.incarnation == register.incarnation:
            return None
        if member.view.state in (AgentState.REGISTERED, AgentState.ONLINE):
            return refused(
                f"another agent with the name {register.agent_id} is online, from {member.view.peer}",
                "give this one another name with --name",
                retry=False,
            )
        if member.view.state is AgentState.SUSPECT and self._has_load(member):
            return refused(
                f"the load of the agent that was {register.agent_id} before may not be over yet",
                "it will be taken in as soon as that is certain",
                retry=True,
            )
        return None

    def _parts_in_current(self, member: Member) -> list[Participant]:
        if self._current is None:
            return []
        return self._current.parts_of(member.view.agent_id, member.view.incarnation)

    def _has_load(self, member: Member) -> bool:
        run = self._current
        return run is not None and any(run.may_send(part) for part in self._parts_in_current(member))

    def _is_gone(self, member: Member) -> bool:
        gone = member.view.state in (AgentState.LOST, AgentState.LEFT)
        return gone and not self._parts_in_current(member)

    def _is_anybody_gone(self) -> bool:
        return any(self._is_gone(member) for member in self._members.values())

    def _forget_lost(self) -> None:
        """Make room for a newcomer: the one that is gone for longest is forgotten."""
        if len(self._members) < self._config.max_agents:
            return
        for agent_id, member in self._members.items():
            if self._is_gone(member):
                del self._members[agent_id], self._views[agent_id]
                return

    def _welcome(self, member: Member, stream: Stream, register: Register, now_ns: int) -> None:
        """`Registered` first, then whatever the agent may have missed."""
        timing, agent_id = self._timing, register.agent_id
        self._sessions += 1
        active = {(run.run_id, run.generation): run for run in register.active_runs}
        parts = [
            (run, part, active.get((run.view.run_id, part.view.generation)))
            for run in self._runs.values()
            for part in run.parts_of(agent_id, register.incarnation)
        ]
        resumes = [run.resume(part, known) for run, part, known in parts]
        registered = Registered(
            controller_id=self._config.controller_id,
            epoch=self._config.epoch,
            session_id=f"{self._config.controller_id}-{self._sessions}",
            protocol=min(self._config.protocol_max, register.protocol_max),
            features=(),
            beat_ns=timing.beat_for(timing.lease_ns),
            lease_ns=timing.lease_ns,
            flush_spread_ns=_spread_ns(agent_id, timing.flush_spread_ns),
            runs=tuple(resume for resume in resumes if resume is not None),
        )
        self._out.append(io.Send(stream.number, registered))
        for run, part, known in parts:
            run.go_on(part, known, now_ns)

    # --- what registered agents say -------------------------------------------------------------------------

    def _hear(self, stream: Stream, beat: AgentBeat, now_ns: int) -> None:
        member = stream.member
        if member is None:
            return
        good = member.hear(beat, now_ns, self._timing, wall_ms(self._wall_offset_ms, now_ns))
        grants, acks = [], []
        for health in beat.runs[:MAX_ACTIVE_RUNS]:
            run = self._runs.get(health.run_id)
            who = (member.view.agent_id, member.view.incarnation, health.generation)
            part = run.parts.find(*who) if run is not None else None
            if run is None or part is None:
                continue
            fact = Fact(who[0], generation=health.generation, revision=health.revision)
            run.handle(RunInput.APPLIED, fact, now_ns)
            if beat.draining:
                run.handle(RunInput.LEAVING, fact, now_ns)
            part.view.cpu_max_percent = max(part.view.cpu_max_percent, beat.cpu_percent)
            part.view.lag_p99_max_ns = max(part.view.lag_p99_max_ns, beat.dispatch_lag_p99_ns)
            grant, ack = run.grant(part, beat.sent_mono_ns) if good else None, run.ack(part)
            if grant is not None:
                grants.append(grant)
            if ack is not None:
                acks.append(ack)
        answer = member.answer(beat, now_ns, tuple(grants), tuple(acks))
        self._out.append(io.Send(stream.number, answer))
        is_free_again = 0 < member.barred_until_ns <= now_ns
        if good and (member.view.state is not AgentState.ONLINE or is_free_again):
            if is_free_again:
                member.barred_until_ns = 0
            self._change(member, AgentState.ONLINE)
            self._look_soon(now_ns + self._timing.suspect_for(member.lease_ns))
            self._invite(member, now_ns)

    def _invite(self, member: Member, now_ns: int) -> None:
        """It may take part in what is going on."""
        if self._current is not None:
            self._current.handle(RunInput.AGENT_ONLINE, Fact(member.view.agent_id), now_ns)
            self._look_soon(now_ns + self._timing.suspect_for(member.lease_ns))

    def _leave(self, stream: Stream, goodbye: Goodbye, now_ns: int) -> None:
        if stream.member is not None:
            why = f"it left: {goodbye.reason}" + ("" if goodbye.drained else " (not everything was delivered)")
            self._part_with(stream.member, AgentState.LEFT, why, now_ns)

    def _listen(
        self, stream: Stream, message: Prepared | Armed | Metrics | RunEvent | Claim | FileRequest, now_ns: int
    ) -> None:
        member = stream.member
        if member is None:
            return
        agent_id = member.view.agent_id
        run = self._runs.get(message.run_id)
        generation = None if isinstance(message, FileRequest) else message.generation
        part = run.parts.find(agent_id, member.view.incarnation, generation) if run is not None else None
        if run is None or part is None:
            raise PeerFault(f"agent {agent_id} has no part in run {message.run_id}")
        if isinstance(message, FileRequest):
            refusal = run.downlink.refusal(message)
            if refusal:
                raise PeerFault(refusal)
            self._out.append(io.SendFile(stream.number, message))
        elif isinstance(message, Prepared | Armed):
            given = RunInput.PREPARED if isinstance(message, Prepared) else RunInput.ARMED
            given = RunInput.FAULTED if message.fault else given
            run.handle(given, Fact(agent_id, message, message.detail, generation=message.generation), now_ns)
        elif isinstance(message, Claim):
            run.handle(RunInput.CLAIM, Fact(agent_id, message, generation=message.generation), now_ns)
        else:
            run.handle(RunInput.REPORT, Fact(agent_id, message, generation=message.generation), now_ns)

    # --- runs -----------------------------------------------------------------------------------------------

    def _submit(self, request: io.RunRequest, now_ns: int) -> None:
        if self._current is not None:
            busy = f"run {self._current.view.run_id} is going on; one run at a time"
            self._out.append(io.RunRefused(request.run_id, io.Refusal.BUSY, busy))
            return
        downlink = Downlink(request)
        fault = f"there is already a run {request.run_id}" if request.run_id in self._runs else downlink.fault
        if fault:
            self._out.append(io.RunRefused(request.run_id, io.Refusal.INVALID, fault))
            return
        while len(self._runs) > KEPT_RUNS:
            del self._runs[next(iter(self._runs))]
        run = ControllerRun(
            request,
            downlink,
            now_ns=now_ns,
            timing=self._timing,
            members=self._members,
            send=self._send_to,
            do=self._out_do,
            to_unix_ms=lambda controller_ns: to_unix_ms(self._wall_offset_ms, controller_ns),
        )
        self._runs[request.run_id] = self._current = run
        self._out.append(io.RunChanged(request.run_id, run.view.state, ""))
        run.handle(RunInput.AGENT_ONLINE, Fact(), now_ns)
        self._look_soon(now_ns)

    def _out_do(self, effect: io.ControllerEffect) -> None:
        self._out.append(effect)

    def _send_to(self, part: ParticipantView, message: ControllerMessage) -> None:
        member = self._members.get(part.agent_id)
        if member is not None and member.stream is not None and member.view.incarnation == part.incarnation:
            self._out.append(io.Send(member.stream.number, message))

    def _stop(self, event: io.StopRequested, now_ns: int) -> None:
        run = self._runs.get(event.run_id)
        if run is not None:
            fact = Fact(text=event.cause, stopped_by=event.stopped_by, graceful=event.graceful)
            run.handle(RunInput.STOP, fact, now_ns)

    def _change_run(self, event: io.ChangeRequested, now_ns: int) -> None:
        run = self._runs.get(event.run_id)
        if run is None:
            detail = f"there is no run {event.run_id}"
            self._out.append(io.ChangeRefused(event.run_id, io.Refusal.NO_SUCH_RUN, detail))
        else:
            run.handle(RunInput.CHANGE, Fact(change=event), now_ns)


def _spread_ns(agent_id: str, spread_ns: int) -> int:
    """A fixed part of the spread for each agent."""
    return int.from_bytes(sha256(agent_id.encode()).digest()[:4], "little") * spread_ns >> 32
