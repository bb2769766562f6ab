"""The open executors: iterations start when the schedule says, whatever the target does.

Takes a scenario's fleet-wide arrivals and this worker's shares of them. When an arrival is due it goes to an
idle VU, else to a new one, up to the VUs that this worker owns, else it is dropped. Every arrival that was
owned up to the end is counted once: planned = started + dropped + missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from loadr.engine.iterations import Iterations
from loadr.engine.page import ITERATIONS_STARTED, LEASE_END
from loadr.engine.pending import NEVER_NS, PendingShares
from loadr.engine.vu import Vu
from loadr.plan.model import OpenScenario
from loadr.schedule.arrivals import Arrivals, OwnedArrivals
from loadr.schedule.ownership import default_pre_allocated, vus_of
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
        self._model = model
        self._seed = seed
        self._make_vu = make_vu
        self._words = words
        self._clock = clock
        self._loop = loop
        self._arrivals = Arrivals(iterations.scenario, model, seed, limit)
        self._cursor = OwnedArrivals(self._arrivals)
        self._end_run_ns = self._schedule_end(limit)
        self._idle: list[_Seat] = []
        self._seats: dict[int, _Seat] = {}
        self._spare: list[int] = []  # owned VU numbers without a seat, descending
        self._pending = PendingShares()  # of VUs; the cursor knows about arrivals
        self._start_ns = 0
        self._missed_before_ns = 0
        self._stopped = True
        self._numbers: list[int] = []
        self._instants: list[int] = [NEVER_NS]
        self._at = 0
        self._last_iteration = -1

    def _schedule_end(self, limit: int | None) -> int:
        """Where the scenario ends on the timeline: after its duration, or with the last row."""
        natural = self._model.start_time_ns + self._model.duration_ns
        if limit is None or limit > self._arrivals.shape.total():
            return natural
        return self._arrivals.instant(limit - 1) if limit else self._model.start_time_ns

    def arm(self, shares: Iterable[ScenarioShare]) -> None:
        """Own these shares, and create the VUs that the plan wants before the start."""
        for share in shares:
            self._cursor.apply(share)
            self._own_vus(vus_of(share, self._model, self._seed))
        pre_allocated = default_pre_allocated(self._model)
        while self._spare and self._spare[-1] < pre_allocated:
            self._idle.append(self._new_seat())

    def start(self, start_ns: int, late_until_ns: int) -> None:
        """The timeline begins at ``start_ns``; what is planned before ``late_until_ns`` is missed. `turn`
        follows."""
        self._start_ns = start_ns
        self._missed_before_ns = late_until_ns
        self.end_ns = start_ns + self._end_run_ns
        self._stopped = False

    def turn(self, now_ns: int) -> int:
        """Deal with every arrival that is due; gives the instant of the next one, or `NEVER_NS`."""
        if self._stopped:
            return NEVER_NS
        if self._pending.next_ns <= now_ns and (share := self._pending.take(now_ns)) is not None:
            self._own_vus(vus_of(share, self._model, self._seed))
        while True:
            at, instants = self._at, self._instants
            while instants[at] <= now_ns:
                self._dispatch(self._numbers[at], instants[at], now_ns)
                at += 1
            self._at = at
            if instants[at] != NEVER_NS:
                break
            if not self._load():
                break
        return min(self._instants[self._at], self._pending.next_ns)

    def stop(self) -> None:
        """Start nothing more; what comes later was never planned."""
        self._stopped = True

    def reshare(self, share: ScenarioShare) -> None:
        """Own this from its ``from_run_ns`` on. To be followed by `turn`."""
        self._cursor.apply(share)
        self._cursor.rewind_to(self._last_iteration + 1)
        self._instants, self._at = [NEVER_NS], 0
        self._pending.add(self._start_ns + share.from_run_ns, share)

    @property
    def vus(self) -> int:
        """VUs that exist."""
        return len(self._seats)

    @property
    def active_vus(self) -> int:
        """VUs that are in an iteration."""
        return self.iterations.tally.in_flight

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

    def _dispatch(self, iteration: int, planned_ns: int, now_ns: int) -> None:
        self._last_iteration = iteration
        tally = self.iterations.tally
        tally.planned += 1
        if now_ns >= self._words[LEASE_END] or planned_ns < self._missed_before_ns:
            tally.missed += 1
            self.iterations.recorder.missed(planned_ns)
            return
        seat = None
        if now_ns - planned_ns <= LATEST_START_NS:
            seat = self._idle.pop() if self._idle else self._new_seat() if self._spare else None
        if seat is None:
            tally.dropped += 1
            self.iterations.recorder.dropped(planned_ns)
            return
        tally.started += 1
        self._words[ITERATIONS_STARTED] += 1
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

    def _own_vus(self, numbers: Sequence[int]) -> None:
        """From now on these VUs are ours; others end after the iteration that they are in."""
        owned = set(numbers)
        self._spare = sorted(owned - self._seats.keys(), reverse=True)
        for number in self._seats.keys() - owned:
            seat = self._seats.pop(number)
            seat.retired = True
            if seat in self._idle:
                self._idle.remove(seat)
                seat.wake.cancel()
