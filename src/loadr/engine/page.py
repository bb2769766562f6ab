"""The page of shared memory between an agent and one worker: the lease end in, the ledger out.

A memfd of int64 words, made by the agent and inherited by the worker: a header, then one block of 8 words for
each scenario, in the plan's order. It works without any message: an agent that is frozen can not prolong the
lease, and a worker that died leaves exact books behind. What a scenario has done is counted in its block and
nowhere else. Each word has one writer; a torn read can not happen for aligned 8-byte words on the machines that
we run on.
"""

from __future__ import annotations

import mmap
import os

# agent → worker
LEASE_END = 0  # CLOCK_BOOTTIME ns; nothing is dispatched at or after it; 0: never granted
REVISION = 1  # of ownership; who has not read the order of this revision dispatches nothing

# worker → agent
ALIVE_AT = 8  # CLOCK_BOOTTIME ns of the last turn of the worker's timer

# in the block of a scenario, worker → agent. planned = started + dropped + missed;
# started = finished + interrupted + in flight
PLANNED = 0
STARTED = 1
FINISHED = 2
INTERRUPTED = 3
DROPPED = 4
MISSED = 5
REQUESTS_STARTED = 6  # written, or ended without a connection; counted before a byte leaves
REQUESTS_FINISHED = 7

MAX_SCENARIOS = 1000
"""Of one plan. Pages that nobody writes cost no memory, so a page always has room for as many."""

_HEADER_WORDS = 16
_BLOCK_WORDS = 8
WORDS = _HEADER_WORDS + MAX_SCENARIOS * _BLOCK_WORDS


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
        """Unmap and close; safe to call twice. Blocks must have been let go of."""
        if self.fd >= 0:
            self.words.release()
            self._map.close()
            os.close(self.fd)
            self.fd = -1


def new_words() -> memoryview[int]:
    """The words of a page that nobody shares."""
    return memoryview(bytearray(WORDS * 8)).cast("q")


def block_of(words: memoryview[int], index: int) -> memoryview[int]:
    """The block of the plan's scenario number ``index``. Raises `ValueError` if there are too many."""
    if index >= MAX_SCENARIOS:
        raise ValueError(f"a plan of more than {MAX_SCENARIOS} scenarios can not be run; cut it into several")
    first = _HEADER_WORDS + index * _BLOCK_WORDS
    return words[first : first + _BLOCK_WORDS]
