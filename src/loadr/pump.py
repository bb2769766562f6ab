"""The one loop around a sans-IO core: events in, effects applied in order, one timer for its deadline.

Takes a core (anything with `handle(event, now_ns) -> effects` and `deadline_ns()`) and a function that applies
one effect. Applying an effect may feed further events; they wait until the effects before them are done, so that
a core never sees an event while its last answer is half applied.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from loadr.clock import boottime_ns

E_contra = TypeVar("E_contra", contravariant=True)
E = TypeVar("E")
F_co = TypeVar("F_co", covariant=True)
F = TypeVar("F")


class Core(Protocol[E_contra, F_co]):
    """What a sans-IO core offers."""

    def handle(self, event: E_contra, now_ns: int) -> Sequence[F_co]: ...

    def deadline_ns(self) -> int | None: ...


class Pump(Generic[E, F]):
    """Feeds a core from one event loop. ``time_passed`` is the event that is fed when the deadline is reached."""

    def __init__(
        self,
        core: Core[E, F],
        apply: Callable[[F], None],
        time_passed: Callable[[], E],
        *,
        clock: Callable[[], int] = boottime_ns,
    ) -> None:
        self._core = core
        self._apply = apply
        self._time_passed = time_passed
        self._clock = clock
        self._waiting: deque[E] = deque()
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at_ns = 0
        self._closed = False

    def feed(self, event: E) -> None:
        """Handle ``event`` now, or right after the one that is being handled. Ignored once closed."""
        if self._closed:
            return
        self._waiting.append(event)
        if self._busy:
            return
        self._busy = True
        try:
            while self._waiting:
                for effect in self._core.handle(self._waiting.popleft(), self._clock()):
                    self._apply(effect)
        finally:
            self._busy = False
        self._set_timer()

    def _set_timer(self) -> None:
        deadline_ns = None if self._closed else self._core.deadline_ns()
        if deadline_ns is None:
            self._clear_timer()
            return
        if self._timer is not None:
            if self._timer_at_ns == deadline_ns:
                return
            self._timer.cancel()
        delay_s = max(0, deadline_ns - self._clock()) / 1e9
        self._timer_at_ns = deadline_ns
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.feed(self._time_passed())

    def _clear_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        """No event is handled any more, and no timer is left."""
        self._closed = True
        self._waiting.clear()
        self._clear_timer()
