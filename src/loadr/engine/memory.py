"""How a worker's process treats memory, set once when it starts.

Takes nothing; changes the C allocator's thresholds and the cyclic collector's pace of this process.

glibc serves large blocks by mmap and gives them back at once, and trims the heap's top whenever it is free: a
receive buffer then costs map, fault and unmap at every read (measured: 31 → 10 µs a request on plain asyncio).
With both thresholds high, a buffer that was used once is used again.
"""

from __future__ import annotations

import ctypes
import gc

_M_TRIM_THRESHOLD = -1  # malloc.h
_M_MMAP_THRESHOLD = -3
_MMAP_THRESHOLD_BYTES = 32 * 1024 * 1024  # DEFAULT_MMAP_THRESHOLD_MAX on 64 bits: glibc refuses more
_TRIM_THRESHOLD_BYTES = 256 * 1024 * 1024

_YOUNG_OBJECTS = 50_000
_MIDDLE_ROUNDS = 20


def settle() -> bool:
    """Call once all libraries are imported. True if the C library took the thresholds (glibc only).

    The collector: what lives now lives to the end, so it is frozen and never scanned again. The engine makes no
    cycles on its path, so collections only serve users' scripts; the first generation is made 70 times larger
    than Python's default, and collection is not switched off, or a script's cycles would fill the memory.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, _MIDDLE_ROUNDS, 100)
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False  # musl and others: no such thresholds
    took = mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES) and mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD_BYTES)
    return bool(took)
