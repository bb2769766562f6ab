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
    """One share of every scenario for every owner, in the plan's order; S = ``slots``.

    Together the shares are the whole plan. An empty share is how an owner learns that it has lost everything.
    With ``previous`` (of the same S) no more slots move than the weights demand. Raises `ValueError` when there
    is nobody with a weight.
    """
    whole = range(slots)
    out: dict[Owner, list[ScenarioShare]] = {owner: [] for owner in weights}
    for name in plan.scenarios:
        before = {
            owner: share for owner, held in (previous or {}).items() for share in held if share.scenario == name
        }
        dealt = _deal_scenario(plan, name, whole, whole, slots, weights, from_run_ns, before)
        for owner, share in dealt.items():
            out[owner].append(share)
    return {owner: tuple(shares) for owner, shares in out.items()}


def split(
    plan: Plan,
    share: ScenarioShare,
    weights: Mapping[Owner, float],
    *,
    previous: Mapping[Owner, ScenarioShare] | None = None,
) -> dict[Owner, ScenarioShare]:
    """What an agent owns of one scenario, dealt among its workers. Together they are ``share``."""
    slots = from_bitmap(share.slots).tolist()
    vu_slots = from_bitmap(share.vu_slots).tolist()
    size = len(share.slots) * 8
    return _deal_scenario(plan, share.scenario, slots, vu_slots, size, weights, share.from_run_ns, previous or {})


def _deal_scenario(
    plan: Plan,
    name: str,
    slots: Collection[int],
    vu_slots: Collection[int],
    size: int,
    weights: Mapping[Owner, float],
    from_run_ns: int,
    previous: Mapping[Owner, ScenarioShare],
) -> dict[Owner, ScenarioShare]:
    """Deal the given slots of one scenario: first those that hold VUs, then the rest among holders of VUs."""
    scenario = plan.scenarios[name]
    offset = slot_offset(plan.seed, name)
    held = {owner: from_bitmap(share.slots).tolist() for owner, share in previous.items()}
    if isinstance(scenario, ConstantVus):
        own = _deal_by_vu(slots, scenario.vus, offset, size, weights, held)
        return {owner: ScenarioShare(name, from_run_ns, to_bitmap(part, size)) for owner, part in own.items()}
    held_vus = {owner: from_bitmap(share.vu_slots).tolist() for owner, share in previous.items()}
    pool = _deal_by_vu(vu_slots, scenario.max_vus, offset, size, weights, held_vus)
    holders = {owner: weights[owner] if part else 0.0 for owner, part in pool.items()}
    own = (
        deal(_in_order(slots, offset, size), holders, held) if any(holders.values()) else dict.fromkeys(pool, ())
    )
    return {
        owner: ScenarioShare(name, from_run_ns, to_bitmap(own[owner], size), to_bitmap(pool[owner], size))
        for owner in weights
    }


def _deal_by_vu(
    slots: Collection[int],
    vus: int,
    offset: int,
    size: int,
    weights: Mapping[Owner, float],
    previous: Mapping[Owner, Sequence[int]],
) -> dict[Owner, tuple[int, ...]]:
    """Deal slots of VUs 0 … vus−1; whoever gets no VU gets no slot, so empty slots go to the holders too."""
    ordered = _in_order(slots, offset, size)
    filled = [slot for slot in ordered if (slot - offset) % size < vus]
    if not filled:
        return dict.fromkeys(weights, ())
    first = deal(filled, weights, previous)
    holders = {owner: weights[owner] if part else 0.0 for owner, part in first.items()}
    rest = deal(ordered[len(filled) :], holders, previous)
    return {owner: first[owner] + rest[owner] for owner in weights}


def _in_order(slots: Collection[int], offset: int, size: int) -> list[int]:
    """Slots in the order in which iterations (or VUs) 0, 1, 2, … meet them."""
    return sorted(slots, key=lambda slot: (slot - offset) % size)


def vus_of(share: ScenarioShare, scenario: Scenario, seed: int) -> tuple[int, ...]:
    """The VUs of a share, ascending: numbers 0 … vus−1 (closed) or 0 … max_vus−1 (open).

    An open scenario creates those below `default_pre_allocated` before its start.
    """
    closed = isinstance(scenario, ConstantVus)
    mask = to_mask(share.slots if closed else share.vu_slots)
    numbers = np.arange(scenario.vus if isinstance(scenario, ConstantVus) else scenario.max_vus, dtype=np.int64)
    owned = mask[slot_of(numbers, slot_offset(seed, share.scenario), len(mask))]
    return tuple(numbers[owned].tolist())


def default_pre_allocated(scenario: OpenScenario) -> int:
    """VUs of the whole fleet that exist before the start: what the plan says, else what the rate needs.

    By Little's law a rate of r per second keeps r VUs busy when an iteration takes one second; that many are
    made, of the peak rate, at least 1 and at most ``max_vus``. Slower iterations make more VUs on the way.
    """
    wanted = scenario.pre_allocated_vus
    if wanted is None:
        wanted = max(1, math.ceil(shape_of(scenario).peak_rate()))
    return min(wanted, scenario.max_vus)
