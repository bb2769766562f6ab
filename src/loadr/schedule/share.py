"""A share: what of one scenario an owner (an agent, or a worker of it) is to do.

The value that travels from the controller to an agent and from the agent to its workers; callers never look
inside the bitmaps but through `loadr.schedule.ownership`.
"""

from __future__ import annotations

from dataclasses import dataclass


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
