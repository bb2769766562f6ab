"""The agent's core: everything an agent decides, without a clock, a socket or a process.

Takes `AgentEvent`s and gives `AgentEffect`s; see `agent_io` for the contract with the shell. This module is the
connection: dial, register, beat, notice silence, dial again. What happens to a run is in `agent_run`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from loadr.coordination import agent_io as io
from loadr.coordination.agent_run import AgentRun, RunInput
from loadr.coordination.clock import PeerClock
from loadr.coordination.messages import (
    PROTOCOL_MAX,
    PROTOCOL_MIN,
    AgentBeat,
    Assignment,
    ControllerBeat,
    ControllerMessage,
    Corpus,
    Desired,
    Drain,
    FaultKind,
    FileChunk,
    Goodbye,
    Prepared,
    Refused,
    Register,
    Registered,
    RunPhase,
    Value,
    ValueKind,
)
from loadr.coordination.outbox import Outbox
from loadr.coordination.story import Story
from loadr.coordination.table import FAULT, IGNORE, Row, Table
from loadr.coordination.timing import TIMING, Timing
from loadr.coordination.values import TEARDOWN
from loadr.errors import ExitCode, InternalFault, PeerFault
from loadr.units import NS_PER_MS, format_duration_ns

KEPT_BEATS = 64  # sent and not yet answered; silence closes the link long before there are as many
KEPT_RUNS = 4  # whose last messages nobody has taken yet


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """Who the agent is. ``incarnation`` is random per process; ``weight`` is its capacity (its workers)."""

    agent_id: str
    agent_name: str
    incarnation: str
    software_version: str
    cores: int
    memory_bytes: int
    weight: int
    labels: Mapping[str, str] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    corpora: tuple[Corpus, ...] = ()
    protocol_min: int = PROTOCOL_MIN
    protocol_max: int = PROTOCOL_MAX


class LinkState(Enum):
    """Where the connection is."""

    IDLE = "nothing was done yet"
    DIALING = "the shell waits its jitter and connects"
    REGISTERING = "the stream is open, Register is on its way"
    ONLINE = "registered"
    LEFT = "the agent ends"


class LinkInput(Enum):
    """What can happen to the connection."""

    LINK_UP = "the stream is open"
    LINK_DOWN = "the stream ended, or could not be opened"
    REGISTERED = "the controller took the agent"
    REFUSED = "the controller did not"
    BEAT = "a beat was answered"
    RUN_MESSAGE = "a message about a run"
    CONTROLLER_DRAINS = "the controller goes away and will be back"
    WAKE = "time to act: first dial, next beat, silence, limits"
    DRAIN = "somebody wants the agent to leave"


L = LinkState
TABLE = Table(
    LinkState,
    LinkInput,
    {
        LinkInput.LINK_UP: Row({"register": (L.DIALING,), IGNORE: (L.LEFT,)}, rest=FAULT),
        LinkInput.LINK_DOWN: Row({"dial_again": (L.DIALING, L.REGISTERING, L.ONLINE)}, rest=IGNORE),
        LinkInput.REGISTERED: Row({"go_online": (L.REGISTERING,), FAULT: (L.ONLINE,)}, rest=IGNORE),
        LinkInput.REFUSED: Row({"refuse": (L.REGISTERING, L.ONLINE)}, rest=IGNORE),
        LinkInput.BEAT: Row({"hear": (L.ONLINE,), FAULT: (L.REGISTERING,)}, rest=IGNORE),
        LinkInput.RUN_MESSAGE: Row({"obey": (L.ONLINE,), FAULT: (L.REGISTERING,)}, rest=IGNORE),
        LinkInput.CONTROLLER_DRAINS: Row({"step_back": (L.ONLINE, L.REGISTERING)}, rest=IGNORE),
        LinkInput.WAKE: Row(
            {"dial": (L.IDLE,), "mind_registration": (L.REGISTERING,), "mind_session": (L.ONLINE,)}, rest=IGNORE
        ),
        LinkInput.DRAIN: Row({"leave": (L.IDLE,), IGNORE: (L.LEFT,)}, rest="drain"),
    },
)
_INPUT_OF: dict[type, LinkInput] = {
    Registered: LinkInput.REGISTERED,
    Refused: LinkInput.REFUSED,
    ControllerBeat: LinkInput.BEAT,
    Assignment: LinkInput.RUN_MESSAGE,
    FileChunk: LinkInput.RUN_MESSAGE,
    Desired: LinkInput.RUN_MESSAGE,
    Value: LinkInput.RUN_MESSAGE,
    Drain: LinkInput.CONTROLLER_DRAINS,
}
_RUN_INPUT_OF: dict[type, RunInput] = {
    io.SandboxReady: RunInput.SANDBOX_READY,
    io.SandboxMissing: RunInput.SANDBOX_MISSING,
    io.SandboxFailed: RunInput.SANDBOX_FAILED,
    io.EnginePrepared: RunInput.ENGINE_PREPARED,
    io.EngineArmed: RunInput.ENGINE_ARMED,
    io.EngineStarted: RunInput.ENGINE_STARTED,
    io.EngineInterval: RunInput.ENGINE_INTERVAL,
    io.EngineEvent: RunInput.ENGINE_EVENT,
    io.EngineClaim: RunInput.ENGINE_CLAIM,
    io.EngineFinished: RunInput.ENGINE_FINISHED,
}


class AgentCore:
    """``handle`` every event with the time of now, carry the effects out, and send `TimePassed` at the deadline.

    The first `deadline_ns` is 0: the first `TimePassed` makes the agent dial. The time given never goes back.
    """

    def __init__(self, config: AgentConfig, timing: Timing = TIMING) -> None:
        self.state = L.IDLE
        self.story = Story()
        self._config = config
        self._timing = timing
        self._out = Outbox()
        self._clock = PeerClock()
        self._runs: dict[tuple[str, int], AgentRun] = {}  # by run id and generation, in the order they came
        self._health = io.HealthSampled(0.0, 0, 0, 0, 0, 0, 0)
        self._health_at_ns = 0
        self._draining = ""
        self._drain_until_ns: int | None = None

        self._attempts = 0  # dials since the last beat that was answered
        self._controller_id = ""
        self._epoch = 0
        self._session = Registered("", 0, "", 0, (), timing.beat_ns, timing.lease_ns, 0)
        self._lease_ns = timing.lease_ns  # the shortest that is granted: it sets the pace of beats

        self._beats: deque[tuple[int, int]] = deque(maxlen=KEPT_BEATS)  # number, sent; 0 is the registration
        self._beat_number = 0
        self._beat_due_ns = 0
        self._probes_left = 0
        self._heard_ns = 0  # when the controller was last heard; while registering, when that began
        self._heard_sent_ns = 0  # when the last beat was sent that was answered
        self._last_beat: tuple[ControllerBeat, int] | None = None  # and when it came

    # --- the interface --------------------------------------------------------------------------------------

    def handle(self, event: io.AgentEvent, now_ns: int) -> list[io.AgentEffect]:
        """What is to be done about ``event``, in this order. Raises `InternalFault` if the shell breaks its
        contract; a controller that breaks the protocol is logged with the story, and its link closed."""
        try:
            for run in self._runs.values():
                run.pass_time(now_ns)
            self._dispatch(event, now_ns)
            self._wake(now_ns)
            # Every run is asked.
            if any([run.pump(now_ns) for run in self._runs.values()]):
                self._ride_along(now_ns)
        except PeerFault as fault:
            self._out.log("error", f"the controller broke the protocol: {fault.message}\n{self.story.text(20)}")
            self._break_off(fault.message, now_ns)
        except InternalFault as fault:
            self.story.record(now_ns, event, ())
            raise InternalFault(f"{fault.message}\n{self.story.text(20)}") from fault
        effects = self._out.take()
        self.story.record(now_ns, event, effects)
        return effects

    def deadline_ns(self) -> int | None:
        """When `TimePassed` matters next; None: not before another event."""
        if self.state is L.LEFT:
            return None
        if self.state is L.IDLE:
            return 0
        due = [at for run in self._runs.values() if (at := run.deadline_ns()) is not None]
        if self._drain_until_ns is not None:
            due.append(self._drain_until_ns)
        if self.state is L.REGISTERING:
            due.append(self._heard_ns + self._timing.register_ns)
        if self.state is L.ONLINE:
            due.append(min(self._beat_due_ns, self._heard_ns + self._timing.suspect_for(self._lease_ns)))
        return min(due, default=None)

    @property
    def runs(self) -> Mapping[tuple[str, int], AgentRun]:
        """The runs that are known, by id and generation; for tests and for people."""
        return self._runs

    # --- dispatch -------------------------------------------------------------------------------------------

    def _dispatch(self, event: io.AgentEvent, now_ns: int) -> None:
        if isinstance(event, io.Received):
            self._step(_INPUT_OF[type(event.message)], event.message, now_ns)
        elif isinstance(event, io.LinkUp):
            self._step(LinkInput.LINK_UP, event, now_ns)
        elif isinstance(event, io.LinkDown):
            self._step(LinkInput.LINK_DOWN, event, now_ns)
        elif isinstance(event, io.HealthSampled):
            self._health, self._health_at_ns = event, now_ns
        elif isinstance(event, io.DrainRequested):
            self._step(LinkInput.DRAIN, event, now_ns)
        elif isinstance(event, io.ChunkStored):
            run = self._newest(event.run_id)
            if run is not None:
                run.handle(RunInput.CHUNK_STORED, now_ns, event)
        elif not isinstance(event, io.TimePassed):
            run = self._runs.get((event.run_id, event.generation))
            if run is not None:
                run.handle(_RUN_INPUT_OF[type(event)], now_ns, event)
                if isinstance(event, io.EnginePrepared):
                    self._probe(now_ns)

    def _step(self, given: LinkInput, fact: object, now_ns: int) -> None:
        action = TABLE.action(self.state, given)
        if action == FAULT:
            text = f"{given.name} can not come in state {self.state.name}"
            raise InternalFault(text) if given is LinkInput.LINK_UP else PeerFault(text)
        if action != IGNORE:
            getattr(self, f"_{action}")(fact, now_ns)

    def _wake(self, now_ns: int) -> None:
        self._step(LinkInput.WAKE, None, now_ns)
        if self._draining and self.state is not L.LEFT:
            self._drain_on(now_ns)

    # --- dialling -------------------------------------------------------------------------------------------

    def _dial(self, _: object, now_ns: int) -> None:
        """Full jitter: U(0, min(cap, first·2ⁿ)); under a lease the cap is an eighth of what is left of it."""
        timing = self._timing
        cap_ns = timing.backoff_cap_ns
        for run in self._runs.values():
            if run.is_engaged and not run.orphaned:
                left_ns = run.active(now_ns).lease_left_ns
                cap_ns = min(cap_ns, max(timing.backoff_first_ns, left_ns // 8))
        delay_ns = 0
        if self.state is not L.IDLE:
            delay_ns = min(cap_ns, timing.backoff_first_ns << min(self._attempts, 16))
        self._attempts += 1
        self.state = L.DIALING
        self._out.online = False
        self._out.do(io.Dial(delay_ns, timing.suspect_for(self._lease_ns)))

    def _dial_again(self, event: io.LinkDown, now_ns: int) -> None:
        if self.state is L.ONLINE:
            self._out.log("warning", f"the link to the controller broke: {event.reason}")
        self._dial(None, now_ns)

    def _break_off(self, reason: str, now_ns: int) -> None:
        """Close the link from this end, and dial again."""
        if self.state in (L.REGISTERING, L.ONLINE):
            self._out.do(io.CloseLink(reason))
            self._dial(None, now_ns)

    def _step_back(self, drain: Drain, now_ns: int) -> None:
        self._out.log("info", f"the controller goes away: {drain.reason}")
        self._attempts = max(self._attempts, (drain.come_back_ns // self._timing.backoff_first_ns).bit_length())
        self._break_off("the controller drains", now_ns)

    # --- registration ---------------------------------------------------------------------------------------

    def _register(self, _: object, now_ns: int) -> None:
        config = self._config
        self.state = L.REGISTERING
        self._heard_ns = now_ns
        self._beats.clear()
        self._beats.append((0, now_ns))
        self._beat_number = 0
        self._last_beat = None
        register = Register(
            protocol_min=config.protocol_min,
            protocol_max=config.protocol_max,
            agent_id=config.agent_id,
            agent_name=config.agent_name,
            incarnation=config.incarnation,
            software_version=config.software_version,
            cores=config.cores,
            memory_bytes=config.memory_bytes,
            weight=config.weight,
            labels=config.labels,
            features=config.features,
            active_runs=tuple(run.active(now_ns) for run in self._runs.values()),
            last_controller=self._controller_id,
            wall_unix_ms=self._wall_unix_ms(now_ns),
            corpora=config.corpora,
        )
        self._out.do(io.Send(register))

    def _mind_registration(self, _: object, now_ns: int) -> None:
        if now_ns >= self._heard_ns + self._timing.register_ns:
            self._break_off("the controller did not answer the registration", now_ns)

    def _go_online(self, session: Registered, now_ns: int) -> None:
        if session.epoch < self._epoch and session.controller_id == self._controller_id:
            self._out.log(
                "error", f"refused to obey controller {session.controller_id}: its epoch is an older one"
            )
            self._break_off("an older epoch of the controller", now_ns)
            return
        if (session.controller_id, session.epoch) != (self._controller_id, self._epoch):
            self._clock.reset()
        self._controller_id, self._epoch = session.controller_id, session.epoch
        self._session = session
        self._lease_ns = session.lease_ns
        self.state = L.ONLINE
        self._out.online = True
        self._heard_ns = now_ns
        self._heard_sent_ns = self._beats[0][1]
        resumed = {(r.run_id, r.generation): r for r in session.runs if not r.abandon}
        for key, run in list(self._runs.items()):
            if key in resumed:
                run.resume(resumed[key].resume_seq, now_ns)
            else:
                self._out.log("info", f"run {run.run_id}: the controller has no use for it any more")
                self._forget(run)
        if self._clock.best(now_ns) is None:
            self._probe(now_ns)
        else:
            self._beat(now_ns)  # the same clock as before; a fleet that comes back at once has enough to say

    def _refuse(self, refused: Refused, now_ns: int) -> None:
        hint = f" ({refused.hint})" if refused.hint else ""
        text = f"the controller refused this agent: {refused.reason}{hint}"
        if refused.retry:
            self._out.log("warning", text)
            self._break_off("refused for now", now_ns)
        else:
            self._leave_now(ExitCode.FLEET_COULD_NOT_START, text)

    # --- beats ----------------------------------------------------------------------------------------------

    def _probe(self, now_ns: int) -> None:
        """A row of beats, each as soon as the last one was answered: the clock is known well at once."""
        if self.state is L.ONLINE:
            self._probes_left = self._timing.probes - 1
            self._beat(now_ns)

    def _wall_unix_ms(self, now_ns: int) -> int:
        """The wall clock now, by the last sample; 0 before there is one."""
        sampled = self._health.wall_unix_ms
        return sampled + (now_ns - self._health_at_ns) // NS_PER_MS if sampled else 0

    def _mind_session(self, _: object, now_ns: int) -> None:
        if now_ns >= self._heard_ns + self._timing.suspect_for(self._lease_ns):
            self._break_off("the controller is silent", now_ns)
        elif now_ns >= self._beat_due_ns:
            self._beat(now_ns)

    def _beat(self, now_ns: int) -> None:
        self._beat_number += 1
        self._beats.append((self._beat_number, now_ns))
        self._beat_due_ns = now_ns + min(self._session.beat_ns, self._timing.beat_for(self._lease_ns))
        health = self._health
        best = self._clock.best(now_ns)
        echo, echo_came_ns = self._last_beat or (None, 0)
        self._out.send(
            AgentBeat(
                number=self._beat_number,
                sent_mono_ns=now_ns,
                echo_number=echo.number if echo else 0,
                echo_sent_mono_ns=echo.sent_mono_ns if echo else 0,
                echo_received_mono_ns=echo_came_ns,
                runs=tuple(run.health(health.vus) for run in self._runs.values()),
                cpu_percent=health.cpu_percent,
                memory_bytes=health.memory_bytes,
                loop_lag_ns=health.loop_lag_ns,
                dispatch_lag_p99_ns=health.dispatch_lag_p99_ns,
                queue_depth=health.queue_depth,
                rtt_ns=best.rtt_ns if best else 0,
                clock_offset_ns=best.offset_ns if best else 0,
                clock_bound_ns=best.bound_ns(now_ns) if best else 0,
                wall_unix_ms=self._wall_unix_ms(now_ns),
                draining=bool(self._draining),
            )
        )

    def _ride_along(self, now_ns: int) -> None:
        """A beat that is due soon goes with the batch: the link makes one message of them."""
        interval_ns = min(self._session.beat_ns, self._timing.beat_for(self._lease_ns))
        if self.state is L.ONLINE and now_ns < self._beat_due_ns <= now_ns + interval_ns // 2:
            self._beat(now_ns)

    def _hear(self, beat: ControllerBeat, now_ns: int) -> None:
        while self._beats and self._beats[0][0] < beat.echo_number:
            self._beats.popleft()
        if not self._beats or self._beats[0][0] != beat.echo_number:
            return  # the answer to a beat that was never sent, or answered before
        sent_ns = self._beats[0][1]
        self._heard_ns = now_ns
        self._heard_sent_ns = sent_ns
        self._attempts = 0
        self._last_beat = beat, now_ns
        self._clock.exchange(sent_ns, beat.echo_received_mono_ns, beat.sent_mono_ns, now_ns)
        for ack in beat.acks:
            run = self._runs.get((ack.run_id, ack.generation))
            if run is not None and not run.uplink.acknowledge(ack.seq):
                raise PeerFault(f"run {ack.run_id}: batch {ack.seq} was acknowledged, and never sent")
        for grant in beat.grants:
            run = self._runs.get((grant.run_id, grant.generation))
            if run is not None:
                run.grant(sent_ns + grant.lease_ns)
        self._lease_ns = min((g.lease_ns for g in beat.grants), default=self._session.lease_ns)
        self._beat_due_ns = min(self._beat_due_ns, now_ns + self._timing.beat_for(self._lease_ns))
        if self._probes_left:
            self._probes_left -= 1
            self._beat(now_ns)

    # --- runs -----------------------------------------------------------------------------------------------

    def _obey(self, message: ControllerMessage, now_ns: int) -> None:
        if isinstance(message, Assignment):
            self._take(message, now_ns)
        elif isinstance(message, FileChunk):
            run = self._newest(message.run_id)
            if run is not None:
                run.handle(RunInput.CHUNK, now_ns, message)
        elif isinstance(message, Value):
            run = self._runs.get((message.run_id, message.generation))
            if run is not None:
                run.handle(RunInput.VALUE, now_ns, message)
                if message.kind is ValueKind.DO:
                    self._beat(now_ns)  # it is done under a lease, which comes with the answer
        elif isinstance(message, Desired):
            run = self._runs.get((message.run_id, message.generation))
            if run is not None and message.phase is RunPhase.NONE:
                self._forget(run)
            elif run is not None and run.desire(message, now_ns):
                self._beat(now_ns)  # that it was applied is awaited where load moves

    def _take(self, assignment: Assignment, now_ns: int) -> None:
        known = self._newest(assignment.run_id)
        if known is not None and known.generation >= assignment.generation:
            known.handle(RunInput.ASSIGNED, now_ns)
            return
        busy = next(
            (run.run_id for run in self._runs.values() if run.is_engaged), "leaving" * bool(self._draining)
        )
        if busy:
            detail = f"this agent is busy: {busy}"
            self._out.send(Prepared(assignment.run_id, assignment.generation, FaultKind.INTERNAL, detail))
            return
        if len(self._runs) >= KEPT_RUNS:
            oldest = next(iter(self._runs.values()))
            self._out.log("warning", f"run {oldest.run_id}: its last messages were never taken; given up")
            self._forget(oldest)
        self._runs[assignment.run_id, assignment.generation] = AgentRun(
            assignment,
            now_ns=now_ns,
            heard_ns=self._heard_sent_ns,
            lease_ns=self._session.lease_ns,
            closes_after_ns=self._timing.flush_after_ns + self._session.flush_spread_ns,
            timing=self._timing,
            clock=self._clock,
            out=self._out,
        )
        self._beat(now_ns)  # the first lease comes with its answer

    def _newest(self, run_id: str) -> AgentRun | None:
        """The latest generation of a run that is known here."""
        return next((run for run in reversed(self._runs.values()) if run.run_id == run_id), None)

    def _forget(self, run: AgentRun) -> None:
        del self._runs[run.run_id, run.generation]
        self._out.do(io.ForgetRun(run.run_id, run.generation))

    # --- leaving --------------------------------------------------------------------------------------------

    def _leave(self, event: io.DrainRequested, _: int) -> None:
        self._leave_now(ExitCode.PASSED, event.reason)

    def _drain(self, event: io.DrainRequested, now_ns: int) -> None:
        """Let iterations finish, deliver what is left, say goodbye. Asked twice, or for too long: at once."""
        if self._draining:
            self._say_goodbye(drained=False)
            return
        self._draining = event.reason
        self._drain_until_ns = now_ns + self._timing.drain_ns
        for run in list(self._runs.values()):
            if run.is_quick:
                self._forget(run)
            else:
                run.handle(RunInput.DRAIN, now_ns, event.reason)
        if self.state is L.ONLINE:
            self._beat(now_ns)  # the controller deals its share to others
        if self._runs:
            limit = format_duration_ns(self._timing.drain_ns)
            self._out.log(
                "info",
                f"{event.reason}: leaving when the load has ended and everything is delivered, in {limit} at the "
                "latest; told again, at once",
            )

    def _drain_on(self, now_ns: int) -> None:
        if all(run.uplink.is_drained and not run.claims.waits_for(TEARDOWN) for run in self._runs.values()):
            self._say_goodbye(drained=True)
        elif self._drain_until_ns is not None and now_ns >= self._drain_until_ns:
            self._say_goodbye(drained=False)

    def _say_goodbye(self, *, drained: bool) -> None:
        for run in list(self._runs.values()):
            self._forget(run)
        self._out.send(Goodbye(self._draining, drained))
        text = self._draining if drained else f"{self._draining}; not everything was delivered"
        self._leave_now(ExitCode.PASSED if drained else ExitCode.INCOMPLETE, text)

    def _leave_now(self, exit_code: int, reason: str) -> None:
        for run in list(self._runs.values()):
            self._forget(run)
        if self.state in (L.REGISTERING, L.ONLINE):
            self._out.do(io.CloseLink(reason))
        self.state = L.LEFT
        self._out.online = False
        self._out.do(io.Leave(exit_code, reason))
