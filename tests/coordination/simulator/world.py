"""The simulated world: one heap of (true time, tiebreak, action), one source of randomness, nodes with clocks."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from typing import Any

from coordination.simulator.clocks import MachineClock

S = 1_000_000_000
MS = 1_000_000


class Violation(AssertionError):
    """An invariant does not hold."""


class World:
    """``now`` is true time. Everything happens in one order, given by the seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 0
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, true_ns: int, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (max(true_ns, self.now), self._count, action))

    def after(self, delay_ns: int, action: Callable[[], None]) -> None:
        self.at(self.now + delay_ns, action)

    def run_until(self, true_ns: int, check: Callable[[], None]) -> None:
        """Let everything up to an instant happen; ``check`` after each action."""
        while self._heap and self._heap[0][0] <= true_ns:
            self.now, _, action = heapq.heappop(self._heap)
            action()
            check()
        self.now = max(self.now, true_ns)


class Node:
    """A process with a core. It can be frozen: events wait, and come all at once when it thaws."""

    def __init__(self, world: World, clock: MachineClock, time_passed: Callable[[], Any]) -> None:
        self.world = world
        self.clock = clock
        self.core: Any = None
        self.alive = True
        self.record: list[tuple[Any, int, list[Any]]] | None = None
        self._time_passed = time_passed
        self._frozen_until = 0
        self._waiting: deque[Any] = deque()
        self._timer_at: int | None = None
        self._busy = False

    def mono(self) -> int:
        return self.clock.mono_ns(self.world.now)

    def freeze(self, duration_ns: int) -> None:
        self._frozen_until = max(self._frozen_until, self.world.now + duration_ns)
        self.world.at(self._frozen_until, self._drain)

    def feed(self, event: Any, still: Callable[[], bool] = lambda: True) -> None:
        """``still``: asked when the event's turn comes, which a freeze may put off."""
        if self.alive:
            self._waiting.append((event, still))
            self._drain()

    def _drain(self) -> None:
        if self._busy or self.world.now < self._frozen_until:
            return
        self._busy = True
        while self._waiting and self.alive:
            event, still = self._waiting.popleft()
            if not still():
                continue
            now = self.mono()
            kept = self.keep(event) if self.record is not None else None
            effects = self.core.handle(event, now)
            if self.record is not None:
                self.record.append((kept, now, list(effects)))
            for effect in effects:
                self.apply(effect)
        self._busy = False
        self._set_timer()

    def _set_timer(self) -> None:
        deadline = self.core.deadline_ns() if self.alive else None
        if deadline is None:
            self._timer_at = None
            return
        at = max(self.clock.true_ns(deadline), self.world.now)
        at += self.world.random.randrange(2 * MS) if self.world.random.random() < 0.2 else 0
        if self._timer_at is None or at < self._timer_at or self._timer_at < self.world.now:
            self._timer_at = at
            self.world.at(at, lambda: self._on_timer(at))

    def _on_timer(self, at: int) -> None:
        if self.alive and self._timer_at == at:
            self._timer_at = None
            self.feed(self._time_passed())

    def keep(self, event: Any) -> Any:
        """A copy of an event that no core will change."""
        return event

    def apply(self, effect: Any) -> None:
        raise NotImplementedError
