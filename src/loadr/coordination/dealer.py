"""The dealer of one run: who owns which slots, and how they move without anybody starting twice.

Takes the parts of a run with their weights, what givers have acknowledged and who is gone; gives the shares to
publish. A move has two steps. First each giver gets what it keeps; once all of them have said so (or are gone),
the takers get what is theirs. Who is gone owns nothing. Instants are nanoseconds on the run's timeline.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from loadr.plan.model import ConstantVus, Plan
from loadr.schedule.ownership import share_out, slot_count
from loadr.schedule.share import ScenarioShare

Shares = tuple[ScenarioShare, ...]
JOINERS_PER_AGENT = 2
"""Slots are cut for twice the fleet that is there at the start, so that those who join later get a fair part."""


class Dealer:
    """Of one run. A part is named by a key of the caller's."""

    __slots__ = ("_next", "_plan", "_slots", "_waiting", "held")

    def __init__(self, plan: Plan, agents: int) -> None:
        self._plan = plan
        self._slots = slot_count(agents * JOINERS_PER_AGENT)
        self.held: dict[str, Shares] = {}  # what each part may own, at most
        self._next: dict[str, Shares] = {}  # what it will own when the move is over
        self._waiting: set[str] = set()

    def scale(self, plan: Plan) -> None:
        """The numbers of VUs are those of this plan from now on."""
        self._plan = plan

    @property
    def is_moving(self) -> bool:
        """A move has begun, and its second step was not taken."""
        return bool(self._next)

    @property
    def is_released(self) -> bool:
        """Nobody who gives away has still to say so."""
        return not self._waiting

    def empty(self) -> Shares:
        """A share of every scenario that holds nothing."""
        none = bytes(self._slots // 8)
        return tuple(
            ScenarioShare(name, 0, none, b"" if isinstance(scenario, ConstantVus) else none)
            for name, scenario in self._plan.scenarios.items()
        )

    def first(self, weights: Mapping[str, float]) -> dict[str, Shares]:
        """The shares before the start: nobody holds anything yet."""
        self.held = share_out(self._plan, weights, self._slots)
        return dict(self.held)

    def join(self, key: str) -> Shares:
        """A part that holds nothing yet."""
        self.held[key] = self.empty()
        return self.held[key]

    def leave(self, key: str) -> None:
        """The part is over: it owns nothing, and nothing is awaited from it."""
        self.held.pop(key, None)
        self._next.pop(key, None)
        self._waiting.discard(key)

    def move(self, weights: Mapping[str, float], from_run_ns: int) -> dict[str, Shares]:
        """Begin a move towards these weights (a part without one gives everything away); the first step: what
        each giver keeps. Raises `ValueError` without anybody who has a weight."""
        target = share_out(self._plan, weights, self._slots, from_run_ns=from_run_ns, previous=self.held)
        out: dict[str, Shares] = {}
        for key, before in self.held.items():
            after = target.get(key) or tuple(replace(share, from_run_ns=from_run_ns) for share in self.empty())
            target[key] = after
            kept = tuple(_common(one, other) for one, other in zip(before, after, strict=True))
            if not all(_same(one, other) for one, other in zip(before, kept, strict=True)):
                out[key] = kept
        self._next = target
        self._waiting = set(out)
        return out

    def acknowledge(self, key: str) -> None:
        """A giver has applied the first step."""
        if key in self._waiting:
            self._waiting.discard(key)
            self.held[key] = self._kept(key)

    def settle(self, from_run_ns: int) -> dict[str, Shares]:
        """The second step, from an instant on: what each taker owns now."""
        out: dict[str, Shares] = {}
        for key, after in self._next.items():
            shares = tuple(replace(share, from_run_ns=max(share.from_run_ns, from_run_ns)) for share in after)
            if not all(_same(one, other) for one, other in zip(self.held[key], shares, strict=True)):
                out[key] = self.held[key] = shares
        self._next = {}
        return out

    def part_of(self, key: str) -> float:
        """The fraction of all slots that a part owns, mean over the scenarios."""
        shares = self.held.get(key, ())
        bits = sum(int.from_bytes(share.slots, "little").bit_count() for share in shares)
        return bits / (self._slots * len(shares)) if shares else 0.0

    def _kept(self, key: str) -> Shares:
        return tuple(_common(one, other) for one, other in zip(self.held[key], self._next[key], strict=True))


def _common(one: ScenarioShare, other: ScenarioShare) -> ScenarioShare:
    """What both hold, from when the second holds."""
    return replace(other, slots=_and(one.slots, other.slots), vu_slots=_and(one.vu_slots, other.vu_slots))


def _and(one: bytes, other: bytes) -> bytes:
    return np.bitwise_and(np.frombuffer(one, np.uint8), np.frombuffer(other, np.uint8)).tobytes()


def _same(one: ScenarioShare, other: ScenarioShare) -> bool:
    return one.slots == other.slots and one.vu_slots == other.vu_slots


def holes(held: Iterable[Shares]) -> int:
    """How many slots of all scenarios nobody owns; raises `ValueError` if two own one (for tests)."""
    seen: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for shares in held:
        for share in shares:
            slots = int.from_bytes(share.slots, "little")
            if seen.get(share.scenario, 0) & slots:
                raise ValueError(f"two parts own a slot of {share.scenario}")
            seen[share.scenario] = seen.get(share.scenario, 0) | slots
            sizes[share.scenario] = len(share.slots) * 8
    return sum(sizes[name] - slots.bit_count() for name, slots in seen.items())
