"""What shells may read of the controller's core: agents, runs, and who did what in them.

The core owns these values and changes them in place; a shell reads them between two events and never writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from loadr.coordination.controller_io import RunState, StoppedBy
from loadr.coordination.messages import Corpus, Ledger
from loadr.plan.model import Plan
from loadr.schedule.change import Change


class AgentState(StrEnum):
    """Where an agent's session is."""

    ACCEPTED = "accepted"  # a link that has not registered; never seen in a view
    REGISTERED = "registered"  # no beat yet
    ONLINE = "online"
    SUSPECT = "suspect"  # silent or cut off; its load may still be alive
    LOST = "lost"  # its load is certainly over
    LEFT = "left"  # said goodbye


@dataclass(slots=True)
class AgentView:
    """One agent, by its id. Health is as of its last beat."""

    agent_id: str
    name: str
    incarnation: str
    peer: str
    loopback: bool
    state: AgentState
    software_version: str
    cores: int
    memory_bytes: int
    weight: int
    labels: Mapping[str, str]
    registered_ns: int
    last_beat_ns: int
    corpora: tuple[Corpus, ...] = ()
    cpu_percent: float = 0.0
    used_memory_bytes: int = 0
    loop_lag_ns: int = 0
    dispatch_lag_p99_ns: int = 0
    queue_depth: int = 0
    vus: int = 0
    rtt_ns: int = 0
    clock_offset_ns: int = 0  # controller clock − agent clock
    clock_bound_ns: int = 0
    wall_error_ms: int | None = None  # its wall clock − ours; None: not known


class ParticipantState(StrEnum):
    """Where a part is in a run. Of a late joiner the first three come while the run goes on."""

    ASSIGNED = "assigned"
    PREPARED = "prepared"
    ARMED = "armed"
    COMMITTED = "committed"
    RUNNING = "running"
    RETURNING = "returning"  # its load is over; it is back, and delivers what it has kept
    FINISHED = "finished"  # its ledgers are here
    LOST = "lost"


@dataclass(slots=True)
class ParticipantView:
    """A part: one agent in one run under one generation. ``key`` names it; the first one's is the agent's id."""

    key: str
    agent_id: str
    name: str
    incarnation: str
    generation: int
    weight: int
    state: ParticipantState = ParticipantState.ASSIGNED
    share: float = 0.0  # fraction of the slots, mean over the scenarios; of one that ended: what it had then
    joined_at_s: float | None = None  # on the timeline; None: it was there from the start
    draining: bool = False  # it is to leave
    clock_bound_ns: int | None = None  # of the conversion of the start instant
    start_mono_ns: int | None = None  # the start instant on the agent's clock
    start_error_ns: int | None = None  # actual − converted
    acked_seq: int = 0  # everything up to and including it was merged or rejected
    last_merged_s: int | None = None  # end of the latest interval that was merged, seconds on the timeline
    rejected_batches: int = 0
    late_batches: int = 0
    ledgers: tuple[Ledger, ...] = ()  # its own; of one that was lost: what was merged, and what may be lost
    finish_cause: str = ""
    cpu_max_percent: float = 0.0
    lag_p99_max_ns: int = 0
    lost_at_s: float | None = None  # on the timeline; negative before the start
    lost_because: str = ""
    missing_at_most: int | None = 0  # requests that the totals may lack because of it; None: unknown
    covered_at_s: float | None = None  # from when on others have its share; None: nobody, so far
    changed_late_s: float = 0.0  # by how much it heard too late of a change of the run, at worst


@dataclass(slots=True)
class RunView:
    """One run. In words: ``notes`` say what limits trust in the result, ``events`` what else happened."""

    run_id: str
    plan: Plan
    state: RunState
    cause: str = ""
    stopped_by: StoppedBy = StoppedBy.NOBODY
    expect_agents: int = 1
    start_unix_ms: int = 0
    start_controller_ns: int | None = None
    load_end_ns: int | None = None  # when the load was ordered, or planned, to end; on the controller's clock
    agents: dict[str, ParticipantView] = field(default_factory=dict)  # by the key of the part
    changes: tuple[Change, ...] = ()  # what operators changed, ascending by instant
    setup_requests: int = 0  # sent by its setup, apart from the load
    teardown_requests: int = 0
    teardown_fault: str = ""  # why it failed, or did not run, in words
    absorbed: bool = False  # incomplete, and the plan's policy takes it: every gap is named, and allowed
    notes: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
