"""The clocks of the shells: CLOCK_BOOTTIME for everything that is decided, the wall clock for people only."""

from __future__ import annotations

import time
from functools import partial

boottime_ns = partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)
"""Nanoseconds since boot, suspends included. Never steps."""


def unix_ms() -> int:
    """Milliseconds of the wall clock, which may be wrong and may step: never decide anything with it."""
    return time.time_ns() // 1_000_000
