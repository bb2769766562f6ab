"""What a worker pool tells the agent. Plain values; ``fault`` is a `loadr.engine.faults.Fault` (0: none)."""

from __future__ import annotations

from dataclasses import dataclass

from loadr.engine.channel import ScenarioLedger, WorkerClaim
from loadr.metrics.delta import IntervalDelta


@dataclass(frozen=True, slots=True)
class PoolPrepared:
    """Every worker has loaded the plan, or one could not: its own words are in ``detail``."""

    fault: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PoolArmed:
    """Every worker holds its share and its VUs, or one could not."""

    fault: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PoolStarted:
    """Every worker has begun. ``start_error_ns`` is actual − ordered start of the worst one."""

    start_error_ns: int


@dataclass(frozen=True, slots=True)
class PoolInterval:
    """One second of one worker. Several come for the same second: of several workers, and late ones.

    The receiver adds them up with `loadr.metrics.delta.add_source` (gauges of several workers are summed; a
    worker sends its gauges once per second only).
    """

    delta: IntervalDelta


@dataclass(frozen=True, slots=True)
class PoolWorkerLost:
    """A worker died in a run. The others go on, with its share dealt among them.

    ``ledgers`` is what its page of shared memory says that it had done, exact to the unit, one for each
    scenario of the plan (none before shares were dealt). ``unreported`` is what of that no `PoolInterval` has
    told, or ever will: planned = started + dropped + missed and started = finished + interrupted + lost hold in
    it, too.
    """

    worker: int
    pid: int
    how: str  # "was killed by SIGKILL"
    ledgers: tuple[ScenarioLedger, ...]
    unreported: tuple[ScenarioLedger, ...]


@dataclass(frozen=True, slots=True)
class PoolNotice:
    """From a script: ``kind`` is "script_exception" or "abort" (the test asks the whole run to stop)."""

    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class PoolFinished:
    """The last of a run: every worker is done or lost. Ledgers are summed over all workers, those of dead ones
    being what their pages say.

    ``cause``: "" for a normal end, the cause given to `stop`, "orphaned" (the lease ran out), "killed", or
    "workers lost" when none is left.
    """

    ledgers: tuple[ScenarioLedger, ...]
    cause: str = ""


@dataclass(frozen=True, slots=True)
class PoolAround:
    """How "setup" or "teardown" went. ``result`` is JSON; ``requests`` of it are in no interval."""

    what: str
    fault: int = 0
    detail: str = ""
    result: bytes = b""
    requests: int = 0


@dataclass(frozen=True, slots=True)
class PoolClaim:
    """A worker asks the fleet for a value; to be answered by `WorkerPool.give` with the claim's ticket."""

    worker: int
    claim: WorkerClaim


PoolEvent = (
    PoolAround
    | PoolClaim
    | PoolPrepared
    | PoolArmed
    | PoolStarted
    | PoolInterval
    | PoolWorkerLost
    | PoolNotice
    | PoolFinished
)


@dataclass(frozen=True, slots=True)
class PoolHealth:
    """Of the last second: CPU of all workers' cores (0–100), memory together, VUs together. The lags are the
    worst since they were read last."""

    cpu_percent: float = 0.0
    rss_bytes: int = 0
    loop_lag_ns: int = 0
    lag_p99_ns: int = 0
    vus: int = 0
