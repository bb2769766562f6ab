"""How a run ended: whether its totals are all there is, and why not.

Takes the parts of a run and how it was stopped; gives the final state and the cause. A run is complete if and
only if nothing may be missing from its totals and somebody carried the load to its end.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from loadr.coordination.controller_io import RunState, StoppedBy
from loadr.coordination.participant import Participant
from loadr.coordination.views import ParticipantState, RunView

P = ParticipantState
MAX_NOTES = 50


@dataclass(frozen=True, slots=True)
class Ending:
    """``absorbed``: something is missing, and the plan's policy takes it."""

    state: RunState
    cause: str
    absorbed: bool = False


def ending_of(view: RunView, parts: Collection[Participant], ended_in: RunState | None = None) -> Ending:
    """What became of a run of whose ``parts`` nothing more is awaited. ``ended_in``: its state when its load was
    over, if that is another by now."""
    flaws = [flaw for part in parts for flaw in part.flaws]
    losses = [loss for part in parts for loss in part.losses]
    if losses and all(part.view.state is P.LOST for part in parts):
        return Ending(RunState.FAILED, losses[0] if len(losses) == 1 else f"all agents were lost; {losses[0]}")
    if flaws:
        return Ending(RunState.INCOMPLETE, flaws[0])
    if is_abandoned(view, parts, ended_in):
        why = losses[0] if losses else "the last agent was asked to leave"
        return Ending(RunState.INCOMPLETE, f"nobody was left to carry the load; {why}")
    if losses and view.stopped_by is StoppedBy.LOSS:
        return Ending(RunState.INCOMPLETE, losses[0])
    beyond = _beyond_allowed(view, parts)
    if beyond:
        return Ending(RunState.INCOMPLETE, beyond)
    if any(part.lacks for part in parts):
        return Ending(RunState.INCOMPLETE, view.cause or losses[0], absorbed=True)
    return Ending(RunState.COMPLETE, view.cause)


def is_abandoned(view: RunView, parts: Collection[Participant], ended_in: RunState | None = None) -> bool:
    """The load ended because nobody was left, and not because it was to end."""
    as_planned = any(part.view.state is P.FINISHED and not part.view.finish_cause for part in parts)
    return (ended_in or view.state) in (RunState.COMMITTED, RunState.RUNNING) and not as_planned


def _beyond_allowed(view: RunView, parts: Collection[Participant]) -> str:
    """Why what is missing is more than the plan allows; empty if it is not."""
    allowed = view.plan.allowed_loss
    if allowed is None:
        return ""
    missing = [part.view.missing_at_most for part in parts]
    if None in missing:
        return f"how much is missing can not be said, and only {allowed} may be (allowed_loss)"
    total = sum(count for count in missing if count is not None)
    limit = allowed.of(sum(part.intake.sums.total("http_reqs") for part in parts) + total)
    return f"{total} requests may be missing, and only {allowed} may be (allowed_loss)" if total > limit else ""


class Notes:
    """What limits trust in a result, and what else happened, in words. They are few, and losses stand first."""

    def __init__(self, notes: list[str], events: list[str]) -> None:
        self._notes = notes
        self._events = events
        self._said: dict[str, str] = {}  # key of a part → what the notes say of its end

    def add(self, text: str) -> None:
        """Unless it was said, or too much was."""
        if text not in self._notes and len(self._notes) < MAX_NOTES:
            self._notes.append(text)

    def tell(self, text: str) -> None:
        """Something that happened and takes nothing from the result; unless too much did."""
        if len(self._events) < MAX_NOTES:
            self._events.append(text)

    def add_loss(self, key: str, text: str, *, is_end: bool) -> None:
        """``is_end``: it says how the part ended, in the place of what was said of that before."""
        said = self._said.get(key, "") if is_end else ""
        if is_end:
            self._said[key] = text
        if said in self._notes:
            self._notes[self._notes.index(said)] = text
        elif text not in self._notes:
            self._notes.insert(0, text)
