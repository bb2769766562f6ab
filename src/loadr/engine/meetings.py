"""VUs of this worker that wait for others of the fleet, by the name of the meeting.

Takes arrivals; tells the controller how many have come, in one claim for those of a few milliseconds, each of
which replaces the one before it. Lets VUs go in the order in which they came, as many as the controller says.
"""

from __future__ import annotations

import asyncio
from collections import deque

from loadr.engine.channel import ValueOrder
from loadr.engine.fleet_values import BARRIER, RELEASED, TIMED_OUT, FleetValues

GATHER_S = 0.005


class Meetings:
    """Of one worker."""

    def __init__(self, values: FleetValues, loop: asyncio.AbstractEventLoop) -> None:
        self._values = values
        self._loop = loop
        self._doors: dict[str, _Door] = {}

    async def arrive(self, name: str, users: int, timeout_ns: int) -> bool:
        """Wait until ``users`` VUs of the whole fleet have arrived; whether they have, or time was up."""
        door = self._doors.get(name)
        if door is None:
            door = self._doors[name] = _Door(name, self._values, self._loop)
        try:
            return await door.wait(users, timeout_ns)
        finally:
            if door.is_idle:
                self._doors.pop(name, None)


class _Door:
    """``waiting`` are all; the last ``fresh`` of them the controller has not heard of."""

    def __init__(self, name: str, values: FleetValues, loop: asyncio.AbstractEventLoop) -> None:
        self._name = name
        self._values = values
        self._loop = loop
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._fresh = 0
        self._unanswered = 0  # claims
        self._last = 0  # ticket of the last claim, 0 once it is answered
        self._is_due = False
        self._users, self._timeout_ns = 1, 1

    @property
    def is_idle(self) -> bool:
        return not self._waiting and not self._unanswered

    async def wait(self, users: int, timeout_ns: int) -> bool:
        self._users, self._timeout_ns = users, timeout_ns
        let_go: asyncio.Future[bool] = self._loop.create_future()
        self._waiting.append(let_go)
        self._fresh += 1
        self._claim_soon()
        return await let_go

    def _claim_soon(self) -> None:
        if not self._is_due and self._fresh:
            self._is_due = True
            self._loop.call_later(GATHER_S, self._claim)

    def _claim(self) -> None:
        self._is_due = False
        count, self._fresh = self._fresh, 0
        if not count:
            return
        self._unanswered += 1
        self._last = self._values.claim(
            BARRIER,
            self._name,
            count,
            self._answered,
            users=self._users,
            timeout_ns=self._timeout_ns,
            replaces=self._last,
        )

    def _answered(self, value: ValueOrder) -> None:
        self._unanswered -= 1
        told = len(self._waiting) - self._fresh
        count = min(value.count, told) if value.kind in (RELEASED, TIMED_OUT) else told
        for _ in range(count):
            let_go = self._waiting.popleft()
            if not let_go.done():
                let_go.set_result(value.kind != TIMED_OUT)
        if value.ticket == self._last:
            self._last = 0
            self._fresh = len(self._waiting)  # who is left over is claimed anew
            self._claim_soon()
