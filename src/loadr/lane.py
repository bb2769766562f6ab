"""The slow lane of a controller: events that may wait a moment, so that beats and orders do not wait for them.

A thousand agents flush within the same 200 ms, and to take and merge a batch costs a third of a millisecond; a
beat that came behind them all would get its lease too late. So batches are handed over in slices of a few
milliseconds, and between two slices the loop does whatever else is due. The order within a link stays.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Generic, TypeVar

SLICE_S = 0.005
PER_LINK = 8
"""Events of a link that may wait here; its sender is made to wait beyond it. An agent has as many batches."""

E = TypeVar("E")


class Lane(Generic[E]):
    """``take`` is called for each event, in order. Nothing of it comes after `close`."""

    def __init__(self, take: Callable[[E], None], *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._take = take
        self._clock = clock
        self._waiting: deque[tuple[int, E]] = deque()
        self._of_link: Counter[int] = Counter()
        self._moved = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    async def put(self, link: int, event: E) -> None:
        """Have an event taken after those that wait already; waits only while ``link`` has too many of them."""
        while self._of_link[link] >= PER_LINK:
            await self._moved.wait()
        self._of_link[link] += 1
        self._waiting.append((link, event))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), name="slow lane")

    def close(self) -> None:
        """Drop what waits."""
        self._waiting.clear()
        if self._worker is not None:
            self._worker.cancel()

    async def _work(self) -> None:
        try:
            while self._waiting:
                until_s = self._clock() + SLICE_S
                while self._waiting:
                    link, event = self._waiting.popleft()
                    self._of_link[link] -= 1
                    if not self._of_link[link]:
                        del self._of_link[link]
                    self._take(event)
                    if self._clock() >= until_s:
                        break
                self._moved.set()
                self._moved = asyncio.Event()
                await asyncio.sleep(0)
        finally:
            self._worker = None
