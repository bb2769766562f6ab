"""A real worker pool driven as an agent drives it, with every event kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from loadr.clock import boottime_ns
from loadr.engine.channel import ScenarioLedger
from loadr.engine.page import REQUESTS_FINISHED, REQUESTS_STARTED, block_of
from loadr.engine.pool import WorkerPool
from loadr.engine.pool_events import (
    PoolArmed,
    PoolEvent,
    PoolFinished,
    PoolInterval,
    PoolPrepared,
    PoolStarted,
)
from loadr.metrics.delta import CounterDelta, IntervalDelta, RateDelta, TrendDelta, add_source
from loadr.metrics.histogram import Histogram
from loadr.plan.model import Plan
from loadr.schedule.ownership import share_out, slot_count
from loadr.testing.process import TargetProcess
from loadr.units import NS_PER_MS, NS_PER_S

LIMIT_S = 30.0
E = TypeVar("E")


def get(url: str, **more: Any) -> dict[str, Any]:
    """A GET step."""
    return {"request": {"method": "GET", "url": url, **more}}


def plan_for(base_url: str, scenarios: Mapping[str, Mapping[str, Any]], **more: Any) -> Plan:
    """A plan as the loader would give it."""
    defaults = {"http": {"base_url": base_url, "timeout": "10s"}}
    return Plan.model_validate({"defaults": defaults, "scenarios": scenarios, **more})


class PoolBench:
    """``events`` in order; what came up is summed in `counter`, `rate` and `trend`."""

    def __init__(self, workers: int) -> None:
        self.events: list[PoolEvent] = []
        self._changed = asyncio.Event()
        self.pool = WorkerPool(workers, self._note)
        self._whole = IntervalDelta(0, 1)
        self._plan: Plan | None = None

    def _note(self, event: PoolEvent) -> None:
        self.events.append(event)
        if isinstance(event, PoolInterval):
            one = IntervalDelta(0, 1, {key: delta.copy() for key, delta in event.delta.values.items()})
            add_source(self._whole, one)
        self._changed.set()

    async def event(self, kind: type[E]) -> E:
        """The first event of a kind, waited for if need be."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                for event in self.events:
                    if isinstance(event, kind):
                        return event
                self._changed.clear()
                await self._changed.wait()

    async def prepare(self, plan: Plan, files_dir: Path = Path()) -> PoolPrepared:
        self._plan = plan
        self.pool.prepare("run", plan.canonical_json(), str(files_dir.resolve()))
        return await self.event(PoolPrepared)

    async def arm(self) -> PoolArmed:
        assert self._plan is not None
        shares = share_out(self._plan, {"agent": 1.0}, slot_count(1))["agent"]
        self.pool.arm(shares, self._plan)
        return await self.event(PoolArmed)

    async def begin(self, plan: Plan, files_dir: Path = Path(), *, lease_s: float = 60.0) -> int:
        """Prepare, arm, start; gives the start instant once all workers have begun."""
        prepared = await self.prepare(plan, files_dir)
        assert not prepared.fault, prepared.detail
        armed = await self.arm()
        assert not armed.fault, armed.detail
        start_ns = boottime_ns() + 50 * NS_PER_MS
        self.pool.set_lease(boottime_ns() + round(lease_s * NS_PER_S))
        self.pool.start(start_ns)
        await self.event(PoolStarted)
        return start_ns

    async def finish(self) -> PoolFinished:
        finished = await self.event(PoolFinished)
        for ledger in finished.ledgers:
            assert ledger.planned == ledger.started + ledger.dropped + ledger.missed
            assert ledger.started == ledger.finished + ledger.interrupted + ledger.lost
        return finished

    async def run(self, plan: Plan, files_dir: Path = Path()) -> PoolFinished:
        await self.begin(plan, files_dir)
        return await self.finish()

    def counter(self, metric: str, **tags: str) -> int:
        return sum(
            delta.total
            for key, delta in self._whole.values.items()
            if isinstance(delta, CounterDelta) and key.matches(metric, tuple(tags.items()))
        )

    def rate(self, metric: str, **tags: str) -> tuple[int, int]:
        found = [
            delta
            for key, delta in self._whole.values.items()
            if isinstance(delta, RateDelta) and key.matches(metric, tuple(tags.items()))
        ]
        return sum(delta.passes for delta in found), sum(delta.fails for delta in found)

    def trend(self, metric: str, **tags: str) -> Histogram:
        together = Histogram()
        for key, delta in self._whole.values.items():
            if isinstance(delta, TrendDelta) and key.matches(metric, tuple(tags.items())):
                together.merge(delta.histogram)
        return together

    def _blocks(self) -> list[list[list[int]]]:
        """What the page of each worker says of each scenario."""
        assert self._plan is not None
        scenarios = range(len(self._plan.scenarios))
        pages = [member.process.page.words for member in self.pool._members]
        return [[block_of(words, index).tolist() for index in scenarios] for words in pages]

    def finished_by_worker(self) -> list[int]:
        """Requests finished, by the page of each worker."""
        return [sum(block[REQUESTS_FINISHED] for block in blocks) for blocks in self._blocks()]

    def page_requests(self) -> tuple[int, int]:
        """Requests started and finished, by the pages of shared memory."""
        started = sum(block[REQUESTS_STARTED] for blocks in self._blocks() for block in blocks)
        return started, sum(self.finished_by_worker())

    def account(self, target: TargetProcess, ledgers: tuple[ScenarioLedger, ...]) -> int:
        """Requests by target, recorder, ledger and page: equal, or it fails."""
        seen = target.counters()["total"]
        started, finished = self.page_requests()
        counted = self.counter("http_reqs")
        assert counted == sum(ledger.requests for ledger in ledgers) == started == finished == seen
        return counted


@asynccontextmanager
async def pool_bench(workers: int = 1) -> AsyncIterator[PoolBench]:
    """A pool of real processes, ended with the block."""
    bench = PoolBench(workers)
    await bench.pool.spawn()
    try:
        yield bench
    finally:
        await bench.pool.close()


async def until(condition: Callable[[], bool], what: str, limit_s: float = 10.0) -> None:
    """Look every 5 ms; `AssertionError` in words after ``limit_s``."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {limit_s:g} s")
        await asyncio.sleep(0.005)
