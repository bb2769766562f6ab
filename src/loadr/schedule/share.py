"""A share: what of one scenario an owner (an agent, or a worker of it) is to do.

The value that travels from the controller to an agent and from the agent to its workers; callers never look
inside the bitmaps but through `loadr.schedule.ownership`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class ScenarioShare:
    """Owned from planned time ``from_run_ns`` (nanoseconds after the start instant) on.

    ``slots`` is a bitmap of S bits (little-endian bit order within bytes; S is its length × 8): slots of
    iterations in open models, of VUs in closed ones. ``vu_slots`` is the bitmap of the VUs in an open model's
    pool, empty in closed models. Whoever holds no VU of a scenario holds no slot of it.
    A later share of the same scenario replaces an earlier one from its own ``from_run_ns`` on; in open models
    not below iteration ``from_iteration``, whatever instants changes of the run give to those: others may have
    begun them.
    """

    scenario: str
    from_run_ns: int
    slots: bytes
    vu_slots: bytes = b""
    from_iteration: int = 0


def fraction_of(share: ScenarioShare) -> Fraction:
    """The part of the whole that an owner has from the share's instant on: of a rate of the fleet, so much is its
    own. Over all owners of a scenario these add up to 1."""
    if not share.slots:
        return Fraction(0)
    return Fraction(int.from_bytes(share.slots, "little").bit_count(), len(share.slots) * 8)
