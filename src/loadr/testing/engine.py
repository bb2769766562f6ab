"""A model of the engine for tests and benchmarks of the fleet: no load, but the deltas of one.

Takes what `loadr.engine.pool.WorkerPool` takes and gives the same events, in the same order; each second of the
timeline it asks a function for the samples of that second. So a fleet of many agents, or of many requests per
second, can be shown over the real protocol on a small machine. It obeys the lease as workers do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from loadr.clock import boottime_ns
from loadr.engine.channel import ScenarioLedger, ValueOrder
from loadr.engine.pool_events import (
    PoolArmed,
    PoolAround,
    PoolEvent,
    PoolFinished,
    PoolHealth,
    PoolInterval,
    PoolPrepared,
    PoolStarted,
)
from loadr.masking import NO_SECRETS
from loadr.metrics.delta import CounterDelta, Delta, IntervalDelta, TrendDelta
from loadr.metrics.histogram import Histogram
from loadr.metrics.series import Kind, SeriesKey
from loadr.plan.model import Plan
from loadr.schedule.change import Change
from loadr.schedule.share import ScenarioShare
from loadr.units import NS_PER_S

Samples = Mapping[SeriesKey, npt.NDArray[np.int64]]
"""By series: nanoseconds for trends; for counters, amounts that are summed."""


class ModelPool:
    """``samples(second)`` is what "completed" in that second. ``requests`` of the ledger are the sum of all
    `http_reqs` given, booked to the plan's first scenario, so that the audit has something to hold."""

    def __init__(
        self, workers: int, on_event: Callable[[PoolEvent], None], samples: Callable[[int], Samples]
    ) -> None:
        self.workers = workers
        self._on_event = on_event
        self._samples = samples
        self._plan: Plan | None = None
        self._lease_end_ns = 0
        self._task: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._cause = ""
        self._requests = 0

    async def spawn(self) -> None:
        """Nothing to spawn."""

    async def renew(self) -> None:
        """Ready for another run."""
        await self.close()
        self._stop = asyncio.Event()
        self._cause = ""
        self._requests = 0

    async def close(self) -> None:
        """End the run, if one is going on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    def prepare(
        self, run_id: str, plan_json: bytes, files_dir: str, secrets: Mapping[str, str] = NO_SECRETS
    ) -> None:
        self._plan = Plan.from_json(plan_json)
        asyncio.get_running_loop().call_soon(self._on_event, PoolPrepared())

    def around(self, what: str, data: bytes = b"") -> None:
        """Nothing is set up or torn down."""
        asyncio.get_running_loop().call_soon(self._on_event, PoolAround(what, result=b"null"))

    def share_setup(self, data: bytes) -> None:
        """Its samples need none."""

    def give(self, worker: int, value: ValueOrder) -> None:
        """It claims nothing."""

    def arm(self, shares: Sequence[ScenarioShare], plan: Plan, changes: Sequence[Change] = ()) -> None:
        asyncio.get_running_loop().call_soon(self._on_event, PoolArmed())

    def start(self, start_boot_ns: int) -> None:
        self._task = asyncio.create_task(self._work(start_boot_ns))

    def reshare(self, shares: Sequence[ScenarioShare], changes: Sequence[Change] = ()) -> None:
        """Its samples come from no schedule."""

    def set_lease(self, end_boot_ns: int) -> None:
        self._lease_end_ns = end_boot_ns

    def stop(self, graceful: bool, cause: str) -> None:
        self._cause = self._cause or cause
        self._stop.set()
        if self._task is None:
            asyncio.get_running_loop().call_soon(self._on_event, PoolFinished((), cause))

    def take_health(self) -> PoolHealth:
        return PoolHealth()

    async def _work(self, start_ns: int) -> None:
        assert self._plan is not None
        await self._until(start_ns)
        self._on_event(PoolStarted(max(0, boottime_ns() - start_ns)))
        seconds = -(-self._plan.duration_ns // NS_PER_S)
        for second in range(seconds):
            await self._until(start_ns + (second + 1) * NS_PER_S)
            if boottime_ns() >= self._lease_end_ns:
                self._cause = "orphaned"
            if self._stop.is_set() or self._cause:
                break
            self._on_event(PoolInterval(IntervalDelta(second, second + 1, self._values(second))))
        scenario = next(iter(self._plan.scenarios))
        ledger = ScenarioLedger(scenario, 0, 0, 0, 0, 0, 0, self._requests)
        self._on_event(PoolFinished((ledger,), self._cause))

    def _values(self, second: int) -> dict[SeriesKey, Delta]:
        """The deltas of a second, booked; a benchmark that has them ready gives its own."""
        return {key: self._delta(key, amounts) for key, amounts in self._samples(second).items()}

    def _delta(self, key: SeriesKey, amounts: npt.NDArray[np.int64]) -> Delta:
        if key.kind is Kind.TREND:
            return TrendDelta(Histogram.of(amounts))
        total = int(amounts.sum())
        if key.metric == "http_reqs":
            self._requests += total
        return CounterDelta(total)

    async def _until(self, instant_ns: int) -> None:
        delay_s = (instant_ns - boottime_ns()) / NS_PER_S
        if delay_s > 0:
            try:
                await asyncio.wait_for(self._stop.wait(), delay_s)
            except TimeoutError:
                return
