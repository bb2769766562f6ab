"""Slots and their owners: who of a fleet does which part of a scenario.

Takes a plan, owners with weights and, when load moves, what they owned before; gives a `ScenarioShare` for each
owner and scenario. The same function deals from the controller to agents and from an agent to its workers.

A scenario is cut into S slots. Iteration k of an open scenario belongs to slot (k + offset) mod S, and so does
VU v (v = 0, 1, …) of any scenario; the offset differs from scenario to scenario, so that a fleet larger than a
scenario's VUs does not put all first VUs on the same owner. Slots are dealt in the order in which iterations and
VUs meet them, and such that every prefix is balanced: the first n VUs, too, are split by weight.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from loadr.plan.model import ConstantVus, OpenScenario, Plan, Scenario
from loadr.schedule.deal import deal
from loadr.schedule.shape import shape_of
from loadr.schedule.share import ScenarioShare

Owner = TypeVar("Owner", bound=Hashable)

MIN_SLOTS = 1024
SLOTS_PER_OWNER = 64


def slot_count(owners: int) -> int:
    """S for a fleet of ``owners`` agents: a power of two, at least 1024 and at least 64 for each."""
    return max(MIN_SLOTS, 1 << (SLOTS_PER_OWNER * owners - 1).bit_length())


def slot_offset(seed: int, scenario: str) -> int:
    """The offset of a scenario, 0 … 2³²−1, from SHA-256 of seed and name."""
    digest = hashlib.sha256(f"loadr slots {seed} {scenario}".encode()).digest()
    return int.from_bytes(digest[:4], "little")


@overload
def slot_of(index: int, offset: int, slots: int) -> int: ...
@overload
def slot_of(index: NDArray[np.int64], offset: int, slots: int) -> NDArray[np.int64]: ...
def slot_of(index: int | NDArray[np.int64], offset: int, slots: int) -> int | NDArray[np.int64]:
    """The slot of an iteration or a VU, or of an array of them. ``slots`` is S, a power of two."""
    return (index + offset) & (slots - 1)


def to_bitmap(slots: Collection[int], size: int) -> bytes:
    """The bitmap of S = ``size`` bits in which ``slots`` are set: slot i is bit i % 8 of byte i // 8."""
    mask = np.zeros(size, dtype=np.bool_)
    mask[np.fromiter(slots, dtype=np.int64, count=len(slots))] = True
    return np.packbits(mask, bitorder="little").tobytes()


def to_mask(bitmap: bytes) -> NDArray[np.bool_]:
    """A bitmap as S booleans."""
    return np.unpackbits(np.frombuffer(bitmap, dtype=np.uint8), bitorder="little").view(np.bool_)


def from_bitmap(bitmap: bytes) -> NDArray[np.int64]:
    """The slots of a bitmap, ascending."""
    return np.flatnonzero(to_mask(bitmap)).astype(np.int64)


def share_out(
    plan: Plan,
    weights: Mapping[Owner, float],
    slots: int,
    *,
    from_run_ns: int = 0,
    previous: Mapping[Owner, Sequence[ScenarioShare]] | None = None,
) -> dict[Owner, tuple[ScenarioShare, ...]]:
    """The whole plan: one share of every scenario for every owner, in the plan's order; S = ``slots``.

    ``previous`` (of the same S) is what the owners held; see `split` for the rest.
    """
    everything = to_bitmap(range(slots), slots)
    out: dict[Owner, list[ScenarioShare]] = {owner: [] for owner in weights}
    for name, scenario in plan.scenarios.items():
        closed = isinstance(scenario, ConstantVus)
        whole = ScenarioShare(name, from_run_ns, everything, b"" if closed else everything)
        held = {
            owner: share
            for owner, shares in (previous or {}).items()
            for share in shares
            if share.scenario == name
        }
        for owner, share in split(whole, scenario, weights, plan.seed, previous=held).items():
            out[owner].append(share)
    return {owner: tuple(shares) for owner, shares in out.items()}


def split(
    share: ScenarioShare,
    scenario: Scenario,
    owners: Mapping[Owner, float] | Sequence[Owner],
    seed: int,
    *,
    previous: Mapping[Owner, ScenarioShare] | None = None,
) -> dict[Owner, ScenarioShare]:
    """A share dealt among owners by weight (a sequence means equal weights): together they have what it has.

    VUs are dealt first, then iterations among those who hold a VU. A part may be empty: that is how an owner
    learns that it holds nothing. With ``previous`` no more slots move than the weights demand.
    Raises `ValueError` when there is nobody with a weight, or a weight is negative.
    """
    weights = owners if isinstance(owners, Mapping) else dict.fromkeys(owners, 1.0)
    before = previous or {}
    order = _Order(slot_offset(seed, share.scenario), len(share.slots) * 8)
    held = {owner: from_bitmap(part.slots).tolist() for owner, part in before.items()}
    if isinstance(scenario, ConstantVus):
        closed = _deal_vus(order.slots_of(share.slots), scenario.vus, order, weights, held)
        return {owner: replace(share, slots=to_bitmap(slots, order.size)) for owner, slots in closed.items()}
    held_vus = {owner: from_bitmap(part.vu_slots).tolist() for owner, part in before.items()}
    pool = _deal_vus(order.slots_of(share.vu_slots), scenario.max_vus, order, weights, held_vus)
    slots_of = deal(order.slots_of(share.slots), _among_holders(weights, pool), held)
    return {
        owner: replace(
            share, slots=to_bitmap(slots_of[owner], order.size), vu_slots=to_bitmap(pool[owner], order.size)
        )
        for owner in weights
    }


@dataclass(frozen=True, slots=True)
class _Order:
    """The order in which iterations, and VUs, 0, 1, 2, … meet the S = ``size`` slots of a scenario."""

    offset: int
    size: int

    def place(self, slot: int) -> int:
        """The first iteration, or VU, that belongs to the slot."""
        return (slot - self.offset) % self.size

    def slots_of(self, bitmap: bytes) -> list[int]:
        """The slots of a bitmap in this order."""
        return sorted(from_bitmap(bitmap).tolist(), key=self.place)


def _deal_vus(
    slots: Sequence[int],
    vus: int,
    order: _Order,
    weights: Mapping[Owner, float],
    previous: Mapping[Owner, Sequence[int]],
) -> dict[Owner, tuple[int, ...]]:
    """Deal the slots that VUs 0 … vus−1 fill, then the empty ones: who gets no VU gets no slot."""
    filled = [slot for slot in slots if order.place(slot) < vus]
    first = deal(filled, weights, previous)
    rest = deal(slots[len(filled) :], _among_holders(weights, first), previous)
    return {owner: first[owner] + rest[owner] for owner in weights}


def _among_holders(weights: Mapping[Owner, float], parts: Mapping[Owner, Sequence[int]]) -> dict[Owner, float]:
    """The weights of those who have a part, 0 for the others."""
    return {owner: weight if parts[owner] else 0.0 for owner, weight in weights.items()}


def vus_of(share: ScenarioShare, scenario: Scenario, seed: int) -> tuple[int, ...]:
    """The VUs of a share, ascending: numbers 0 … vus−1 (closed) or 0 … max_vus−1 (open).

    An open scenario creates those below `default_pre_allocated` before its start.
    """
    closed = isinstance(scenario, ConstantVus)
    mask = to_mask(share.slots if closed else share.vu_slots)
    numbers = np.arange(scenario.vus if isinstance(scenario, ConstantVus) else scenario.max_vus, dtype=np.int64)
    owned = mask[slot_of(numbers, slot_offset(seed, share.scenario), len(mask))]
    return tuple(numbers[owned].tolist())


def with_vus(scenario: Scenario, vus: int) -> Scenario:
    """The scenario with another number of VUs (closed), or another cap (open)."""
    return scenario.model_copy(update={"vus" if isinstance(scenario, ConstantVus) else "max_vus": vus})


def default_pre_allocated(scenario: OpenScenario) -> int:
    """VUs of the whole fleet that exist before the start: what the plan says, else what the rate needs.

    By Little's law a rate of r per second keeps r VUs busy when an iteration takes one second; that many are
    made, of the peak rate, at least 1 and at most ``max_vus``. Slower iterations make more VUs on the way.
    """
    wanted = scenario.pre_allocated_vus
    if wanted is None:
        wanted = max(1, math.ceil(shape_of(scenario).peak_rate()))
    return min(wanted, scenario.max_vus)
