"""Sessions of the controller: who may register, and what is known of an agent from its beats.

`refusal_of` takes a `Register` and gives the `Refused` that answers it, or None. A `Member` is one agent process:
its link, its health, and when it was last heard in both directions. What follows from silence is decided in
`controller`, by the table here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from statistics import median_high

from loadr.coordination.admission import Allowance
from loadr.coordination.clock import MAX_DRIFT_PPM
from loadr.coordination.messages import Ack, AgentBeat, ControllerBeat, LeaseGrant, Refused, Register
from loadr.coordination.table import FAULT, IGNORE, Row, Table
from loadr.coordination.timing import Timing
from loadr.coordination.views import AgentState, AgentView
from loadr.units import NS_PER_MS

KEPT_BEATS = 64
KEPT_RTTS = 8
MAX_LABELS = 64
MAX_LABEL_CHARACTERS = 256
MAX_WEIGHT = 4096
MAX_ACTIVE_RUNS = 16
MAX_CORPORA = 256


class SessionInput(Enum):
    """What can happen to a session."""

    REGISTER = "the agent registers"
    BEAT = "a beat"
    RUN_MESSAGE = "an answer, a file request, a batch or an event of a run"
    GOODBYE = "the agent leaves"
    LINK_CLOSED = "the stream ended"
    SILENT = "nothing good was heard for a while"
    LEASE_OVER = "nothing good was heard for a lease and a second"
    NOT_REGISTERED = "the time to register is over"


A = AgentState
_LIVE = (A.REGISTERED, A.ONLINE, A.SUSPECT)
TABLE = Table(
    AgentState,
    SessionInput,
    {
        SessionInput.REGISTER: Row({"register": (A.ACCEPTED,)}, rest=FAULT),
        SessionInput.BEAT: Row({"hear": _LIVE, FAULT: (A.ACCEPTED,)}, rest=IGNORE),
        SessionInput.RUN_MESSAGE: Row({"listen": _LIVE, FAULT: (A.ACCEPTED,)}, rest=IGNORE),
        SessionInput.GOODBYE: Row({"leave": _LIVE, FAULT: (A.ACCEPTED,)}, rest=IGNORE),
        SessionInput.LINK_CLOSED: Row({"suspect": _LIVE}, rest=IGNORE),
        SessionInput.SILENT: Row({"suspect": (A.REGISTERED, A.ONLINE)}, rest=IGNORE),
        SessionInput.LEASE_OVER: Row({"lose": _LIVE}, rest=IGNORE),
        SessionInput.NOT_REGISTERED: Row({"shut_out": (A.ACCEPTED,)}, rest=IGNORE),
    },
)


@dataclass(slots=True)
class Stream:
    """One open link. ``member`` is None until it has registered."""

    number: int
    peer: str
    identities: tuple[str, ...]
    loopback: bool
    opened_ns: int
    member: Member | None = None
    allowance: Allowance = field(init=False)

    def __post_init__(self) -> None:
        self.allowance = Allowance(self.opened_ns)

    @property
    def state(self) -> AgentState:
        return A.ACCEPTED if self.member is None else self.member.view.state


class Member:
    """One agent process. ``good_ns``: when it was last heard *and* had itself heard us not long before: a beat
    whose echo is stale comes over a link that is dead in the other direction."""

    __slots__ = (
        "_beat_number",
        "_beats",
        "_clock",
        "_echoed_ns",
        "_rtt_ns",
        "_rtts",
        "barred_until_ns",
        "good_ns",
        "held",
        "is_leaving",
        "lease_ns",
        "stream",
        "strikes",
        "view",
    )

    def __init__(self, view: AgentView, lease_ns: int, now_ns: int) -> None:
        self.view = view
        self.stream: Stream | None = None
        self.lease_ns = lease_ns  # of the run it is in, else the default
        self.good_ns = now_ns
        self.held: frozenset[str] = frozenset()  # digests of the files of the last run that it prepared
        self.strikes = 0
        self.barred_until_ns = 0  # it gets no share of a running test before: it was lost too often
        self.is_leaving = False
        self._beat_number = 0
        self._beats: deque[tuple[int, int]] = deque(maxlen=KEPT_BEATS)  # number, sent
        self._echoed_ns = now_ns  # when the last of our beats was sent that it has seen
        self._rtts: deque[int] = deque(maxlen=KEPT_RTTS)
        self._rtt_ns = 0  # their median
        self._clock: tuple[int, int, int] | None = None  # ours − its, the bound of that, and when it said so

    def begin(self, stream: Stream, now_ns: int) -> None:
        """A new session of the same process."""
        self.stream = stream
        stream.member = self
        self.view.peer, self.view.loopback = stream.peer, stream.loopback
        self.view.state = A.REGISTERED
        self.view.registered_ns = now_ns
        self.good_ns = self._echoed_ns = now_ns
        self._beat_number = 0
        self._beats.clear()
        self._rtts.clear()  # those of another way, or of a time when one of us stood still

    def hear(self, beat: AgentBeat, now_ns: int, timing: Timing, wall_unix_ms: int | None) -> bool:
        """Take over health and echo; whether the beat is good (see ``good_ns``)."""
        while self._beats and self._beats[0][0] <= beat.echo_number:
            number, sent_ns = self._beats.popleft()
            if number == beat.echo_number:
                self._echoed_ns = sent_ns
                self.took(max(0, now_ns - sent_ns - (beat.sent_mono_ns - beat.echo_received_mono_ns)))
        self.is_leaving = beat.draining
        view = self.view
        view.last_beat_ns = now_ns
        view.cpu_percent = beat.cpu_percent
        view.used_memory_bytes = beat.memory_bytes
        view.loop_lag_ns = beat.loop_lag_ns
        view.dispatch_lag_p99_ns = beat.dispatch_lag_p99_ns
        view.queue_depth = beat.queue_depth
        view.vus = sum(run.vus for run in beat.runs[:MAX_ACTIVE_RUNS])
        view.rtt_ns = beat.rtt_ns
        view.clock_offset_ns = beat.clock_offset_ns
        view.clock_bound_ns = beat.clock_bound_ns
        if beat.clock_bound_ns > 0:
            self._clock = beat.clock_offset_ns, beat.clock_bound_ns, beat.sent_mono_ns
        if wall_unix_ms is not None and beat.wall_unix_ms:
            view.wall_error_ms = beat.wall_unix_ms - wall_unix_ms
        good = now_ns - self._echoed_ns <= timing.suspect_for(self.lease_ns)
        if good:
            self.good_ns = now_ns
        return good

    def answer(
        self, beat: AgentBeat, now_ns: int, grants: tuple[LeaseGrant, ...], acks: tuple[Ack, ...]
    ) -> ControllerBeat:
        """The answer to a beat, to be sent at once."""
        self._beat_number += 1
        self._beats.append((self._beat_number, now_ns))
        return ControllerBeat(self._beat_number, now_ns, beat.number, now_ns, grants, acks)

    def took(self, rtt_ns: int) -> None:
        """A round trip that was measured by our clock."""
        self._rtts.append(rtt_ns)
        self._rtt_ns = median_high(self._rtts)

    @property
    def rtt_ns(self) -> int:
        """The median of the last round trips, by our own clock: one hiccup must not hold up a whole fleet, and
        who hears late is seen to where it matters."""
        return self._rtt_ns if self._rtts else self.view.rtt_ns

    def clock_at(self, now_ns: int) -> int | None:
        """The latest that its monotonic clock may show now, by its own last estimate; None without one."""
        if self._clock is None:
            return None
        offset_ns, bound_ns, said_ns = self._clock
        latest_ns = now_ns - offset_ns + bound_ns
        drift_ns = -(-2 * max(0, latest_ns - said_ns) * MAX_DRIFT_PPM // 1_000_000)
        return latest_ns + drift_ns + 1

    def deadline_ns(self, timing: Timing) -> int | None:
        """When its silence means something next."""
        if self.view.state in (A.REGISTERED, A.ONLINE):
            return self.good_ns + timing.suspect_for(self.lease_ns)
        if self.view.state is A.SUSPECT:
            return self.good_ns + timing.lost_for(self.lease_ns)
        return None


def view_of(register: Register, stream: Stream, now_ns: int) -> AgentView:
    """What is known of an agent that registers."""
    return AgentView(
        agent_id=register.agent_id,
        name=register.agent_name or register.agent_id,
        incarnation=register.incarnation,
        peer=stream.peer,
        loopback=stream.loopback,
        state=A.REGISTERED,
        software_version=register.software_version,
        cores=register.cores,
        memory_bytes=register.memory_bytes,
        weight=register.weight,
        labels=register.labels,
        registered_ns=now_ns,
        last_beat_ns=now_ns,
        corpora=register.corpora,
    )


def refusal_of(register: Register, stream: Stream, protocol_min: int, protocol_max: int) -> Refused | None:
    """Why this agent can not be taken, as far as it alone is concerned; None if it can."""

    def refused(reason: str, hint: str) -> Refused:
        return Refused(reason, hint, False, protocol_min, protocol_max)

    if register.protocol_max < protocol_min or register.protocol_min > protocol_max:
        older = "agent" if register.protocol_max < protocol_min else "controller"
        return refused(
            f"the agent speaks protocol versions {register.protocol_min} to {register.protocol_max}, "
            f"the controller {protocol_min} to {protocol_max}",
            f"upgrade the {older} (the agent is loadr {register.software_version})",
        )
    if not register.agent_id or not register.incarnation:
        return refused("the agent gave no id or no incarnation", "give it a name with --name")
    if not (register.agent_id.isprintable() and register.agent_name.isprintable()):
        return refused("its name holds characters that can not be shown", "give it another name with --name")
    for claimed in (register.agent_id, register.agent_name or register.agent_id) if stream.identities else ():
        if claimed not in stream.identities:
            names = ", ".join(filter(None, stream.identities)) or "nobody: it has no subject alternative name"
            return refused(
                f"the certificate is for {names}, and not for agent {claimed}",
                "name the agent as its certificate does, or make a certificate for that name",
            )
    if not 1 <= register.weight <= MAX_WEIGHT:
        return refused(f"a capacity of {register.weight} workers", f"give it 1 to {MAX_WEIGHT} workers")
    texts = [text for pair in register.labels.items() for text in pair]
    if len(register.labels) > MAX_LABELS or any(len(text) > MAX_LABEL_CHARACTERS for text in texts):
        return refused(
            "too many or too long labels", f"at most {MAX_LABELS} of {MAX_LABEL_CHARACTERS} characters"
        )
    if len(register.corpora) > MAX_CORPORA:
        return refused(f"{len(register.corpora)} corpora", f"give it at most {MAX_CORPORA}")
    if len(register.active_runs) > MAX_ACTIVE_RUNS:
        return refused(f"{len(register.active_runs)} active runs", "restart the agent")
    return None


def shown(name: str) -> str:
    """A name from a stranger, for one line of a log."""
    return name[:64] if name.isprintable() else ascii(name[:64])


def wall_ms(offset_ms: int | None, now_ns: int) -> int | None:
    """The wall clock now, from how far it was ahead of the monotonic one when it was last told."""
    return None if offset_ms is None else offset_ms + now_ns // NS_PER_MS
