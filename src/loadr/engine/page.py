"""The page of shared memory between an agent and one worker: the lease end in, counters out.

A memfd of 64 words (int64), made by the agent and inherited by the worker. It works without any message: an
agent that is frozen can not prolong the lease, a worker that crashed leaves its counters behind.
Each word has one writer; a torn read can not happen for aligned 8-byte words on the machines that we run on.
"""

from __future__ import annotations

import mmap
import os

WORDS = 64

# agent → worker
LEASE_END = 0  # CLOCK_BOOTTIME ns; nothing is dispatched at or after it; 0: never granted
REVISION = 1  # ownership revision

# worker → agent
ITERATIONS_STARTED = 8
ITERATIONS_FINISHED = 9
REQUESTS_STARTED = 10
REQUESTS_FINISHED = 11
ALIVE_AT = 12  # CLOCK_BOOTTIME ns of the last turn of the worker's one-second timer


class Page:
    """``words`` is a memoryview of int64: index it with the constants above."""

    __slots__ = ("_map", "fd", "words")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, WORDS * 8)
        self.words: memoryview[int] = memoryview(self._map).cast("q")

    @classmethod
    def create(cls) -> Page:
        """A zeroed page in a new memfd; its ``fd`` is to be passed on to the worker."""
        fd = os.memfd_create("loadr-page", os.MFD_CLOEXEC)
        os.ftruncate(fd, WORDS * 8)
        return cls(fd)

    def close(self) -> None:
        """Unmap and close; safe to call twice."""
        if self.fd >= 0:
            self.words.release()
            self._map.close()
            os.close(self.fd)
            self.fd = -1
