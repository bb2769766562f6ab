"""Dealing: a sequence of slots cut into parts by weight, again and again with the least movement.

A fresh deal is the quota method of M. L. Balinski and H. P. Young, "The Quota Method of Apportionment", American
Mathematical Monthly 82 (1975): of those who would not exceed their quota (rounded up), the next slot goes to the
one whose next slot is due first. So every prefix of n slots is itself dealt by weight: each owner has its n·w/W
of it, rounded down or up. With equal weights this is round-robin.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from fractions import Fraction
from typing import TypeVar

Owner = TypeVar("Owner", bound=Hashable)


def deal(
    slots: Sequence[int],
    weights: Mapping[Owner, float],
    previous: Mapping[Owner, Collection[int]] | None = None,
) -> dict[Owner, tuple[int, ...]]:
    """Every slot to exactly one owner; each owner's slots in the order of ``slots``.

    Sizes are n·w/W, rounded down or up; zero weight gets nothing; ties go to the earlier owner of ``weights``.
    With ``previous`` only slots of owners who left and slots above the new sizes move, which is the least
    possible, and who rounds up is chosen so that less moves. What ``previous`` says of other slots is ignored.
    Raises `ValueError` on a negative or not finite weight, and if there are slots but nobody has a weight.
    """
    parts: dict[Owner, list[int]] = {owner: [] for owner in weights}
    if not slots:
        return {owner: () for owner in parts}
    owners = [owner for owner, weight in weights.items() if weight != 0]
    shares = _whole_weights([weights[owner] for owner in owners])
    kept, room = _keep(slots, owners, shares, previous or {})
    for slot, who in zip(slots, _walk(shares, room, kept), strict=True):
        parts[owners[who]].append(slot)
    return {owner: tuple(part) for owner, part in parts.items()}


def _whole_weights(weights: Sequence[float]) -> list[int]:
    """Integers in exactly the same proportions."""
    if not all(math.isfinite(weight) and weight > 0 for weight in weights):
        raise ValueError("a weight must be a finite number, and not negative")
    if not weights:
        raise ValueError("nobody with a weight is there to own the slots")
    fractions = [Fraction(weight) for weight in weights]
    common = math.lcm(*(f.denominator for f in fractions))
    return [int(f * common) for f in fractions]


def _keep(
    slots: Sequence[int],
    owners: Sequence[Owner],
    weights: Sequence[int],
    previous: Mapping[Owner, Collection[int]],
) -> tuple[list[int | None], list[int]]:
    """For each position its owner if it stays, and for each owner how many slots it still gets."""
    count = len(slots)
    stays: list[int | None] = [None] * count
    position = {slot: at for at, slot in enumerate(slots)}
    held: list[list[int]] = []
    for who, owner in enumerate(owners):
        mine = sorted({position[slot] for slot in previous.get(owner, ()) if slot in position})
        mine = [at for at in mine if stays[at] is None]  # of two who claim a slot, the first has it
        for at in mine:
            stays[at] = who
        held.append(mine)
    if not any(held):
        return stays, [count] * len(owners)
    sizes = _sizes(count, weights, [len(mine) for mine in held])
    for mine, size in zip(held, sizes, strict=True):
        if len(mine) > size:
            staying = {mine[(2 * i + 1) * len(mine) // (2 * size)] for i in range(size)}  # evenly spread
            for at in mine:
                if at not in staying:
                    stays[at] = None
    return stays, [max(0, size - len(mine)) for mine, size in zip(held, sizes, strict=True)]


def _sizes(count: int, weights: Sequence[int], held: Sequence[int]) -> list[int]:
    """Quotas rounded down; what is left goes to those who hold more than that, then by largest remainder."""
    total = sum(weights)
    sizes = [count * weight // total for weight in weights]
    remainders = [count * weight % total for weight in weights]
    uneven = [who for who, remainder in enumerate(remainders) if remainder]
    uneven.sort(key=lambda who: (held[who] <= sizes[who], -remainders[who], who))
    for who in uneven[: count - sum(sizes)]:
        sizes[who] += 1
    return sizes


def _walk(weights: Sequence[int], room: Sequence[int], stays: Sequence[int | None]) -> list[int]:
    """The owner of each position: who stays, else by the quota method among those who have room."""
    total = sum(weights)
    have = [0] * len(weights)
    left = list(room)

    def opens(who: int) -> int:
        """The first prefix in which one more slot is within the quota, rounded up."""
        return have[who] * total // weights[who] + 1

    def due(who: int) -> int:
        """The last prefix by which one more slot is needed for the quota, rounded down."""
        return -(-(have[who] + 1) * total // weights[who])

    # An entry is out of date when its owner met a slot that stays; it is put right when it comes up.
    waiting = [(1, who) for who, places in enumerate(left) if places]
    ready: list[tuple[int, int]] = []
    out = []
    for prefix, stayer in enumerate(stays, start=1):
        chosen = stayer
        while chosen is None:
            while waiting and (waiting[0][0] <= prefix or not ready):
                opening, who = heapq.heappop(waiting)
                if opening < opens(who):
                    heapq.heappush(waiting, (opens(who), who))
                else:
                    heapq.heappush(ready, (due(who), who))
            needed, who = heapq.heappop(ready)
            if needed < due(who):
                heapq.heappush(waiting, (opens(who), who))
            else:
                chosen = who
        have[chosen] += 1
        out.append(chosen)
        if stayer is None:
            left[chosen] -= 1
            if left[chosen]:
                heapq.heappush(waiting, (opens(chosen), chosen))
    return out
