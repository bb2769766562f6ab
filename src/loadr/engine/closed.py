"""The closed executor ``constant-vus``: each VU starts its next iteration when the last one ended."""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future, sleep
from collections.abc import Callable, Iterable, Sequence

from loadr.engine.crew import Crew
from loadr.engine.iterations import Iterations
from loadr.engine.page import LEASE_END, PLANNED, REQUESTS_STARTED, REVISION, STARTED
from loadr.engine.pending import NEVER_NS
from loadr.engine.stock import Shelf
from loadr.engine.vu import Vu
from loadr.plan.model import ConstantVus
from loadr.schedule.change import NEVER_RUN_NS, Change
from loadr.schedule.course import course_of
from loadr.schedule.share import ScenarioShare

PAUSE_AFTER_EXCEPTION_S = 0.01
"""A script that always raises would otherwise spin a core to say so."""

SHORTEST_ITERATION_NS = 10_000
"""No iteration can be shorter. A VU that begins in mid-run counts its iterations from where an earlier VU of
the same number can not have come to, wherever that one was."""


class ClosedExecutor:
    """Same shape as `loadr.engine.open.OpenExecutor`. A VU's own iterations count from 0, or from its begin in
    mid-run / 10 µs; planned = started. ``shelves``: of data sets whose rows are granted; a VU waits for a row of
    each before its iteration starts, and the scenario ends when there are no more."""

    def __init__(
        self,
        model: ConstantVus,
        seed: int,
        iterations: Iterations,
        make_vu: Callable[[int], Vu],
        words: memoryview[int],
        clock: Callable[[], int],
        loop: AbstractEventLoop,
        shelves: Sequence[Shelf] = (),
    ) -> None:
        self.iterations = iterations
        self.end_ns = NEVER_NS
        self.revision = 0
        self._model = model
        self._make_vu = make_vu
        self._words = words
        self._clock = clock
        self._loop = loop
        self._course = course_of(iterations.scenario, model)
        self._crew = Crew(model, seed, self._course)
        self._start_ns = 0
        self._vus: dict[int, Vu] = {}  # by number, those that we own
        self._waiting: list[Vu] = []  # those whose coroutine is yet to begin
        self._leaving: set[Vu] = set()  # those that were given away
        self._parked: list[Future[None]] = []  # of those that may not start an iteration now
        self._next_ns = 0  # until then a turn has nothing to do
        self._hold_ns = 0  # no iteration starts from then on, until a turn says otherwise
        self._stopped = False
        self._shelves = tuple(shelves)
        self._is_out = False  # of rows
        for shelf in self._shelves:
            shelf.stock.on_change(self._wake)

    def arm(self, shares: Iterable[ScenarioShare], changes: Sequence[Change] = ()) -> None:
        """Own these shares, each from its own instant on, and create the VUs of those that hold from the
        start."""
        self._follow(changes)
        for share in shares:
            self._crew.own(share)
        self._meet_crew(0)

    def start(self, start_ns: int, late_until_ns: int) -> None:
        """The timeline begins at ``start_ns``; a late start makes the scenario shorter. `turn` follows."""
        self._start_ns = start_ns
        self.end_ns = self._instant(self._course.end_run_ns)

    def turn(self, now_ns: int) -> int:
        """Let the VUs go on when it is time; gives the next instant, or `NEVER_NS`."""
        if now_ns < self._next_ns:
            return self._next_ns
        if self._stopped:
            return NEVER_NS
        run_ns, course = now_ns - self._start_ns, self._course
        while run_ns >= self._crew.next_run_ns:
            self._meet_crew(self._crew.next_run_ns)
        self._next_ns = self._instant(min(self._crew.next_run_ns, course.next_edge(run_ns)))
        if run_ns < course.begin_run_ns:
            self._next_ns = min(self._next_ns, self._instant(course.begin_run_ns))
            self._hold_ns = 0
        elif course.is_paused(run_ns):
            self._hold_ns = 0
        else:
            self._hold_ns = min(self._next_ns, self.end_ns)
            self._go_on()
        return self._next_ns

    def stop(self) -> None:
        """Start nothing more."""
        self._stopped = True
        self._hold_ns, self._next_ns = 0, NEVER_NS
        self._wake()

    def reshare(self, shares: Iterable[ScenarioShare], changes: Sequence[Change], revision: int) -> None:
        """Own these from their ``from_run_ns`` on; the run has these changes. To be followed by `turn`."""
        self.revision = revision
        self._follow(changes)
        for share in shares:
            self._crew.own(share)
        if not self._stopped and not self._is_out:
            self.end_ns = self._instant(self._course.end_run_ns)
            self._next_ns = 0

    @property
    def vus(self) -> int:
        """VUs that exist."""
        return len(self._vus)

    @property
    def active_vus(self) -> int:
        """VUs that loop."""
        return self.iterations.alive

    async def _loop_of(self, vu: Vu) -> None:
        words, clock, iterations, leaving = self._words, self._clock, self.iterations, self._leaving
        counts, carry, shelves = iterations.counts, iterations.carry, self._shelves
        now_ns = clock()
        while vu not in leaving:
            if now_ns >= words[LEASE_END]:
                return
            if now_ns >= self._hold_ns or words[REVISION] != self.revision:
                if self._stopped or (now_ns >= self.end_ns and words[REVISION] == self.revision):
                    return
                await self._park()
                now_ns = clock()
                continue
            if shelves:
                lacking = next((shelf.stock for shelf in shelves if not shelf.stock.has_rows), None)
                if lacking is not None:
                    if lacking.is_out:
                        self._run_out(now_ns)
                        return
                    await self._park()
                    now_ns = clock()
                    continue
                for shelf in shelves:
                    shelf.take(vu.id)
            vu.iteration += 1
            counts[PLANNED] += 1
            counts[STARTED] += 1
            requests = counts[REQUESTS_STARTED]
            now_ns = await carry(vu, 0, now_ns)
            if not now_ns:
                await sleep(PAUSE_AFTER_EXCEPTION_S)
                now_ns = clock()
            elif counts[REQUESTS_STARTED] == requests:
                # Nobody has sent anything meanwhile, so it may be that nobody else has run: let them.
                await sleep(0)
                now_ns = clock()

    def _run_out(self, now_ns: int) -> None:
        """There are no more rows: the scenario ends here, as it would by plan."""
        self._is_out = True
        self.end_ns = min(self.end_ns, now_ns)

    async def _park(self) -> None:
        """Until a turn lets VUs go on, a VU leaves, or the scenario is stopped."""
        woken = self._loop.create_future()
        self._parked.append(woken)
        await woken

    def _wake(self) -> None:
        for woken in self._parked:
            if not woken.done():
                woken.set_result(None)
        self._parked.clear()

    def _go_on(self) -> None:
        for vu in self._waiting:
            self.iterations.begin(vu, self._loop_of(vu), self._loop)
        self._waiting.clear()
        self._wake()

    def _instant(self, run_ns: int) -> int:
        return NEVER_NS if run_ns >= NEVER_RUN_NS else self._start_ns + run_ns

    def _follow(self, changes: Sequence[Change]) -> None:
        self._course = course_of(self.iterations.scenario, self._model, changes)
        self._crew.follow(self._course)

    def _meet_crew(self, run_ns: int) -> None:
        """From now on the crew's VUs are ours; others end after the iteration that they are in, and a VU that
        comes anew begins at once, or with the scenario."""
        since_ns, numbers = self._crew.at(run_ns)
        owned = set(numbers)
        left = [self._vus.pop(number) for number in self._vus.keys() - owned]
        if left:
            self._leaving.update(left)
            self._waiting = [vu for vu in self._waiting if vu not in self._leaving]
            self._wake()
        for number in sorted(owned - self._vus.keys()):
            vu = self._vus[number] = self._make_vu(number)
            vu.iteration = since_ns // SHORTEST_ITERATION_NS - 1
            self._waiting.append(vu)
        for shelf in self._shelves:
            shelf.stock.expect(self.iterations.scenario, len(self._vus))
