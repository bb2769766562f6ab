"""One run on one agent: from its assignment until it is forgotten.

Takes what the controller wants, what the sandbox and the engine report, and the lease; gives effects. The table
says what happens in which state; the methods say how. Load starts only after a commit, and only a lease that was
granted keeps it going: when it ends, the engine is stopped and never started again under this generation.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from loadr.coordination import agent_io as io
from loadr.coordination.claims import Claims
from loadr.coordination.clock import PeerClock
from loadr.coordination.messages import (
    MAX_WORDS_CHARACTERS,
    ActiveRun,
    AgentMessage,
    Armed,
    Assignment,
    Desired,
    FaultKind,
    FileChunk,
    Prepared,
    RunEventKind,
    RunHealth,
    RunPhase,
    Value,
)
from loadr.coordination.outbox import Outbox
from loadr.coordination.table import FAULT, IGNORE, Row, Table
from loadr.coordination.timing import Timing
from loadr.coordination.transfer import Transfer
from loadr.coordination.uplink import Uplink
from loadr.coordination.values import TEARDOWN
from loadr.errors import InternalFault, PeerFault
from loadr.schedule.share import ScenarioShare


class AgentRunState(Enum):
    """Finer than `RunPhase`, which is what others see of it."""

    OPENING = RunPhase.PREPARING, "the sandbox is being opened"
    FETCHING = RunPhase.PREPARING, "missing files are on their way"
    PREPARING = RunPhase.PREPARING, "workers load the plan"
    READY = RunPhase.READY, "prepared, and said so"
    ARMING = RunPhase.READY, "workers take their shares"
    ARMED = RunPhase.ARMED, "armed, and said so"
    COMMITTED = RunPhase.COMMITTED, "the start instant is known"
    RUNNING = RunPhase.RUNNING, "workers have begun"
    STOPPING = RunPhase.STOPPING, "workers were told to end"
    FLUSHING = RunPhase.FLUSHING, "workers are done; the last messages are on their way"
    FAILED = RunPhase.NONE, "could not prepare or arm, and said so"

    @property
    def phase(self) -> RunPhase:
        return self.value[0]


class RunInput(Enum):
    """What can happen to a run. WANT_… is what a newer revision of the desired state asks for."""

    ASSIGNED = "assigned again, after a reconnect"
    CHUNK = "a chunk came"
    WANT_ARMED = "desired: armed"
    WANT_RUNNING = "desired: running"
    WANT_STOPPING = "desired: stopping"
    WANT_KILLED = "desired: killed"
    SANDBOX_READY = "all files stand in place"
    SANDBOX_MISSING = "some files must be fetched"
    SANDBOX_FAILED = "the files can not be had"
    CHUNK_STORED = "a chunk is on disk"
    ENGINE_PREPARED = "workers have loaded the plan, or could not"
    ENGINE_ARMED = "workers are armed, or could not be"
    ENGINE_STARTED = "workers have begun"
    ENGINE_INTERVAL = "a worker's second"
    ENGINE_EVENT = "something worth telling"
    ENGINE_CLAIM = "workers, or the shell, ask the fleet for a value"
    VALUE = "a claim was answered"
    ENGINE_FINISHED = "workers are done"
    LEASE_ENDED = "the lease ran out"
    PREPARE_TIMED_OUT = "preparing took too long"
    HAND_OVER_TIMED_OUT = "nobody has taken the share of an agent that is to leave"
    REGISTERED = "a new session goes on with this run"
    DRAIN = "the agent is to leave"


S = AgentRunState
_BEFORE_ARMED = (S.OPENING, S.FETCHING, S.PREPARING, S.READY, S.ARMING)
_BEFORE_READY = (S.OPENING, S.FETCHING, S.PREPARING)
_BEFORE_START = (*_BEFORE_ARMED, S.ARMED)
_LIVE = (S.COMMITTED, S.RUNNING)
_OVER = (S.FLUSHING, S.FAILED)
_CLAIMING = (S.PREPARING, S.ARMING, S.ARMED, *_LIVE, S.STOPPING, S.FLUSHING)

TABLE = Table(
    AgentRunState,
    RunInput,
    {
        RunInput.ASSIGNED: Row({}, rest=IGNORE),
        RunInput.CHUNK: Row({"take_chunk": (S.FETCHING,)}, rest=IGNORE),
        RunInput.WANT_ARMED: Row({"arm": (S.READY,), FAULT: _BEFORE_READY}, rest=IGNORE),
        RunInput.WANT_RUNNING: Row({"commit": (S.ARMED,), "reshare": _LIVE, FAULT: _BEFORE_ARMED}, rest=IGNORE),
        RunInput.WANT_STOPPING: Row({"give_up": _BEFORE_ARMED, "stop": (S.ARMED, *_LIVE)}, rest=IGNORE),
        RunInput.WANT_KILLED: Row({"give_up": _BEFORE_ARMED, "kill": (S.ARMED, *_LIVE, S.STOPPING)}, rest=IGNORE),
        RunInput.SANDBOX_READY: Row({"prepare": (S.OPENING,), IGNORE: (S.FAILED,)}, rest=FAULT),
        RunInput.SANDBOX_MISSING: Row({"fetch": (S.OPENING,), IGNORE: (S.FAILED,)}, rest=FAULT),
        RunInput.SANDBOX_FAILED: Row({"fail_files": (S.OPENING, S.FETCHING), IGNORE: (S.FAILED,)}, rest=FAULT),
        RunInput.CHUNK_STORED: Row({"fetch_on": (S.FETCHING,)}, rest=IGNORE),
        RunInput.ENGINE_PREPARED: Row({"ready": (S.PREPARING,), IGNORE: (S.FAILED,)}, rest=FAULT),
        RunInput.ENGINE_ARMED: Row(
            {"armed": (S.ARMING,), FAULT: (S.OPENING, S.FETCHING, S.PREPARING, S.READY)}, rest=IGNORE
        ),
        RunInput.ENGINE_STARTED: Row({"started": (S.COMMITTED,), IGNORE: (S.STOPPING, *_OVER)}, rest=FAULT),
        RunInput.ENGINE_INTERVAL: Row({"add": (*_LIVE, S.STOPPING), IGNORE: _OVER}, rest=FAULT),
        RunInput.ENGINE_EVENT: Row({"tell": (*_LIVE, S.STOPPING), "tell_early": _BEFORE_START}, rest=IGNORE),
        RunInput.ENGINE_CLAIM: Row({"claim": _CLAIMING, FAULT: (S.OPENING, S.FETCHING, S.READY)}, rest=IGNORE),
        RunInput.VALUE: Row({"give": _CLAIMING, FAULT: (S.OPENING, S.FETCHING)}, rest=IGNORE),
        RunInput.ENGINE_FINISHED: Row(
            {"finish": (*_LIVE, S.STOPPING), "end_early": (S.ARMING, S.ARMED), IGNORE: _OVER}, rest=FAULT
        ),
        RunInput.LEASE_ENDED: Row({"lapse": _BEFORE_START, "orphan": (*_LIVE, S.STOPPING)}, rest=IGNORE),
        RunInput.PREPARE_TIMED_OUT: Row({"time_out": _BEFORE_READY}, rest=IGNORE),
        RunInput.REGISTERED: Row(
            {
                "fetch_again": (S.FETCHING,),
                "say_again": (S.READY, S.ARMING, S.ARMED, S.FAILED),
                "replay": (*_LIVE, S.STOPPING, S.FLUSHING),
            },
            rest=IGNORE,
        ),
        RunInput.DRAIN: Row({"hand_over": _LIVE}, rest=IGNORE),
        RunInput.HAND_OVER_TIMED_OUT: Row({"drain": _LIVE}, rest=IGNORE),
    },
)
_FROM_CONTROLLER = frozenset(
    (
        RunInput.ASSIGNED,
        RunInput.CHUNK,
        RunInput.WANT_ARMED,
        RunInput.WANT_RUNNING,
        RunInput.WANT_STOPPING,
        RunInput.WANT_KILLED,
        RunInput.VALUE,
    )
)
_WANTED = {
    RunPhase.ARMED: RunInput.WANT_ARMED,
    RunPhase.RUNNING: RunInput.WANT_RUNNING,
    RunPhase.STOPPING: RunInput.WANT_STOPPING,
    RunPhase.KILLED: RunInput.WANT_KILLED,
}


class AgentRun:
    """``heard_ns``: when the last beat (or registration) was sent that the controller has answered: until a lease
    is granted, that and ``lease_ns`` say when it gives up. ``closes_after_ns``: see `Uplink`."""

    def __init__(
        self,
        assignment: Assignment,
        *,
        now_ns: int,
        heard_ns: int,
        lease_ns: int,
        closes_after_ns: int,
        timing: Timing,
        clock: PeerClock,
        out: Outbox,
    ) -> None:
        self.run_id = assignment.run_id
        self.generation = assignment.generation
        self.state = S.OPENING
        self.revision = 0
        self.orphaned = False
        self.lease_end_ns: int | None = None  # as granted
        self.claims = Claims()
        self.uplink = Uplink(self.run_id, self.generation, closes_after_ns, timing.frozen_limit)
        self._timing = timing
        self._assignment = assignment
        self._gives_up_ns = heard_ns + lease_ns
        self._prepare_until_ns = now_ns + assignment.prepare_timeout_ns
        self._clock = clock
        self._out = out
        self._transfer = Transfer(self.run_id, ())
        self._answer: Prepared | Armed | None = None
        self._armed_shares: tuple[ScenarioShare, ...] = ()
        self._hand_over_until_ns: int | None = None
        self._leaves_because = ""
        self._start_mono_ns = 0
        self._start_bound_ns = 0
        self._out.do(io.OpenSandbox(self.run_id, self.generation, assignment.files))

    # --- what others see ------------------------------------------------------------------------------------

    @property
    def is_engaged(self) -> bool:
        """Whether it needs the engine, or will."""
        return self.state not in _OVER

    @property
    def is_quick(self) -> bool:
        """Whether it can end at once: load has not been committed."""
        return self.state in _BEFORE_START or self.state is S.FAILED

    def active(self, now_ns: int) -> ActiveRun:
        """How it is registered."""
        left_ns = 0 if self.orphaned else max(0, self._lease_end_ns - now_ns)
        return ActiveRun(self.run_id, self.generation, self.state.phase, self.uplink.next_seq, left_ns)

    def health(self, vus: int) -> RunHealth:
        """How it stands in a beat."""
        return RunHealth(self.run_id, self.generation, self.state.phase, self.revision, vus)

    def deadline_ns(self) -> int | None:
        """When time alone changes something."""
        due = []
        if self.state in _BEFORE_READY:
            due.append(self._prepare_until_ns)
        if self.is_engaged and not self.orphaned:
            due.append(self._lease_end_ns)
        if self._hand_over_until_ns is not None and self.state in _LIVE:
            due.append(self._hand_over_until_ns)
        closing_ns = self.uplink.deadline_ns()
        if closing_ns is not None:
            due.append(closing_ns)
        return min(due, default=None)

    @property
    def _lease_end_ns(self) -> int:
        return self._gives_up_ns if self.lease_end_ns is None else self.lease_end_ns

    # --- what happens ---------------------------------------------------------------------------------------

    def handle(self, given: RunInput, now_ns: int, fact: object = None) -> None:
        """Do what the table says. Raises `PeerFault` or `InternalFault` where it says `FAULT`."""
        action = TABLE.action(self.state, given)
        if action == IGNORE:
            return
        if action == FAULT:
            text = f"run {self.run_id}: {given.name} can not come in state {self.state.name}"
            raise PeerFault(text) if given in _FROM_CONTROLLER else InternalFault(text)
        getattr(self, f"_{action}")(fact, now_ns)

    def pass_time(self, now_ns: int) -> None:
        """See to deadlines. To be called before any other event of the same instant."""
        if self.is_engaged and not self.orphaned and now_ns >= self._lease_end_ns:
            self.handle(RunInput.LEASE_ENDED, now_ns)
        if self.state in _BEFORE_READY and now_ns >= self._prepare_until_ns:
            self.handle(RunInput.PREPARE_TIMED_OUT, now_ns)
        if self._hand_over_until_ns is not None and now_ns >= self._hand_over_until_ns:
            self._hand_over_until_ns = None
            self.handle(RunInput.HAND_OVER_TIMED_OUT, now_ns)

    def grant(self, end_ns: int) -> None:
        """The lease of this generation now ends at ``end_ns``, if that is later. One that has ended is gone, but
        for a teardown."""
        tears_down = self.state is S.FLUSHING and self.claims.is_doing(TEARDOWN)
        if not tears_down and (self.orphaned or not self.is_engaged):
            return
        if self.lease_end_ns is None or end_ns > self.lease_end_ns:
            self.lease_end_ns = end_ns
            if tears_down or self.state in (S.PREPARING, S.ARMED, *_LIVE, S.STOPPING):
                self._out.do(io.SetLease(self.run_id, self.generation, end_ns))

    def desire(self, desired: Desired, now_ns: int) -> bool:
        """Apply a newer revision, and say whether it was one; older and equal ones do nothing."""
        if desired.revision <= self.revision:
            return False
        given = _WANTED.get(desired.phase)
        if given is None:
            self._out.log("warning", f"run {self.run_id}: phase {desired.phase.name} is not known here; ignored")
            return False
        self.handle(given, now_ns, desired)
        self.revision = desired.revision
        return True

    def pump(self, now_ns: int) -> bool:
        """Freeze and send what is due; whether there was anything."""
        messages = self.uplink.pump(now_ns, online=self._out.online)
        self._send_all(messages)
        return bool(messages)

    # --- preparing ------------------------------------------------------------------------------------------

    def _prepare(self, _: object, __: int) -> None:
        self.state = S.PREPARING
        given = self._assignment
        self._out.do(io.PrepareEngine(self.run_id, self.generation, given.plan_json, given.secrets))
        if self.lease_end_ns is not None:  # a setup sends requests
            self._out.do(io.SetLease(self.run_id, self.generation, self.lease_end_ns))

    def _fetch(self, event: io.SandboxMissing, _: int) -> None:
        self.state = S.FETCHING
        self._transfer = Transfer(self.run_id, event.files)
        self._ask()

    def _fetch_again(self, _: object, __: int) -> None:
        self._transfer.restart()
        self._ask()

    def _take_chunk(self, chunk: FileChunk, _: int) -> None:
        if self._transfer.accept(chunk):
            self._out.do(io.StoreChunk(chunk))

    def _fetch_on(self, event: io.ChunkStored, _: int) -> None:
        if event.complete:
            self._transfer.complete(event.digest)
        if self._transfer.is_complete:
            self.state = S.OPENING
            self._out.do(io.OpenSandbox(self.run_id, self.generation, self._assignment.files))
        else:
            self._ask()

    def _ask(self) -> None:
        request = self._transfer.request()
        if request is not None:
            self._out.send(request)

    def _ready(self, event: io.EnginePrepared, _: int) -> None:
        if event.fault:
            self._fail(event.fault, event.detail)
            return
        self.state = S.READY
        self._say(Prepared(self.run_id, self.generation))

    def _arm(self, desired: Desired, _: int) -> None:
        self.state = S.ARMING
        self._armed_shares = desired.shares
        self._out.do(io.ArmEngine(self.run_id, self.generation, desired.shares))

    def _armed(self, event: io.EngineArmed, now_ns: int) -> None:
        best = self._clock.best(now_ns)
        if event.fault:
            self._fail(event.fault, event.detail)
        elif best is None:
            self._fail(FaultKind.CLOCK, "the controller's clock is not known yet: no beat was answered")
        else:
            self.state = S.ARMED
            self._say(Armed(self.run_id, self.generation, best.bound_ns(now_ns)))

    def _say(self, answer: Prepared | Armed) -> None:
        self._answer = answer
        self._out.send(answer)

    def _say_again(self, _: object, __: int) -> None:
        if isinstance(self._answer, Armed) and not self._answer.fault:
            self._out.send(Prepared(self.run_id, self.generation))
        if self._answer is not None:
            self._out.send(self._answer)

    # --- failing before the start ---------------------------------------------------------------------------

    def _fail(self, fault: FaultKind, detail: str) -> None:
        """Say why, and let go of everything. Only the answer is kept, until the controller lets the run go."""
        early = self.state in _BEFORE_READY
        detail = detail[:MAX_WORDS_CHARACTERS]
        self.state = S.FAILED
        self._out.do(io.ForgetRun(self.run_id, self.generation))
        if early:
            self._say(Prepared(self.run_id, self.generation, fault, detail))
        else:
            self._say(Armed(self.run_id, self.generation, 0, fault, detail))

    def _fail_files(self, event: io.SandboxFailed, _: int) -> None:
        self._fail(event.fault, event.detail)

    def _time_out(self, _: object, __: int) -> None:
        self._fail(FaultKind.TIMEOUT, f"not prepared in time: {self.state.value[1]}, still")

    def _lapse(self, _: object, __: int) -> None:
        self._fail(FaultKind.TIMEOUT, "the controller was silent for a whole lease before the start")

    def _give_up(self, desired: Desired, _: int) -> None:
        self._fail(FaultKind.INTERNAL, f"stopped before it was armed: {desired.cause}")

    def _tell_early(self, event: io.EngineEvent, _: int) -> None:
        if event.kind is RunEventKind.WORKER_LOST:
            self._fail(FaultKind.WORKER, event.detail)

    def _end_early(self, event: io.EngineFinished, _: int) -> None:
        self._fail(FaultKind.WORKER, f"the workers ended before the start: {event.cause}")

    # --- load -----------------------------------------------------------------------------------------------

    def _commit(self, desired: Desired, now_ns: int) -> None:
        start = self._clock.to_agent(desired.start_controller_ns, now_ns)
        if start is None:
            raise InternalFault(f"run {self.run_id} was armed without a clock")
        self.state = S.COMMITTED
        self._start_mono_ns, self._start_bound_ns = start.mono_ns, start.bound_ns
        self.uplink.begin(start.mono_ns)
        if self.lease_end_ns is not None:
            self._out.do(io.SetLease(self.run_id, self.generation, self.lease_end_ns))
        self._out.do(io.StartEngine(self.run_id, self.generation, start.mono_ns))
        if desired.changes or desired.shares != self._armed_shares:
            self._reshare(desired, now_ns)

    def _reshare(self, desired: Desired, _: int) -> None:
        self._out.do(io.ReshareEngine(self.run_id, self.generation, desired.shares, desired.changes))

    def _started(self, event: io.EngineStarted, _: int) -> None:
        self.state = S.RUNNING
        self.uplink.add_event(
            RunEventKind.STARTED,
            start_mono_ns=self._start_mono_ns,
            error_ns=event.start_error_ns,
            bound_ns=self._start_bound_ns,
        )

    def _add(self, event: io.EngineInterval, _: int) -> None:
        self.uplink.add_interval(event.interval)

    def _tell(self, event: io.EngineEvent, _: int) -> None:
        self.uplink.add_event(event.kind, event.detail, unreported=event.unreported)

    def _claim(self, event: io.EngineClaim, _: int) -> None:
        self._send_all(self.claims.add(event.claim))

    def _give(self, value: Value, _: int) -> None:
        is_new, due = self.claims.answer(value)
        if is_new:
            self._out.do(io.GiveValue(self.run_id, self.generation, value))
        self._send_all(due)

    def _send_all(self, messages: Iterable[AgentMessage]) -> None:
        for message in messages:
            self._out.send(message)

    def _stop(self, desired: Desired, _: int) -> None:
        self._stop_engine(graceful=True, cause=desired.cause)

    def _kill(self, desired: Desired, _: int) -> None:
        self._stop_engine(graceful=False, cause=desired.cause)

    def _hand_over(self, reason: object, now_ns: int) -> None:
        """Go on until the controller has dealt the share to others and says stop; not for ever."""
        self._leaves_because = f"the agent leaves: {reason}"
        self._hand_over_until_ns = now_ns + self._timing.hand_over_ns

    def _drain(self, _: object, __: int) -> None:
        self._stop_engine(graceful=True, cause=self._leaves_because)

    def _orphan(self, _: object, __: int) -> None:
        self.orphaned = True
        self.uplink.add_event(RunEventKind.ORPHANED, "the lease ran out: the controller was silent for too long")
        self._stop_engine(graceful=False, cause="orphaned")

    def _stop_engine(self, *, graceful: bool, cause: str) -> None:
        self.state = S.STOPPING
        self._out.do(io.StopEngine(self.run_id, self.generation, graceful, cause))

    def _finish(self, event: io.EngineFinished, _: int) -> None:
        self.state = S.FLUSHING
        self.uplink.finish(event.ledgers, event.cause)

    def resume(self, resume_seq: int, now_ns: int) -> None:
        """A new session goes on: what is below ``resume_seq`` was merged."""
        if not self.uplink.acknowledge(resume_seq - 1):
            raise PeerFault(f"run {self.run_id}: batch {resume_seq - 1} was acknowledged, and never sent")
        self.handle(RunInput.REGISTERED, now_ns)
        self._send_all(self.claims.repeat())

    def _replay(self, _: object, __: int) -> None:
        self._send_all(self.uplink.replay())
