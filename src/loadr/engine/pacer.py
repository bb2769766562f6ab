"""The pacer: wakes the dispatcher at an exact instant.

uvloop's and asyncio's own timers tick at 1 ms. A timerfd on CLOCK_BOOTTIME, set to absolute instants and
watched by the loop like a socket, gives tens of microseconds and costs nothing while it waits. Takes a
function that does what is due and returns the next instant.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import time
from collections.abc import Callable

_NS_PER_S = 1_000_000_000

if sys.version_info >= (3, 13):

    def _create() -> int:
        return os.timerfd_create(time.CLOCK_BOOTTIME, flags=os.TFD_NONBLOCK | os.TFD_CLOEXEC)

    def _set(fd: int, at_ns: int) -> None:
        os.timerfd_settime_ns(fd, flags=os.TFD_TIMER_ABSTIME, initial=at_ns, interval=0)

else:
    _TFD_TIMER_ABSTIME = 1
    _libc = ctypes.PyDLL(None, use_errno=True)

    class _Itimerspec(ctypes.Structure):
        _fields_ = tuple((name, ctypes.c_long) for name in ("interval_s", "interval_ns", "value_s", "value_ns"))

    _spec = _Itimerspec()  # one thread, one loop: one structure is enough
    _spec_pointer = ctypes.byref(_spec)

    def _create() -> int:
        fd: int = _libc.timerfd_create(time.CLOCK_BOOTTIME, os.O_NONBLOCK | os.O_CLOEXEC)
        if fd < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return fd

    def _set(fd: int, at_ns: int) -> None:
        _spec.value_s, _spec.value_ns = divmod(at_ns, _NS_PER_S)
        if _libc.timerfd_settime(fd, _TFD_TIMER_ABSTIME, _spec_pointer, None) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Pacer:
    """``on_due`` is called on the loop (uvloop's) at the instant that was set; it returns the next one (0: none).

    The timer is set again only after the callbacks that ``on_due`` has queued, before the loop polls: setting
    it is the dearest system call of an arrival (15 µs on a virtual machine), and those who were woken need not
    wait for it. Setting also takes back an expiry that was not read yet: the descriptor is never read.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_due: Callable[[], int]) -> None:
        self._loop = loop
        self._on_due = on_due
        self._next_ns = 0
        self._fd = _create()
        loop.add_reader(self._fd, self._fire)

    def set(self, at_ns: int) -> None:
        """Wake at this CLOCK_BOOTTIME instant instead of the one set before; at once if it is past; 0: never."""
        self._next_ns = at_ns
        self._apply()

    def _fire(self) -> None:
        self._next_ns = self._on_due()
        self._loop.call_soon(self._apply)

    def _apply(self) -> None:
        if self._fd >= 0:
            _set(self._fd, self._next_ns)

    def close(self) -> None:
        """No further call; safe to repeat, also from within ``on_due``."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
