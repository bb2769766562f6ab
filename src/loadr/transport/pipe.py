"""Two bounded queues between the tasks of one event loop, each with an end: what a link is made of.

`Pipe` makes its producer wait (backpressure). `Outbox` never waits: it takes bytes with a priority, and says when
it is full. Both have one consumer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Pipe(Generic[T]):
    """First in, first out, at most ``capacity`` items."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: deque[T] = deque()
        self._closed = False
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    async def put(self, item: T) -> bool:
        """Wait for room. False: the pipe is closed, and the item was dropped."""
        while not self._closed and len(self._items) >= self._capacity:
            self._writable.clear()
            await self._writable.wait()
        if self._closed:
            return False
        self._items.append(item)
        self._readable.set()
        return True

    async def get(self) -> T | None:
        """The next item; None once the pipe is closed and empty."""
        while not self._items:
            if self._closed:
                return None
            self._readable.clear()
            await self._readable.wait()
        item = self._items.popleft()
        self._writable.set()
        return item

    def close(self) -> None:
        """Take no more; what is inside can still be got."""
        self._closed = True
        self._readable.set()
        self._writable.set()


class Outbox:
    """Bytes waiting to be written: the lowest priority number first, in order within it."""

    def __init__(self, *, priorities: int, max_messages: int, max_bytes: int) -> None:
        self._queues: tuple[deque[bytes], ...] = tuple(deque() for _ in range(priorities))
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._messages = 0
        self._bytes = 0
        self._closed = False
        self._readable = asyncio.Event()

    def put(self, priority: int, data: bytes) -> bool:
        """False: it would be over a limit, and was dropped. Nothing is taken after `close`."""
        if self._closed:
            return True
        if self._messages >= self._max_messages or self._bytes + len(data) > self._max_bytes:
            return False
        self._queues[priority].append(data)
        self._messages += 1
        self._bytes += len(data)
        self._readable.set()
        return True

    async def get(self) -> bytes | None:
        """The next bytes; None once the outbox is closed and empty."""
        found = await self.get_several(1, 0)
        return found[0] if found else None

    async def get_several(self, max_messages: int, max_bytes: int) -> list[bytes]:
        """The next bytes, and what waits behind them while all together are few; empty once the outbox is closed
        and empty. Never waits for more."""
        while not self._messages:
            if self._closed:
                return []
            self._readable.clear()
            await self._readable.wait()
        found: list[bytes] = []
        size = 0
        while self._messages and len(found) < max_messages:
            queue = next(queue for queue in self._queues if queue)
            size += len(queue[0])
            if found and size > max_bytes:
                break
            data = queue.popleft()
            self._messages -= 1
            self._bytes -= len(data)
            found.append(data)
        return found

    def close(self) -> None:
        """Take no more; what is inside can still be got."""
        self._closed = True
        self._readable.set()
