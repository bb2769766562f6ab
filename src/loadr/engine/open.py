"""The open executors: iterations start when the schedule says, whatever the target does.

Takes a scenario's fleet-wide arrivals and this worker's shares of them. When an arrival is due it goes to an
idle VU, else to a new one, up to the VUs that this worker owns, else it is dropped. Every arrival that was
owned up to the end, of the scenario or of the lease, is counted once: planned = started + dropped + missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from loadr.engine.crew import Crew
from loadr.engine.iterations import Iterations
from loadr.engine.page import DROPPED, LEASE_END, MISSED, PLANNED, REVISION, STARTED
from loadr.engine.pending import NEVER_NS
from loadr.engine.vu import Vu
from loadr.plan.model import OpenScenario
from loadr.schedule.arrivals import Arrivals, OwnedArrivals
from loadr.schedule.change import NEVER_RUN_NS, Change
from loadr.schedule.ownership import default_pre_allocated
from loadr.schedule.share import ScenarioShare
from loadr.units import NS_PER_MS

LATEST_START_NS = 250 * NS_PER_MS
"""An arrival that is found later than this is dropped, not started. A worker that was frozen for a while must
not send a burst that nobody planned (`docs`: honest load, R4); shorter hiccups are caught up and show as
lag."""


class _Seat:
    """A VU of the pool and how it is woken."""

    __slots__ = ("intended_ns", "retired", "vu", "wake")

    def __init__(self, vu: Vu, wake: asyncio.Future[None]) -> None:
        self.vu = vu
        self.wake = wake
        self.intended_ns = 0
        self.retired = False


class OpenExecutor:
    """``make_vu`` gets a VU's number, from 0 over the fleet. ``limit`` cuts the schedule after that many
    iterations of the fleet (unique rows that end). Instants are CLOCK_BOOTTIME unless they are called
    ``run_ns``."""

    def __init__(
        self,
        model: OpenScenario,
        seed: int,
        limit: int | None,
        iterations: Iterations,
        make_vu: Callable[[int], Vu],
        words: memoryview[int],
        clock: Callable[[], int],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.iterations = iterations
        self.end_ns = NEVER_NS
        self.revision = 0
        self._model = model
        self._limit = limit
        self._make_vu = make_vu
        self._words = words
        self._clock = clock
        self._loop = loop
        self._arrivals = Arrivals(iterations.scenario, model, seed, limit)
        self._cursor = OwnedArrivals(self._arrivals)
        self._crew = Crew(model, seed, self._arrivals.course)
        self._crew_ns = 0  # when the crew may change next
        self._changes: tuple[Change, ...] = ()
        self._idle: list[_Seat] = []
        self._seats: dict[int, _Seat] = {}
        self._spare: list[int] = []  # owned VU numbers without a seat, descending
        self._start_ns = 0
        self._missed_before_ns = 0
        self._stopped = True
        self._numbers: list[int] = []
        self._instants: list[int] = [NEVER_NS]
        self._at = 0
        self._last_iteration = -1

    def arm(self, shares: Iterable[ScenarioShare], changes: Sequence[Change] = ()) -> None:
        """Own these shares, each from its own instant on, and create the VUs that the plan wants before the
        start."""
        self._own(shares, changes)
        self._meet_crew(0)
        pre_allocated = default_pre_allocated(self._model)
        while self._spare and self._spare[-1] < pre_allocated:
            self._idle.append(self._new_seat())

    def start(self, start_ns: int, late_until_ns: int) -> None:
        """The timeline begins at ``start_ns``; what is planned before ``late_until_ns`` is missed. `turn`
        follows."""
        self._start_ns = start_ns
        self._missed_before_ns = late_until_ns
        self.end_ns = self._instant(self._end_run_ns())
        self._crew_ns = self._instant(self._crew.next_run_ns)
        self._stopped = False

    def turn(self, now_ns: int) -> int:
        """Deal with every arrival that is due; gives the instant of the next one, or `NEVER_NS`.

        Once the lease has ended, what is planned at its end or later belongs to somebody else.
        """
        if self._stopped or self._words[REVISION] != self.revision:
            return NEVER_NS
        lease_end_ns = self._words[LEASE_END]
        due_ns = now_ns if now_ns < lease_end_ns else lease_end_ns - 1
        while self._crew_ns <= now_ns:
            self._deal(min(due_ns, self._crew_ns - 1), now_ns)  # what the crew before had to do
            self._meet_crew(self._crew.next_run_ns)
        next_ns = self._deal(due_ns, now_ns)
        if now_ns >= lease_end_ns:
            return NEVER_NS
        return next_ns if next_ns < self._crew_ns else self._crew_ns

    def stop(self) -> None:
        """Start nothing more; what comes later was never planned."""
        self._stopped = True

    def reshare(self, shares: Iterable[ScenarioShare], changes: Sequence[Change], revision: int) -> None:
        """Own these from their ``from_run_ns`` on; the run has these changes. To be followed by `turn`."""
        self.revision = revision
        self._own(shares, changes)
        self._crew_ns = self._instant(self._crew.next_run_ns)
        self.end_ns = self._instant(self._end_run_ns())

    @property
    def vus(self) -> int:
        """VUs that exist."""
        return len(self._seats)

    @property
    def active_vus(self) -> int:
        """VUs that are in an iteration."""
        return self.iterations.in_flight

    def _load(self) -> bool:
        """Take the next arrivals; False when no more are owned."""
        chunk = self._cursor.next_chunk()
        if chunk is None:
            return False
        numbers, run_ns = chunk
        self._numbers = numbers.tolist()
        self._instants = (run_ns + self._start_ns).tolist()
        self._instants.append(NEVER_NS)
        self._at = 0
        return True

    def _deal(self, due_ns: int, now_ns: int) -> int:
        """Deal with what is planned up to ``due_ns``; gives the instant of the next arrival."""
        while True:
            at, instants = self._at, self._instants
            while instants[at] <= due_ns:
                self._dispatch(self._numbers[at], instants[at], now_ns)
                at += 1
            self._at = at
            if instants[at] != NEVER_NS or not self._load():
                return instants[at]

    def _dispatch(self, iteration: int, planned_ns: int, now_ns: int) -> None:
        self._last_iteration = iteration
        counts = self.iterations.counts
        counts[PLANNED] += 1
        if now_ns >= self._words[LEASE_END] or planned_ns < self._missed_before_ns:
            counts[MISSED] += 1
            self.iterations.recorder.missed(planned_ns)
            return
        seat = None
        if now_ns - planned_ns <= LATEST_START_NS:
            seat = self._idle.pop() if self._idle else self._new_seat() if self._spare else None
        if seat is None:
            counts[DROPPED] += 1
            self.iterations.recorder.dropped(planned_ns)
            return
        counts[STARTED] += 1
        seat.vu.iteration = iteration
        seat.intended_ns = planned_ns
        seat.wake.set_result(None)

    def _new_seat(self) -> _Seat:
        number = self._spare.pop()
        seat = _Seat(self._make_vu(number), self._loop.create_future())
        self._seats[number] = seat
        self.iterations.begin(seat.vu, self._serve(seat), self._loop)
        return seat

    async def _serve(self, seat: _Seat) -> None:
        carry, clock = self.iterations.carry, self._clock
        while True:
            await seat.wake
            await carry(seat.vu, seat.intended_ns, clock())
            if seat.retired:
                return
            seat.wake = self._loop.create_future()
            self._idle.append(seat)

    def _own(self, shares: Iterable[ScenarioShare], changes: Sequence[Change]) -> None:
        """What was generated ahead is taken again, under these shares and changes."""
        if tuple(changes) != self._changes:
            self._changes = tuple(changes)
            self._arrivals = self._arrivals.changed(self._changes)
            self._cursor.follow(self._arrivals)
            self._crew.follow(self._arrivals.course)
        for share in shares:
            self._cursor.apply(share)
            self._crew.own(share)
        self._cursor.rewind_to(self._last_iteration + 1)
        self._instants, self._at = [NEVER_NS], 0

    def _end_run_ns(self) -> int:
        """Where the scenario ends on the timeline: after its duration, or with the last row."""
        course, limit = self._arrivals.course, self._limit
        if limit is None or limit > course.shape.total():
            return course.end_run_ns
        return self._arrivals.instant(limit - 1) if limit else course.begin_run_ns

    def _instant(self, run_ns: int) -> int:
        return NEVER_NS if run_ns >= NEVER_RUN_NS else self._start_ns + run_ns

    def _meet_crew(self, run_ns: int) -> None:
        """From now on the crew's VUs are ours; others end after the iteration that they are in."""
        _, numbers = self._crew.at(run_ns)
        self._crew_ns = self._instant(self._crew.next_run_ns)
        owned = set(numbers)
        self._spare = sorted(owned - self._seats.keys(), reverse=True)
        for number in self._seats.keys() - owned:
            seat = self._seats.pop(number)
            seat.retired = True
            if seat in self._idle:
                self._idle.remove(seat)
                seat.wake.cancel()
