"""What the controller's core takes (events) and gives (effects).

The shell turns what happens into events and carries effects out in the order given; `ControllerCore` decides.
All times are CLOCK_BOOTTIME nanoseconds of the controller's machine unless the name says otherwise.

The shell's side of the contract:

* A link is a stream of one agent; its number is never used twice. After `CloseLink` nothing of it is reported.
* `SendFile` asks for ``request.length`` bytes of the run's file, as `FileChunk` messages of at most 64 KiB,
  behind everything else in priority.
* `Merge` comes once for each batch, in the order of ``seq`` for each agent; it may be carried out later, but in
  that order and before what follows `RunEnded`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from loadr.coordination.admission import JoinToken
from loadr.coordination.messages import AgentMessage, ControllerMessage, FileRequest, ManifestFile
from loadr.masking import NO_SECRETS, Secrets
from loadr.metrics.delta import IntervalDelta
from loadr.plan.model import Plan
from loadr.schedule.change import Change, ChangeKind


class RunState(StrEnum):
    """Where a run is. The last three are final."""

    DRAFT = "draft"  # submitted, waiting for its agents
    PREPARING = "preparing"
    ARMING = "arming"
    COMMITTED = "committed"  # start instant known, not reached
    RUNNING = "running"
    STOPPING = "stopping"  # load ends: by plan, or because it was asked to
    DRAINING = "draining"  # engines were killed; last batches are awaited
    TEARING_DOWN = "tearing down"  # the load of all is over, and one agent tears down
    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        return self in (RunState.COMPLETE, RunState.INCOMPLETE, RunState.FAILED)


class StoppedBy(StrEnum):
    """Who ended the load before the plan did."""

    NOBODY = ""
    THRESHOLD = "threshold"
    OPERATOR = "operator"
    TEST = "test"
    LOSS = "loss"
    SCRIPT = "script"


class Refusal(StrEnum):
    """Why a run was not accepted."""

    BUSY = "busy"
    INVALID = "invalid"
    NO_SUCH_RUN = "no such run"


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What is to be run. ``files`` carry ``inline`` bytes where the shell has them at hand and they are small.

    ``expect_agents``: the run waits until so many are online and takes all that are (0: at least one), for
    ``wait_ns`` at most (None: as the timing says). ``labels``: only agents that have all of these count, also
    those that join later.
    """

    run_id: str
    plan: Plan
    files: tuple[ManifestFile, ...] = ()
    expect_agents: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    wait_ns: int | None = None
    secrets: Secrets = field(default=NO_SECRETS, repr=False)

    def suits(self, labels: Mapping[str, str]) -> bool:
        """Whether an agent with these labels may take part."""
        return all(labels.get(key) == value for key, value in self.labels.items())


# --- events --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LinkOpened:
    """``identities``: names in the client's certificate; empty without one, and one empty name for a certificate
    that names nobody. ``loopback``: same machine."""

    link: int
    peer: str
    identities: tuple[str, ...] = ()
    loopback: bool = False


@dataclass(frozen=True, slots=True)
class LinkClosed:
    link: int
    reason: str


@dataclass(frozen=True, slots=True)
class Received:
    link: int
    message: AgentMessage


@dataclass(frozen=True, slots=True)
class RunSubmitted:
    """``wall_unix_ms``: the wall clock now; only for people (`start_unix_ms` is stamped from it)."""

    request: RunRequest
    wall_unix_ms: int = 0


@dataclass(frozen=True, slots=True)
class StopRequested:
    """``graceful``: iterations may finish; a later request may turn a graceful stop into one at once."""

    run_id: str
    cause: str
    stopped_by: StoppedBy = StoppedBy.OPERATOR
    graceful: bool = True


@dataclass(frozen=True, slots=True)
class ChangeRequested:
    """An operator changes a live run: `loadr.schedule.change.Change` without its instant. Answered by
    `ChangeAccepted` or `ChangeRefused`, at once."""

    run_id: str
    kind: ChangeKind
    scenario: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class TokensLoaded:
    """From now on an agent needs one of these to join."""

    tokens: tuple[JoinToken, ...]
    wall_unix_ms: int


@dataclass(frozen=True, slots=True)
class TimePassed:
    """`ControllerCore.deadline_ns` was reached (or not). ``wall_unix_ms``: the wall clock, 0 if not told."""

    wall_unix_ms: int = 0


ControllerEvent = (
    LinkOpened
    | LinkClosed
    | Received
    | RunSubmitted
    | StopRequested
    | ChangeRequested
    | TokensLoaded
    | TimePassed
)


# --- effects -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    link: int
    message: ControllerMessage


@dataclass(frozen=True, slots=True)
class CloseLink:
    """End the stream after what was sent before; nothing of this link is reported from here on."""

    link: int
    reason: str


@dataclass(frozen=True, slots=True)
class SendFile:
    link: int
    request: FileRequest


@dataclass(frozen=True, slots=True)
class Merge:
    """Merge one batch of an agent. ``late``: the run has ended; book it apart, the summary stays as it is."""

    run_id: str
    part: str  # the key of the part
    seq: int
    intervals: tuple[IntervalDelta, ...]
    late: bool = False


@dataclass(frozen=True, slots=True)
class TokenUsed:
    """A process joined by a token whose uses are counted, for the first time: to be kept with it."""

    token_id: str
    agent_id: str
    incarnation: str


@dataclass(frozen=True, slots=True)
class AgentChanged:
    """Its state changed; look at ``ControllerCore.agents``."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class RunChanged:
    """Look at ``ControllerCore.run``."""

    run_id: str
    state: RunState
    cause: str


@dataclass(frozen=True, slots=True)
class RunRefused:
    """The typed answer to a `RunSubmitted` that was not accepted; ``detail`` is for people."""

    run_id: str
    refusal: Refusal
    detail: str


@dataclass(frozen=True, slots=True)
class ChangeAccepted:
    """Every agent applies it at ``change.at_run_ns`` of the run's timeline, ``in_ns`` from now."""

    run_id: str
    change: Change
    in_ns: int


@dataclass(frozen=True, slots=True)
class ChangeRefused:
    """Nothing changes; ``detail`` says why, ``hint`` what to do, in words."""

    run_id: str
    refusal: Refusal
    detail: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class RunEnded:
    """State is final: complete, incomplete or failed."""

    run_id: str
    state: RunState
    cause: str


@dataclass(frozen=True, slots=True)
class Log:
    """``level``: "info", "warning" or "error"."""

    level: str
    text: str


ControllerEffect = (
    Send
    | CloseLink
    | SendFile
    | Merge
    | TokenUsed
    | AgentChanged
    | RunChanged
    | RunRefused
    | ChangeAccepted
    | ChangeRefused
    | RunEnded
    | Log
)
