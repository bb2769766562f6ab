"""The deciding clock never steps with the wall clock."""

from __future__ import annotations

import time

from loadr.clock import boottime_ns, unix_ms


def test_boottime_moves_forward_in_nanoseconds() -> None:
    first = boottime_ns()
    second = boottime_ns()
    assert second >= first
    assert abs(boottime_ns() - time.clock_gettime(time.CLOCK_BOOTTIME) * 1e9) < 1e9


def test_the_wall_clock_is_in_milliseconds_since_1970() -> None:
    assert abs(unix_ms() - time.time() * 1000) < 1000
