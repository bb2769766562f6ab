"""What the agent's core takes (events) and gives (effects).

The shell turns what happens into events and carries effects out in the order given; `AgentCore` decides. All
times are CLOCK_BOOTTIME nanoseconds of the agent's machine unless the name says otherwise.

The shell's side of the contract:

* One link at a time. `Dial` asks for a new one: draw U(0, ``max_delay_ns``), wait, connect within
  ``timeout_ns``, then report `LinkUp` or `LinkDown`, once. After `CloseLink` nothing of that link is reported.
* `OpenSandbox` is answered by exactly one of `SandboxReady`, `SandboxMissing`, `SandboxFailed`. When the missing
  files have come, `OpenSandbox` is asked again.
* `StoreChunk` is answered by `ChunkStored`, or by `SandboxFailed` (disk full, digest does not match).
* `PrepareEngine`, `ArmEngine`, `StartEngine` are answered by `EnginePrepared`, `EngineArmed`, `EngineStarted`.
* `ReshareEngine` may come any number of times after `StartEngine`; the latest holds.
* `StopEngine` is answered by `EngineFinished` in bounded time, in whatever state the engine is, if it was armed;
  a normal end is reported by the same event. Nothing of a run follows its `EngineFinished`
  but claims of its teardown.
* `EngineClaim` may come from `PrepareEngine` on, numbered from 1 on, and is answered by one `GiveValue`, or never
  if the run ends before. What a value says is to be done (`ValueKind.DO`) is done under the lease.
* `ForgetRun` ends whatever the run still has (engine, sandbox) at once; nothing needs to be reported.
* Events about a run that the core no longer knows are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from loadr.coordination.messages import (
    AgentMessage,
    Claim,
    ControllerMessage,
    FaultKind,
    FileChunk,
    Ledger,
    ManifestFile,
    RunEventKind,
    Value,
)
from loadr.masking import NO_SECRETS, Secrets
from loadr.metrics.delta import IntervalDelta
from loadr.schedule.change import Change
from loadr.schedule.share import ScenarioShare

# --- events --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LinkUp:
    """The stream that was dialled is open."""


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The stream ended, or could not be opened."""

    reason: str


@dataclass(frozen=True, slots=True)
class Received:
    message: ControllerMessage


@dataclass(frozen=True, slots=True)
class TimePassed:
    """`AgentCore.deadline_ns` was reached (or not: an early one does nothing)."""


@dataclass(frozen=True, slots=True)
class HealthSampled:
    """About once a second. ``cpu_percent``: 0–100 of all cores that the workers may use."""

    cpu_percent: float
    memory_bytes: int
    loop_lag_ns: int
    dispatch_lag_p99_ns: int
    queue_depth: int
    vus: int
    wall_unix_ms: int


@dataclass(frozen=True, slots=True)
class SandboxReady:
    """Every file of the manifest stands in the run's sandbox, its digest checked."""

    run_id: str
    generation: int


@dataclass(frozen=True, slots=True)
class SandboxMissing:
    """These files are neither inline nor in the cache (``inline`` is None in each)."""

    run_id: str
    generation: int
    files: tuple[ManifestFile, ...]


@dataclass(frozen=True, slots=True)
class SandboxFailed:
    run_id: str
    generation: int
    fault: FaultKind
    detail: str


@dataclass(frozen=True, slots=True)
class ChunkStored:
    """The file is stored up to ``next_offset``; ``complete``: all of it, and its digest matched."""

    run_id: str
    digest: str
    next_offset: int
    complete: bool


@dataclass(frozen=True, slots=True)
class EnginePrepared:
    run_id: str
    generation: int
    fault: FaultKind = FaultKind.NONE
    detail: str = ""


@dataclass(frozen=True, slots=True)
class EngineArmed:
    run_id: str
    generation: int
    fault: FaultKind = FaultKind.NONE
    detail: str = ""


@dataclass(frozen=True, slots=True)
class EngineStarted:
    """``start_error_ns``: actual − ordered start, the worst of the workers."""

    run_id: str
    generation: int
    start_error_ns: int


@dataclass(frozen=True, slots=True)
class EngineInterval:
    """What one worker did in one second of the timeline. The core takes the interval over; it is not shared."""

    run_id: str
    generation: int
    interval: IntervalDelta


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """WORKER_LOST, SCRIPT_EXCEPTION or ABORT_REQUESTED, in words. ``unreported``: what a lost worker had counted
    and never reported, by scenario."""

    run_id: str
    generation: int
    kind: RunEventKind
    detail: str
    unreported: tuple[Ledger, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineClaim:
    """The engine asks the fleet for a value. ``claim.settled`` is filled in by the core."""

    run_id: str
    generation: int
    claim: Claim


@dataclass(frozen=True, slots=True)
class EngineFinished:
    """All workers are done and every interval was reported. ``cause`` is empty for a normal end, else why."""

    run_id: str
    generation: int
    ledgers: tuple[Ledger, ...]
    cause: str = ""


@dataclass(frozen=True, slots=True)
class DrainRequested:
    """Somebody wants the agent to leave (SIGTERM). A second one makes it leave at once."""

    reason: str


AgentEvent = (
    LinkUp
    | LinkDown
    | Received
    | TimePassed
    | HealthSampled
    | SandboxReady
    | SandboxMissing
    | SandboxFailed
    | ChunkStored
    | EnginePrepared
    | EngineArmed
    | EngineStarted
    | EngineInterval
    | EngineEvent
    | EngineClaim
    | EngineFinished
    | DrainRequested
)


# --- effects -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dial:
    """Wait U(0, ``max_delay_ns``) (full jitter), then connect within ``timeout_ns``."""

    max_delay_ns: int
    timeout_ns: int


@dataclass(frozen=True, slots=True)
class Send:
    message: AgentMessage


@dataclass(frozen=True, slots=True)
class CloseLink:
    """Half-close after what was sent before; nothing of this link is reported from here on."""

    reason: str


@dataclass(frozen=True, slots=True)
class OpenSandbox:
    run_id: str
    generation: int
    files: tuple[ManifestFile, ...]


@dataclass(frozen=True, slots=True)
class StoreChunk:
    chunk: FileChunk


@dataclass(frozen=True, slots=True)
class PrepareEngine:
    run_id: str
    generation: int
    plan_json: bytes
    secrets: Secrets = field(default=NO_SECRETS, repr=False)


@dataclass(frozen=True, slots=True)
class ArmEngine:
    run_id: str
    generation: int
    shares: tuple[ScenarioShare, ...]


@dataclass(frozen=True, slots=True)
class StartEngine:
    run_id: str
    generation: int
    start_mono_ns: int


@dataclass(frozen=True, slots=True)
class ReshareEngine:
    """The agent's whole share, each from its ``from_run_ns`` on, and all changes of the run so far."""

    run_id: str
    generation: int
    shares: tuple[ScenarioShare, ...]
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class SetLease:
    """Load may start before ``end_mono_ns`` and not at or after it. Only ever grows within a generation."""

    run_id: str
    generation: int
    end_mono_ns: int


@dataclass(frozen=True, slots=True)
class GiveValue:
    """The answer to a claim of the engine."""

    run_id: str
    generation: int
    value: Value


@dataclass(frozen=True, slots=True)
class StopEngine:
    """Start nothing more; ``graceful``: let iterations finish, otherwise interrupt them at once."""

    run_id: str
    generation: int
    graceful: bool
    cause: str


@dataclass(frozen=True, slots=True)
class ForgetRun:
    run_id: str
    generation: int


@dataclass(frozen=True, slots=True)
class Leave:
    """End the process with this exit code."""

    exit_code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Log:
    """``level``: "info", "warning" or "error"."""

    level: str
    text: str


AgentEffect = (
    Dial
    | Send
    | CloseLink
    | OpenSandbox
    | StoreChunk
    | PrepareEngine
    | ArmEngine
    | StartEngine
    | ReshareEngine
    | SetLease
    | GiveValue
    | StopEngine
    | ForgetRun
    | Leave
    | Log
)
