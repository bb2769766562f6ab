"""Changes of a live run: the values in which they are told. What they mean for a scenario is its `course`.

Plain values, without numpy: the messages of the protocol carry them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum

MAX_CHANGES = 1000  # of one run; more are refused where they are asked for
NEVER_RUN_NS = 2**62
"""The end of a scenario that is paused, and nobody has said for how long."""


class ChangeKind(IntEnum):
    """Values are those of the wire."""

    PAUSE = 1  # nothing starts from here on
    RESUME = 2  # what was planned behind the pause happens later by its length
    RATE = 3  # open scenarios: ``value`` per second until the end
    FACTOR = 4  # open scenarios: what is left of the plan's rate, times ``value``
    SCALE = 5  # ``value`` VUs (closed), or at most so many (open)


@dataclass(frozen=True, slots=True)
class Change:
    """``scenario`` "" is all of them; a change that a scenario has no use for leaves it as it is.

    ``value`` is a decimal number as text ("" where there is none), so that it is the same rational everywhere.
    """

    at_run_ns: int
    kind: ChangeKind
    scenario: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """[from, to) of the run's timeline; ``to_run_ns`` is `NEVER_RUN_NS` while it lasts."""

    from_run_ns: int
    to_run_ns: int


def pauses_of(changes: Iterable[Change]) -> list[Pause]:
    """When a run is paused, whatever its scenarios do then."""
    pauses: list[Pause] = []
    for change in changes:
        paused = bool(pauses) and pauses[-1].to_run_ns == NEVER_RUN_NS
        if change.kind is ChangeKind.PAUSE and not paused:
            pauses.append(Pause(change.at_run_ns, NEVER_RUN_NS))
        elif change.kind is ChangeKind.RESUME and paused:
            pauses[-1] = replace(pauses[-1], to_run_ns=change.at_run_ns)
    return pauses
