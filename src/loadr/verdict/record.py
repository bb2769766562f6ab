"""The record of a run: the facts from which the live view, the summary and every report are made.

The controller's shell fills one while the run goes on. Nothing here is a percentile: those are computed from
`RunMetrics` (merged histograms) when somebody looks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from loadr.metrics.merge import RunMetrics
from loadr.plan.model import Plan
from loadr.schedule.change import Change, pauses_of
from loadr.units import NS_PER_S

RunState = Literal[
    "preparing",
    "arming",
    "committed",
    "running",
    "paused",
    "stopping",
    "tearing down",
    "complete",
    "incomplete",
    "failed",
]


@dataclass(slots=True)
class ScenarioAccount:
    """R5: planned = started + dropped + missed; started = finished + interrupted + lost. From the ledgers of the
    agents; ``expected`` is what the schedule says, computed apart from any agent (None: closed model, or stopped
    early)."""

    scenario: str
    planned: int = 0
    started: int = 0
    finished: int = 0
    interrupted: int = 0
    dropped: int = 0
    missed: int = 0
    lost: int = 0
    requests: int = 0
    expected: int | None = None

    @property
    def balanced(self) -> bool:
        return (
            self.planned == self.started + self.dropped + self.missed
            and self.started == self.finished + self.interrupted + self.lost
        )


@dataclass(slots=True)
class AgentRecord:
    """One agent in one run. Percent are 0–100 of the cores its workers may use."""

    agent_id: str
    name: str
    state: str = "online"  # online | suspect | lost | finished
    share: float = 0.0  # fraction of the slots
    workers: int = 1
    requests: int = 0  # from merged deltas
    ledger_requests: int | None = None  # from its final ledger
    start_skew_ns: int | None = None  # measured: actual − agreed start instant
    start_mono_ns: int | None = None  # that instant on the agent's monotonic clock
    clock_bound_ns: int | None = None  # error bound of the conversion
    wall_error_ms: int | None = None  # its wall clock − ours, for people only
    cpu_percent: float = 0.0  # last
    cpu_max_percent: float = 0.0
    lag_p99_ns: int = 0  # worst second
    loop_lag_ns: int = 0
    rss_bytes: int = 0
    vus: int = 0
    joined_at_s: float | None = None  # None: from the start
    lost_at_s: float | None = None
    lost_because: str = ""
    covered_at_s: float | None = None  # from when on others had its share
    last_acked_s: int | None = None
    missing_at_most: int | None = 0  # requests that may be missing from the totals; None: unknown


@dataclass(slots=True)
class RunRecord:
    """Times in seconds are on the run's timeline; ``started_unix_ms`` is for people."""

    run_id: str
    plan: Plan
    state: RunState = "preparing"
    cause: str = ""  # why it did not just complete, in words
    stopped_by: Literal["", "threshold", "operator", "test", "loss", "script"] = ""
    started_unix_ms: int = 0
    elapsed_s: float = 0.0
    duration_s: float = 0.0  # of load, once it is over
    metrics: RunMetrics = field(default_factory=RunMetrics)
    agents: dict[str, AgentRecord] = field(default_factory=dict)
    accounts: dict[str, ScenarioAccount] = field(default_factory=dict)
    aborting_threshold: str = ""  # `metric: expression` that ended the run
    notes: list[str] = field(default_factory=list)  # what limits trust, in words
    setup_requests: int = 0  # sent by setup, apart from the load
    teardown_requests: int = 0
    teardown_fault: str = ""  # why it failed, or was not done, in words
    events: list[str] = field(default_factory=list)  # what else happened, in words
    changes: tuple[Change, ...] = ()  # what operators changed, ascending by instant
    absorbed: bool = False  # something may be missing, and the plan's policy takes that

    def paused_s(self) -> float:
        """How long nothing was to start, of the time that has passed."""
        end_ns = round((self.duration_s or self.elapsed_s) * NS_PER_S)
        spans = [(p.from_run_ns, min(p.to_run_ns, end_ns)) for p in pauses_of(self.changes)]
        return sum(max(0, to_ns - from_ns) for from_ns, to_ns in spans) / NS_PER_S
