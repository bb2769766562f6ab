"""What a pool knows of each of its workers in a run, and how it waits for the answers of all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from loadr.engine.books import Reported
from loadr.engine.channel import ReportMessage, ScenarioLedger, WorkerDone, WorkerSecond
from loadr.engine.process import WorkerProcess
from loadr.metrics.series import SeriesKey


@dataclass(slots=True)
class Member:
    """One worker and what the pool knows of it in this run."""

    process: WorkerProcess
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    series: dict[int, SeriesKey] = field(default_factory=dict)
    last: WorkerSecond | None = None
    worst_loop_lag_ns: int = 0
    worst_lag_p99_ns: int = 0
    done: WorkerDone | None = None
    ledgers: tuple[ScenarioLedger, ...] = ()  # of its page, once it died in the run
    reported: Reported = field(default_factory=Reported)
    alive_at: int = 0
    still_turns: int = 0

    def take(self, second: WorkerSecond) -> None:
        """Its last second from now on; the worst lags stay until somebody has read them."""
        self.last = second
        self.worst_loop_lag_ns = max(self.worst_loop_lag_ns, second.loop_lag_ns)
        self.worst_lag_p99_ns = max(self.worst_lag_p99_ns, second.lag_p99_ns)

    def take_worst_lags(self) -> tuple[int, int]:
        """Of the loop, and of the dispatch's p99, over all seconds since the last call; nanoseconds."""
        worst = self.worst_loop_lag_ns, self.worst_lag_p99_ns
        self.worst_loop_lag_ns = self.worst_lag_p99_ns = 0
        return worst

    @property
    def lost(self) -> bool:
        """It has ended, and everything that it said before was handed on."""
        return self.process.gone.is_set()

    @property
    def name(self) -> str:
        return f"worker {self.process.index} (pid {self.process.pid})"


class Round:
    """One order to all workers: over when each has answered or died, or when the limit is reached.

    ``on_over`` gets the answers and the members that gave none.
    """

    def __init__(
        self,
        members: Iterable[Member],
        limit_s: float,
        on_over: Callable[[list[ReportMessage], list[Member]], None],
    ) -> None:
        self._open = {id(member): member for member in members}
        self._silent: list[Member] = []
        self._answers: list[ReportMessage] = []
        self._on_over = on_over
        self._timer = asyncio.get_running_loop().call_later(limit_s, self._finish)

    def answer(self, member: Member, report: ReportMessage | None) -> None:
        """A report of the expected kind, or None when the worker died."""
        if self._open.pop(id(member), None) is None:
            return
        if report is None:
            self._silent.append(member)
        else:
            self._answers.append(report)
        if not self._open:
            self._finish()

    def cancel(self) -> None:
        """Nobody is waited for any more."""
        self._timer.cancel()
        self._open.clear()

    def _finish(self) -> None:
        self._timer.cancel()
        silent = self._silent + list(self._open.values())
        self._open.clear()
        self._on_over(self._answers, silent)
