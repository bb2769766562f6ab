"""Shares that are to hold from a later instant on: what an executor waits for when load moves."""

from __future__ import annotations

from loadr.schedule.share import ScenarioShare

NEVER_NS = 2**63 - 1
"""An instant that does not come, on any clock of ours."""


class PendingShares:
    """Ordered by instant; a share replaces those that were to hold from the same instant on or later."""

    __slots__ = ("_waiting", "next_ns")

    def __init__(self) -> None:
        self._waiting: list[tuple[int, ScenarioShare]] = []
        self.next_ns = NEVER_NS

    def add(self, at_ns: int, share: ScenarioShare) -> None:
        """``share`` is to hold from ``at_ns`` on."""
        self._waiting = [(ns, old) for ns, old in self._waiting if ns < at_ns]
        self._waiting.append((at_ns, share))
        self.next_ns = self._waiting[0][0]

    def take(self, now_ns: int) -> ScenarioShare | None:
        """The share that holds at ``now_ns``, if it is a new one."""
        latest = None
        while self._waiting and self._waiting[0][0] <= now_ns:
            latest = self._waiting.pop(0)[1]
        self.next_ns = self._waiting[0][0] if self._waiting else NEVER_NS
        return latest
