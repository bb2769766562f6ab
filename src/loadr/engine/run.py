"""One run on one worker: from its shares to its ledgers.

Takes executors (one per scenario) and the orders of the agent; drives them on one timeline, ends each scenario
in its own way, watches the lease, and reports once a second. Two clocks drive it: the pacer wakes it for what
the schedule says, to tens of microseconds; a turn at least every 50 ms looks after everything that may be a
little late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from loadr.engine.channel import ReportMessage, WorkerDone, WorkerStarted
from loadr.engine.iterations import Iterations
from loadr.engine.pacer import Pacer
from loadr.engine.page import ALIVE_AT, LEASE_END, REVISION
from loadr.engine.pending import NEVER_NS
from loadr.engine.recorder import ScenarioRecorder
from loadr.engine.second import SecondReport
from loadr.schedule.change import Change
from loadr.schedule.share import ScenarioShare
from loadr.units import NS_PER_MS, NS_PER_S

TURN_NS = 50 * NS_PER_MS
"""How late the end of a lease or of a scenario may be noticed when no arrival is due. (A request checks the
lease itself.)"""
HALTING_TURN_NS = 2 * NS_PER_MS
HALT_LIMIT_NS = NS_PER_S
"""How long a script may take to end after it was cancelled; then its iteration counts as interrupted all the
same."""
ORPHANED = "orphaned"


class Executor(Protocol):
    """What decides when the iterations of one scenario begin. Instants are CLOCK_BOOTTIME."""

    iterations: Iterations
    end_ns: int
    revision: int

    @property
    def vus(self) -> int: ...

    @property
    def active_vus(self) -> int: ...

    def arm(self, shares: Sequence[ScenarioShare], changes: Sequence[Change]) -> None: ...

    def start(self, start_ns: int, late_until_ns: int) -> None: ...

    def turn(self, now_ns: int) -> int: ...

    def stop(self) -> None: ...

    def reshare(self, shares: Sequence[ScenarioShare], changes: Sequence[Change], revision: int) -> None: ...


class _Phase(Enum):
    RUNNING = auto()
    ENDING = auto()  # starts nothing more, waits for iterations
    HALTING = auto()  # iterations are cancelled
    OVER = auto()


@dataclass(slots=True)
class _Part:
    """One scenario of the run."""

    executor: Executor
    graceful_stop_ns: int
    phase: _Phase = _Phase.RUNNING
    deadline_ns: int = 0


class Run:
    """``graceful_stops_ns`` by scenario, as in ``executors``. ``send`` gets every report, the last is
    `WorkerDone`."""

    def __init__(
        self,
        executors: Mapping[str, Executor],
        graceful_stops_ns: Mapping[str, int],
        report: SecondReport,
        words: memoryview[int],
        clock: Callable[[], int],
        loop: asyncio.AbstractEventLoop,
        send: Callable[[ReportMessage], None],
    ) -> None:
        self._parts = {name: _Part(executor, graceful_stops_ns[name]) for name, executor in executors.items()}
        self._report = report
        self._words = words
        self._clock = clock
        self._loop = loop
        self._send = send
        self._pacer = Pacer(loop, self._paced)
        self._timer: asyncio.TimerHandle | None = None
        self._turn_at_ns = 0
        self._start_ns = 0
        self._late_until_ns = 0
        self._begun = False
        self._orphaned = False
        self._over = False
        self._cause = ""
        self._revision = 0

    def arm(self, shares: Sequence[ScenarioShare], changes: Sequence[Change] = ()) -> None:
        """Take these shares; create the VUs that are wanted before the start."""
        for name, part in self._parts.items():
            part.executor.arm(_of(name, shares), changes)

    def start(self, start_ns: int) -> None:
        """Begin at this instant, or at once if it is past: then what was planned before now is missed."""
        self._start_ns = start_ns
        now_ns = self._clock()
        if now_ns > start_ns:
            self._late_until_ns = now_ns
        self._pacer.set(start_ns)
        self._turn()

    def reshare(self, shares: Sequence[ScenarioShare], changes: Sequence[Change], revision: int) -> None:
        """Shares that hold from their own instants on, and all changes of the run; ``revision`` is what the page
        says from then on."""
        if self._over:
            return
        self._revision = revision
        for name, part in self._parts.items():
            part.executor.reshare(_of(name, shares), changes, revision)
        if self._begun:
            self._pacer.set(self._dispatch(self._clock()))

    def stop(self, graceful: bool, cause: str) -> None:
        """Start nothing more, in any scenario; wait for iterations if ``graceful``, else interrupt them."""
        if not self._over:
            self._end_all(self._clock(), graceful, cause)
            self._turn()

    # --- time passes ----------------------------------------------------------------------------------------

    def _paced(self) -> int:
        """The pacer's wake-up; gives the instant of the next one."""
        now_ns = self._clock()
        if not self._begun:
            self._begin(now_ns)
        return self._dispatch(now_ns)

    def _begin(self, now_ns: int) -> None:
        self._begun = True
        for part in self._parts.values():
            part.executor.start(self._start_ns, self._late_until_ns)
        self._report.begin(self._start_ns, now_ns)
        self._send(WorkerStarted(start_error_ns=now_ns - self._start_ns))
        self._turn()

    def _dispatch(self, now_ns: int) -> int:
        """Let every executor do what is due; gives the next instant for the pacer, 0 for none."""
        if now_ns >= self._words[LEASE_END] and not self._orphaned:
            self._turn()
        if self._orphaned or self._over:
            return 0
        next_ns = min(part.executor.turn(now_ns) for part in self._parts.values())
        return 0 if next_ns == NEVER_NS else next_ns

    def _turn(self) -> None:
        """At least every 50 ms, and at every boundary of a second."""
        now_ns = self._clock()
        self._words[ALIVE_AT] = now_ns
        self._report.loop_was_late_by(now_ns - self._turn_at_ns if self._turn_at_ns else 0)
        if self._begun and now_ns >= self._words[LEASE_END] and not self._orphaned:
            self._orphaned = True
            self._end_all(now_ns, graceful=False, cause=ORPHANED)
        for part in self._parts.values():
            self._move(part, now_ns)
        if all(part.phase is _Phase.OVER for part in self._parts.values()):
            self._finish(now_ns)
            return
        if now_ns >= self._report.due_ns:
            self._send(self._report.make(now_ns, self._crews(), last=False))
        self._set_timer(now_ns)

    def _set_timer(self, now_ns: int) -> None:
        halting = any(part.phase is _Phase.HALTING for part in self._parts.values())
        delay_ns = min(HALTING_TURN_NS if halting else TURN_NS, max(self._report.due_ns - now_ns, 0))
        self._turn_at_ns = now_ns + delay_ns
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay_ns / NS_PER_S, self._turn)

    def _move(self, part: _Part, now_ns: int) -> None:
        """Bring one scenario to the phase in which it should be. An order that was not read yet may move its
        end."""
        iterations = part.executor.iterations
        if part.phase is _Phase.RUNNING and self._begun and now_ns >= part.executor.end_ns and not self._behind:
            self._end(part, now_ns)
            part.deadline_ns = part.executor.end_ns + part.graceful_stop_ns
        if part.phase is _Phase.ENDING and (not iterations.in_flight or now_ns >= part.deadline_ns):
            iterations.halt()
            part.phase = _Phase.HALTING
            part.deadline_ns = now_ns + HALT_LIMIT_NS
        elif part.phase is _Phase.HALTING and (not iterations.alive or now_ns >= part.deadline_ns):
            iterations.settle()
            part.phase = _Phase.OVER

    @property
    def _behind(self) -> bool:
        return self._words[REVISION] != self._revision

    def _end_all(self, now_ns: int, graceful: bool, cause: str) -> None:
        """Every scenario starts nothing more, for this cause or for an earlier one."""
        self._cause = self._cause or cause
        for part in self._parts.values():
            if part.phase is _Phase.RUNNING:
                self._end(part, now_ns)
                part.deadline_ns = now_ns + part.graceful_stop_ns
            if part.phase is _Phase.ENDING and not graceful:
                part.deadline_ns = now_ns
        self._pacer.set(0)

    def _end(self, part: _Part, now_ns: int) -> None:
        """Deal with what was due until now; then start nothing more."""
        if self._begun:
            part.executor.turn(now_ns)
        part.executor.stop()
        part.phase = _Phase.ENDING

    def _finish(self, now_ns: int) -> None:
        self._over = True
        self._pacer.close()
        if self._timer is not None:
            self._timer.cancel()
        if self._begun:
            self._send(self._report.make(now_ns, self._crews(), last=True))
        ledgers = [part.executor.iterations.ledger() for part in self._parts.values()]
        self._send(WorkerDone(ledgers=ledgers, cause=self._cause))

    def _crews(self) -> list[tuple[ScenarioRecorder, Executor]]:
        return [(part.executor.iterations.recorder, part.executor) for part in self._parts.values()]


def _of(scenario: str, shares: Sequence[ScenarioShare]) -> list[ScenarioShare]:
    return [share for share in shares if share.scenario == scenario]
