"""The table of one run on the controller: what can happen to it, and what is done about it in which state.

`controller_run` says how it is done. `Fact` is what a run is told beside the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from loadr.coordination import controller_io as io
from loadr.coordination.controller_io import RunState, StoppedBy
from loadr.coordination.messages import Armed, Claim, Metrics, Prepared, RunEvent
from loadr.coordination.table import FAULT, IGNORE, Row, Table


class RunInput(Enum):
    """What can happen to a run."""

    AGENT_ONLINE = "an agent is there"
    PREPARED = "an agent has prepared"
    ARMED = "an agent has armed"
    FAULTED = "an agent could not prepare or arm, or can not go on"
    REPORT = "a numbered batch or event"
    CLAIM = "an agent asks the fleet for a value"
    AGENT_LOST = "the load of an agent is over, and its numbers may be lost"
    APPLIED = "an agent has applied a revision"
    LEAVING = "an agent is to leave"
    STOP = "somebody wants it to end"
    CHANGE = "somebody wants it to go on in another way"
    DUE = "the time of the state is over"


S = RunState
_BEFORE_COMMIT = (S.DRAFT, S.PREPARING, S.ARMING)
_ASSIGNED = (S.PREPARING, S.ARMING)
_LOADED = (S.COMMITTED, S.RUNNING, S.STOPPING, S.DRAINING)
_AFTER = (S.TEARING_DOWN,)
_FINAL = (S.COMPLETE, S.INCOMPLETE, S.FAILED)

TABLE = Table(
    RunState,
    RunInput,
    {
        RunInput.AGENT_ONLINE: Row({"gather": (S.DRAFT,), "invite": (S.RUNNING,)}, rest=IGNORE),
        RunInput.PREPARED: Row(
            {"note_prepared": (S.PREPARING,), "arm_joiner": (S.RUNNING,), FAULT: (S.DRAFT,)}, rest=IGNORE
        ),
        RunInput.ARMED: Row(
            {"note_armed": (S.ARMING,), "take_in": (S.RUNNING,), FAULT: (S.DRAFT, S.PREPARING)}, rest=IGNORE
        ),
        RunInput.FAULTED: Row({"fail_by_agent": _ASSIGNED, "drop_out": (*_LOADED, *_AFTER, *_FINAL)}, rest=FAULT),
        RunInput.REPORT: Row({"take": (*_LOADED, *_AFTER, *_FINAL)}, rest=FAULT),
        RunInput.CLAIM: Row({"claim": (*_ASSIGNED, *_LOADED, *_AFTER), FAULT: (S.DRAFT,)}, rest=IGNORE),
        RunInput.AGENT_LOST: Row(
            {"lose_early": (S.PREPARING,), "fail_by_loss": (S.ARMING,), "lose": _LOADED}, rest=IGNORE
        ),
        RunInput.APPLIED: Row({"note_applied": (S.COMMITTED, S.RUNNING)}, rest=IGNORE),
        RunInput.LEAVING: Row({"let_go": (S.RUNNING,)}, rest=IGNORE),
        RunInput.CHANGE: Row({"change": (S.COMMITTED, S.RUNNING)}, rest="refuse_change"),
        RunInput.STOP: Row(
            {
                "cancel": _BEFORE_COMMIT,
                "stop": (S.COMMITTED, S.RUNNING),
                "stop_again": (S.STOPPING,),
                "break_off": _AFTER,
            },
            rest=IGNORE,
        ),
        RunInput.DUE: Row(
            {
                "fail_to_gather": (S.DRAFT,),
                "fail_by_slowness": _ASSIGNED,
                "begin": (S.COMMITTED,),
                "end_load": (S.RUNNING,),
                "kill": (S.STOPPING,),
                "end_anyway": (S.DRAINING,),
                "give_up_teardown": _AFTER,
            },
            rest=IGNORE,
        ),
    },
)


@dataclass(frozen=True, slots=True)
class Fact:
    """What a run is told beside the input; empty where it does not matter."""

    agent_id: str = ""
    message: Prepared | Armed | Metrics | RunEvent | Claim | None = None
    text: str = ""
    stopped_by: StoppedBy = StoppedBy.OPERATOR
    graceful: bool = True
    generation: int = 1
    until_ns: int | None = None  # AGENT_LOST: its load was over then at the latest; None: now
    revision: int = 0
    change: io.ChangeRequested | None = None

    @property
    def clock_bound_ns(self) -> int:
        """Of an `Armed`."""
        return self.message.clock_bound_ns if isinstance(self.message, Armed) else 0
