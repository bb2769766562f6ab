"""The closed executor ``constant-vus``: each VU starts its next iteration when the last one ended."""

from __future__ import annotations

from asyncio import AbstractEventLoop, sleep
from collections.abc import Callable, Iterable, Sequence

from loadr.engine.iterations import Iterations
from loadr.engine.page import ITERATIONS_STARTED, LEASE_END
from loadr.engine.pending import NEVER_NS, PendingShares
from loadr.engine.vu import Vu
from loadr.plan.model import ConstantVus
from loadr.schedule.ownership import vus_of
from loadr.schedule.share import ScenarioShare

PAUSE_AFTER_EXCEPTION_S = 0.01
"""A script that always raises would otherwise spin a core to say so."""


class ClosedExecutor:
    """Same shape as `loadr.engine.open.OpenExecutor`. A VU's own iterations count from 0; planned = started."""

    def __init__(
        self,
        model: ConstantVus,
        seed: int,
        iterations: Iterations,
        make_vu: Callable[[int], Vu],
        words: memoryview[int],
        clock: Callable[[], int],
        loop: AbstractEventLoop,
    ) -> None:
        self.iterations = iterations
        self.end_ns = NEVER_NS
        self._model = model
        self._seed = seed
        self._make_vu = make_vu
        self._words = words
        self._clock = clock
        self._loop = loop
        self._start_ns = 0
        self._vus: dict[int, Vu] = {}  # by number, those that we own
        self._waiting: list[Vu] = []
        self._leaving: set[Vu] = set()  # those that were given away
        self._begin_ns = NEVER_NS
        self._pending = PendingShares()
        self._until_ns = 0  # nothing starts at or after it

    def arm(self, shares: Iterable[ScenarioShare]) -> None:
        """Own these shares, and create their VUs."""
        for share in shares:
            self._own_vus(vus_of(share, self._model, self._seed))

    def start(self, start_ns: int, late_until_ns: int) -> None:
        """The timeline begins at ``start_ns``; a late start makes the scenario shorter. `turn` follows."""
        self._start_ns = start_ns
        self._begin_ns = start_ns + self._model.start_time_ns
        self.end_ns = self._until_ns = self._begin_ns + self._model.duration_ns

    def turn(self, now_ns: int) -> int:
        """Let the VUs begin when it is time; gives the next instant, or `NEVER_NS`."""
        if now_ns >= self._until_ns:
            return NEVER_NS
        if (share := self._pending.take(now_ns)) is not None:
            self._own_vus(vus_of(share, self._model, self._seed))
        if now_ns < self._begin_ns:
            return min(self._begin_ns, self._pending.next_ns)
        for vu in self._waiting:
            self.iterations.begin(vu, self._loop_of(vu), self._loop)
        self._waiting.clear()
        return self._pending.next_ns

    def stop(self) -> None:
        """Start nothing more."""
        self._until_ns = 0

    def reshare(self, share: ScenarioShare) -> None:
        """Own this from its ``from_run_ns`` on. To be followed by `turn`."""
        self._pending.add(self._start_ns + share.from_run_ns, share)

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
        tally, recorder, carry = iterations.tally, iterations.recorder, iterations.carry
        now_ns = clock()
        while vu not in leaving:
            if now_ns >= self._until_ns or now_ns >= words[LEASE_END]:
                return
            vu.iteration += 1
            tally.planned += 1
            tally.started += 1
            words[ITERATIONS_STARTED] += 1
            requests = recorder.requests_started
            now_ns = await carry(vu, 0, now_ns)
            if not now_ns:
                await sleep(PAUSE_AFTER_EXCEPTION_S)
                now_ns = clock()
            elif recorder.requests_started == requests:
                # Nobody has sent anything meanwhile, so it may be that nobody else has run: let them.
                await sleep(0)
                now_ns = clock()

    def _own_vus(self, numbers: Sequence[int]) -> None:
        """From now on these VUs are ours; others end after the iteration that they are in, and a VU that comes
        anew begins at once, or with the scenario."""
        owned = set(numbers)
        self._leaving.update(self._vus.pop(number) for number in self._vus.keys() - owned)
        self._waiting = [vu for vu in self._waiting if vu not in self._leaving]
        for number in sorted(owned - self._vus.keys()):
            vu = self._vus[number] = self._make_vu(number)
            self._waiting.append(vu)
