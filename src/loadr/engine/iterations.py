"""How iterations are carried and how they end: the part that open and closed executors share.

Takes one scenario's flow (an ``async def`` of a VU) and runs it once per iteration in the coroutine of its VU.
Every iteration that was started ends in exactly one way: finished (also when it was given up after a counted
error) or interrupted. They are counted in the scenario's block of the page, apart from the recorder's samples, so
that one can be audited against the other.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from functools import partial
from pathlib import Path
from typing import Any

from loadr.engine.books import ledger_of
from loadr.engine.channel import ScenarioLedger
from loadr.engine.page import FINISHED, INTERRUPTED, STARTED
from loadr.engine.recorder import ScenarioRecorder
from loadr.engine.signals import IterationAborted
from loadr.engine.vu import Vu

Flow = Callable[[Vu], Awaitable[object]]
LEASE = "lease"  # the reason of an `IterationAborted` by a lease that ran out
SCRIPT_EXCEPTION = "script_exception"
MAX_TOLD = 20
"""Different exceptions of one scenario that a worker sends up; all are counted."""


class FirstOfEach:
    """Hands on the first text for each key, up to `MAX_TOLD` of them; texts of others are not even made."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told: set[Hashable] = set()

    def __call__(self, key: Hashable, text: Callable[[], str]) -> None:
        if key not in self._told and len(self._told) < MAX_TOLD:
            self._told.add(key)
            self._tell(text())


class Iterations:
    """Of one scenario on one worker. ``counts`` is its block in the page: executors count what they plan,
    start, drop and miss, `Iterations` how it ended. ``tell`` gets the exceptions of its script: "buy.py:12:
    KeyError: 'id'"."""

    def __init__(
        self,
        scenario: str,
        flow: Flow,
        recorder: ScenarioRecorder,
        clock: Callable[[], int],
        tell: FirstOfEach,
    ) -> None:
        self.scenario = scenario
        self.recorder = recorder
        self.counts = recorder.counts
        self._flow = flow
        self._clock = clock
        self._tell = tell
        self._tasks: set[asyncio.Task[None]] = set()
        self._halted = False
        self._settled = False

    def begin(self, vu: Vu, life: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> None:
        """Let a VU live until its coroutine returns or `halt` cancels it; then its connections are closed."""
        task = loop.create_task(life)
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, vu))

    def _ended(self, vu: Vu, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        vu.http.abort()
        if not task.cancelled():
            task.result()  # raises only if the engine itself is broken, and then the worker must end

    async def carry(self, vu: Vu, intended_ns: int, start_ns: int) -> int:
        """Run one iteration, counted as started already, from ``start_ns`` (now); gives the instant of its end,
        0 when its script raised.

        ``intended_ns`` is its planned instant, 0 in closed models. Raises `asyncio.CancelledError` after
        `halt`.
        """
        vu.http.first_intended_ns = intended_ns
        clean = True
        try:
            await self._flow(vu)
        except IterationAborted as abort:
            if abort.reason == LEASE:
                return self._interrupted()
        except asyncio.CancelledError as error:
            if self._halted:
                self._interrupted()
                raise
            clean = self._script_raised(error)  # the script was cancelled by something of its own
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - also SystemExit: a script does not end the worker
            clean = self._script_raised(error)
        if self._settled:
            raise asyncio.CancelledError
        end_ns = self._clock()
        self.recorder.iteration_done(intended_ns, start_ns, end_ns)
        self.counts[FINISHED] += 1
        if self._halted:
            raise asyncio.CancelledError  # a script has swallowed it
        return end_ns if clean else 0

    def halt(self) -> None:
        """Cancel every VU; iterations in flight are interrupted. Their coroutines end within a turn of the
        loop."""
        self._halted = True
        for task in tuple(self._tasks):
            task.cancel()

    def settle(self) -> None:
        """After `halt`: whatever is still in flight counts as interrupted, so that the books balance: it was
        handed to a VU that did not come to begin it, or its script has swallowed the cancellation (then
        `alive` is not 0, and the process must not go on)."""
        for _ in range(self.in_flight):
            self._interrupted()
        self._settled = True

    @property
    def alive(self) -> int:
        """VUs whose coroutine has not ended."""
        return len(self._tasks)

    @property
    def in_flight(self) -> int:
        """Iterations that were started and have not ended."""
        counts = self.counts
        return counts[STARTED] - counts[FINISHED] - counts[INTERRUPTED]

    def ledger(self) -> ScenarioLedger:
        """The totals, for the controller's audit."""
        return ledger_of(self.scenario, self.counts)

    def _interrupted(self) -> int:
        now_ns = self._clock()
        if not self._settled:
            self.counts[INTERRUPTED] += 1
            self.recorder.interrupted(now_ns)
        return now_ns

    def _script_raised(self, error: BaseException) -> bool:
        self.recorder.error(SCRIPT_EXCEPTION, self._clock())
        self._tell(_place(error), lambda: describe_exception(error))
        return False


def _place(error: BaseException) -> Hashable:
    """What tells one exception from another without the cost of words: its type, and the line that raised
    it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return type(error), trace and (trace.tb_frame.f_code, trace.tb_lineno)


_ENGINE = str(Path(__file__).parent)


def describe_exception(error: BaseException) -> str:
    """ "buy.py:12: ZeroDivisionError: division by zero", the place being the innermost one in a user's file."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_ENGINE)]
    place = ""
    if frames:
        own = [f for f in frames if "site-packages" not in f.filename and "/lib/python" not in f.filename]
        frame = (own or frames)[-1]
        place = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}: "
    text = str(error)
    return f"{place}{type(error).__name__}{': ' + text if text else ''}"[:20_000]
