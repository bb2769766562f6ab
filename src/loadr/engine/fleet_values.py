"""What a worker has of the fleet: the result of setup, and its own claims for rows and meetings.

Takes claims of executors and scripts, and the agent's answers; hands each answer to whoever asked. The result of
setup is made unchangeable: all VUs of a worker share it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn

from loadr.engine.channel import ValueOrder, WorkerClaim

# `loadr.coordination.messages.ClaimKind`
BLOCK = 3
BARRIER = 4
# `loadr.coordination.messages.ValueKind`
VALUE_BLOCK = 4
RELEASED = 5
TIMED_OUT = 6
REFUSED = 7

Send = Callable[[WorkerClaim], None]
OnValue = Callable[[ValueOrder], None]


def _nobody(claim: WorkerClaim) -> None:
    """Of a worker without an agent: tests of other things."""


class FleetValues:
    """``setup`` holds once the agent has told it, before shares are dealt."""

    def __init__(self, send: Send = _nobody) -> None:
        self.setup: Any = None
        self._send = send
        self._waiting: dict[int, OnValue] = {}
        self._ticket = 0

    def take_setup(self, data: bytes) -> None:
        """What setup returned, as JSON."""
        self.setup = fixed(json.loads(data))

    def claim(
        self,
        kind: int,
        key: str,
        count: int,
        on_value: OnValue,
        *,
        used: int = 0,
        users: int = 0,
        timeout_ns: int = 0,
        replaces: int = 0,
    ) -> int:
        """The ticket. ``on_value`` gets the answer, which may never come: the run may end before. ``replaces``:
        the ticket of the last claim of that key, whose VUs count with these from now on."""
        self._ticket += 1
        self._waiting[self._ticket] = on_value
        self._send(WorkerClaim(self._ticket, kind, key, count, used, users, timeout_ns, replaces))
        return self._ticket

    def give(self, value: ValueOrder) -> None:
        """An answer came; one that nobody waits for any more is dropped."""
        on_value = self._waiting.pop(value.ticket, None)
        if on_value is not None:
            on_value(value)


class Fixed(dict[str, Any]):
    """A mapping that can not be changed, and goes into a request as JSON as any other."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("what setup returned can not be changed: all VUs share it; make a copy")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse


def fixed(value: Any) -> Any:
    """JSON that can not be changed: lists become tuples."""
    if isinstance(value, dict):
        return Fixed({key: fixed(inner) for key, inner in value.items()})
    if isinstance(value, list):
        return tuple(fixed(inner) for inner in value)
    return value
