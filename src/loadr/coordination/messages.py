"""The messages of `loadr.coordination.v1` as plain values: one class for each message of the `.proto`.

`loadr.transport.codec` turns them into bytes and back; the cores and the simulator use them as they are.
Times named ``*_mono_ns`` are on the *sender's* monotonic clock unless the name says whose.
Instants named ``run_ns`` count from the run's start instant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from loadr.masking import NO_SECRETS, Secrets
from loadr.schedule.change import Change
from loadr.schedule.share import ScenarioShare

PROTOCOL_MIN = 1
PROTOCOL_MAX = 1
MAX_WORDS_CHARACTERS = 16_384  # of a detail or a cause, which may be what a script raised


class RunPhase(IntEnum):
    """Desired by the controller and reported by the agent. Values are those of the wire."""

    NONE = 0
    PREPARING = 1
    READY = 2
    ARMED = 3
    COMMITTED = 4  # agents only report it: start instant known, not reached
    RUNNING = 5
    PAUSED = 6
    STOPPING = 7
    FLUSHING = 8
    KILLED = 9


class FaultKind(IntEnum):
    """Why an agent could not do what was asked. Values are those of the wire."""

    NONE = 0
    PLAN = 1
    SCRIPT = 2
    FILES = 3
    DISK = 4
    TIMEOUT = 5
    WORKER = 6
    CLOCK = 7
    INTERNAL = 8
    CORPUS = 9  # a corpus of the plan is missing on the agent's disk, or is another one


class ClaimKind(IntEnum):
    """What a claim asks the fleet for. Values are those of the wire."""

    ONCE = 1  # what is done once for all: somebody does it, everybody gets its result
    RESULT = 2  # how it went, from the one that was told to do it
    BLOCK = 3  # rows of a data set that nobody else has
    BARRIER = 4  # VUs that have arrived, and wait for others


class ValueKind(IntEnum):
    """How a claim was answered. Values are those of the wire."""

    DO = 1  # ONCE: do it, and claim its RESULT
    RESULT = 2  # ONCE, RESULT: ``payload`` holds
    FAULT = 3  # ONCE, RESULT: it could not be done; ``detail`` says why
    BLOCK = 4  # [first, end); empty: there are no more
    RELEASED = 5  # BARRIER: ``count`` of those that wait go on; the others are to be claimed anew
    TIMED_OUT = 6  # BARRIER: all go on, without the others
    REFUSED = 7  # the load of this part is over, so nothing more of it


MAX_VALUE_BYTES = 64 * 1024  # of a result
MAX_OPEN_CLAIMS = 64  # of one part


# --- agent → controller ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ActiveRun:
    """A run that the agent still knows when it registers again."""

    run_id: str
    generation: int
    phase: RunPhase
    next_seq: int  # number of the next batch that it would freeze
    lease_left_ns: int  # ≤ 0: expired


@dataclass(frozen=True, slots=True)
class Corpus:
    """A file on the agent's disk that plans may name. It never travels."""

    name: str
    size_bytes: int
    digest: str


@dataclass(frozen=True, slots=True)
class Register:
    protocol_min: int
    protocol_max: int
    agent_id: str
    agent_name: str
    incarnation: str  # random per process
    software_version: str
    cores: int
    memory_bytes: int
    weight: int  # capacity; the number of workers
    labels: Mapping[str, str] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    active_runs: tuple[ActiveRun, ...] = ()
    last_controller: str = ""  # identity of the controller that was obeyed last
    wall_unix_ms: int = 0  # the agent's wall clock, for people only
    token: str = field(default="", repr=False)  # join token; put in by the transport
    corpora: tuple[Corpus, ...] = ()  # as they were when the agent started


@dataclass(frozen=True, slots=True)
class RunHealth:
    run_id: str
    generation: int
    phase: RunPhase
    revision: int  # highest applied
    vus: int


@dataclass(frozen=True, slots=True)
class AgentBeat:
    """``number`` counts from 1 per session. ``echo_number`` is the last controller beat seen (0: none)."""

    number: int
    sent_mono_ns: int
    echo_number: int = 0
    echo_sent_mono_ns: int = 0  # that beat's send time, on the controller's clock
    echo_received_mono_ns: int = 0
    runs: tuple[RunHealth, ...] = ()
    cpu_percent: float = 0.0  # of all cores that the workers may use, 0–100
    memory_bytes: int = 0
    loop_lag_ns: int = 0
    dispatch_lag_p99_ns: int = 0
    queue_depth: int = 0
    rtt_ns: int = 0
    clock_offset_ns: int = 0  # controller clock − agent clock, as estimated by the agent
    clock_bound_ns: int = 0
    wall_unix_ms: int = 0
    draining: bool = False  # the agent is to leave: its share is to be dealt to others


@dataclass(frozen=True, slots=True)
class FileRequest:
    """Asks for ``length`` bytes of a file: this is the credit; nothing is sent that was not asked for."""

    run_id: str
    digest: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Prepared:
    run_id: str
    generation: int
    fault: FaultKind = FaultKind.NONE
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Armed:
    run_id: str
    generation: int
    clock_bound_ns: int = 0
    fault: FaultKind = FaultKind.NONE
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SeriesEntry:
    """Number ``id`` stands for this series from here on, per (agent, incarnation, run, generation)."""

    id: int
    metric: str
    kind: int
    tags: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class WireCounter:
    series: int
    total: int


@dataclass(frozen=True, slots=True)
class WireRate:
    series: int
    passes: int
    fails: int


@dataclass(frozen=True, slots=True)
class WireGauge:
    series: int
    last: int
    min: int
    max: int


@dataclass(frozen=True, slots=True)
class WireTrend:
    """``hdr`` is an HDR V2 payload; sum, min and max are nanoseconds; ``clipped`` samples were out of range."""

    series: int
    hdr: bytes
    count: int
    sum_ns: int
    min_ns: int
    max_ns: int
    clipped: int


WireDelta = WireCounter | WireRate | WireGauge | WireTrend


@dataclass(frozen=True, slots=True)
class WireInterval:
    t0_s: int
    t1_s: int
    deltas: tuple[WireDelta, ...]


@dataclass(frozen=True, slots=True)
class Metrics:
    """One frozen batch. ``seq`` counts from 1 per (agent, incarnation, run, generation), as in `RunEvent`."""

    run_id: str
    generation: int
    seq: int
    new_series: tuple[SeriesEntry, ...]
    intervals: tuple[WireInterval, ...]


@dataclass(frozen=True, slots=True)
class Ledger:
    """Totals of one scenario on one agent, counted at dispatch and not summed from batches."""

    scenario: str
    planned: int = 0
    started: int = 0
    finished: int = 0
    interrupted: int = 0
    dropped: int = 0
    missed: int = 0
    requests: int = 0
    lost: int = 0  # started, and nobody is left who could say how they ended


class RunEventKind(IntEnum):
    STARTED = 1  # start_error_ns holds; ledgers empty
    WORKER_LOST = 2
    SCRIPT_EXCEPTION = 3
    ABORT_REQUESTED = 4  # the test itself asks to stop
    ORPHANED = 5  # the lease ran out here
    FINISHED = 6  # the last of a run on this agent: ledgers hold


@dataclass(frozen=True, slots=True)
class RunEvent:
    """Numbered and acknowledged as a batch is."""

    run_id: str
    generation: int
    seq: int
    kind: RunEventKind
    cause: str = ""
    start_mono_ns: int = 0  # STARTED: the start instant on the agent's monotonic clock, as converted
    start_error_ns: int = 0  # STARTED: actual − converted start, on the agent's clock
    ledgers: tuple[Ledger, ...] = ()
    clock_bound_ns: int = 0  # STARTED: how far `start_mono_ns` may be from the agreed instant
    unreported: tuple[Ledger, ...] = ()  # WORKER_LOST: what it had counted, and what no batch will ever hold


@dataclass(frozen=True, slots=True)
class Claim:
    """Asks the fleet for a value. ``number`` counts from 1 per part; all below ``settled`` was answered."""

    run_id: str
    generation: int
    number: int
    settled: int
    kind: ClaimKind
    key: str
    count: int = 0  # RESULT: requests that were sent for it. BLOCK: rows wanted. BARRIER: VUs that have arrived
    used: int = 0  # BLOCK: rows of earlier blocks that were begun since the last claim
    users: int = 0  # BARRIER: how many must have arrived
    timeout_ns: int = 0  # BARRIER: from the first arrival on
    payload: bytes = field(default=b"", repr=False)  # RESULT
    fault: FaultKind = FaultKind.NONE  # RESULT
    detail: str = ""
    replaces: int = 0  # BARRIER: an earlier claim, whose VUs count with these from now on


@dataclass(frozen=True, slots=True)
class Goodbye:
    reason: str
    drained: bool


AgentMessage = Register | AgentBeat | FileRequest | Prepared | Armed | Metrics | RunEvent | Claim | Goodbye


# --- controller → agent ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Resume:
    """What becomes of a run that the agent still knew: go on from ``resume_seq``, or abandon it."""

    run_id: str
    abandon: bool
    resume_seq: int = 0  # everything below was merged
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Registered:
    controller_id: str
    epoch: int
    session_id: str
    protocol: int
    features: tuple[str, ...]
    beat_ns: int
    lease_ns: int
    flush_spread_ns: int  # this agent's fixed share of the flush spread
    runs: tuple[Resume, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    reason: str
    hint: str
    retry: bool
    protocol_min: int = PROTOCOL_MIN
    protocol_max: int = PROTOCOL_MAX


@dataclass(frozen=True, slots=True)
class LeaseGrant:
    """Valid for ``lease_ns`` from when the agent sent the beat that this answers."""

    run_id: str
    generation: int
    lease_ns: int


@dataclass(frozen=True, slots=True)
class Ack:
    run_id: str
    seq: int  # everything up to and including it was merged
    generation: int


@dataclass(frozen=True, slots=True)
class ControllerBeat:
    """Answers the agent's beat ``echo_number`` (its t0 is known to the agent by number)."""

    number: int
    sent_mono_ns: int  # t2
    echo_number: int
    echo_received_mono_ns: int  # t1
    grants: tuple[LeaseGrant, ...] = ()
    acks: tuple[Ack, ...] = ()


@dataclass(frozen=True, slots=True)
class ManifestFile:
    path: str
    size_bytes: int
    digest: str  # sha256, hex
    inline: bytes | None = None  # None: ask for it with FileRequest


@dataclass(frozen=True, slots=True)
class Assignment:
    run_id: str
    generation: int
    plan_json: bytes
    plan_digest: str
    files: tuple[ManifestFile, ...]
    prepare_timeout_ns: int
    secrets: Secrets = field(default=NO_SECRETS, repr=False)  # values of `secret.NAME` in the plan


@dataclass(frozen=True, slots=True)
class FileChunk:
    run_id: str
    digest: str
    offset: int
    data: bytes  # at most 64 KiB


@dataclass(frozen=True, slots=True)
class Desired:
    """The state the controller wants; the highest revision wins; re-sent on every reconnect.

    Phases: ARMED (take the shares, be ready), RUNNING (start instants hold), STOPPING (start nothing from
    ``effect_controller_ns`` on, finish gracefully), KILLED (interrupt at once), NONE (forget the run).
    """

    run_id: str
    generation: int
    revision: int
    phase: RunPhase
    start_unix_ms: int = 0
    start_controller_ns: int = 0  # the same instant on the controller's monotonic clock
    effect_controller_ns: int = 0  # 0: at once
    shares: tuple[ScenarioShare, ...] = ()
    cause: str = ""
    changes: tuple[Change, ...] = ()  # all of the run so far, ascending by instant


@dataclass(frozen=True, slots=True)
class Value:
    """Answers the claim ``number`` of a part, always in the same way."""

    run_id: str
    generation: int
    number: int
    kind: ValueKind
    payload: bytes = field(default=b"", repr=False)  # RESULT
    fault: FaultKind = FaultKind.NONE  # FAULT
    detail: str = ""
    first: int = 0  # BLOCK
    end: int = 0
    count: int = 0  # RELEASED, TIMED_OUT


@dataclass(frozen=True, slots=True)
class Drain:
    deadline_ns: int
    come_back_ns: int
    reason: str = ""


ControllerMessage = Registered | Refused | ControllerBeat | Assignment | FileChunk | Desired | Value | Drain
