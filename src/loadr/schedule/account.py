"""What the plan promises: the number of iterations due, for a fleet or for one share, before anything has run.

The bookkeeping of a finished run (planned = started + dropped + missed) is held against these numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loadr.plan.model import ConstantVus, Plan
from loadr.schedule.arrivals import Arrivals
from loadr.schedule.change import Change
from loadr.schedule.ownership import slot_of, slot_offset, to_mask


def expected_count(
    plan: Plan, scenario: str, limit: int | None = None, changes: Sequence[Change] = ()
) -> int | None:
    """Iterations that the whole fleet is to start, whatever the target does; None for a closed scenario.

    ``limit`` is the number of data rows where they end the scenario (None: they do not). Uniform: exact and at
    once; Poisson: exact, by walking the sequence.
    """
    model = plan.scenarios[scenario]
    if isinstance(model, ConstantVus):
        return None
    return Arrivals(scenario, model, plan.seed, limit, changes).count()


def owned_count(slots: bytes, count: int, seed: int, scenario: str) -> int:
    """How many of iterations 0 … count−1 belong to the slots of a bitmap."""
    mask = to_mask(slots)
    rounds, rest = divmod(count, len(mask))
    last_round = slot_of(np.arange(rest, dtype=np.int64), slot_offset(seed, scenario), len(mask))
    return rounds * int(np.count_nonzero(mask)) + int(np.count_nonzero(mask[last_round]))
