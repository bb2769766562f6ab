"""A plan on one real worker process, pinned to a core: its merged metrics, its ledgers, and its CPU time.

Takes a plan and a core; drives the worker as an agent does, over the pool. The driver itself stays off that core.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path

from loadr.clock import boottime_ns
from loadr.engine.channel import ScenarioLedger
from loadr.engine.pool import WorkerPool
from loadr.engine.pool_events import (
    PoolArmed,
    PoolEvent,
    PoolFinished,
    PoolInterval,
    PoolNotice,
    PoolPrepared,
    PoolWorkerLost,
)
from loadr.metrics.delta import CounterDelta, IntervalDelta, TrendDelta, add_source
from loadr.metrics.histogram import Histogram
from loadr.plan.model import Plan
from loadr.schedule.ownership import share_out, slot_count
from loadr.units import NS_PER_S

_LIMIT_S = 30.0


@dataclass
class Result:
    """``cpu_s`` is the worker's user plus system time while it was on the plan."""

    ledgers: tuple[ScenarioLedger, ...] = ()
    cpu_s: float = 0.0
    whole: IntervalDelta = field(default_factory=lambda: IntervalDelta(0, 1))

    def trend(self, metric: str) -> Histogram:
        """Every series of the metric, together."""
        together = Histogram()
        for key, delta in self.whole.values.items():
            if key.metric == metric and isinstance(delta, TrendDelta):
                together.merge(delta.histogram)
        return together

    def total(self, metric: str) -> int:
        """Every series of the counter, together."""
        return sum(
            delta.total
            for key, delta in self.whole.values.items()
            if key.metric == metric and isinstance(delta, CounterDelta)
        )


async def run_on_one_worker(plan: Plan, core: int, files_dir: Path = Path()) -> Result:
    """Run the plan; `RuntimeError` in words if it could not."""
    events: asyncio.Queue[PoolEvent] = asyncio.Queue()
    pool = WorkerPool(1, events.put_nowait)
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})  # inherited by the worker
    try:
        await pool.spawn()
    finally:
        os.sched_setaffinity(0, cores - {core} or cores)
    try:
        return await _run(pool, events, plan, files_dir)
    finally:
        await pool.close()
        os.sched_setaffinity(0, cores)


async def _run(pool: WorkerPool, events: asyncio.Queue[PoolEvent], plan: Plan, files_dir: Path) -> Result:
    result = Result()
    shares = share_out(plan, {"agent": 1.0}, slot_count(1))["agent"]
    pid = pool.pids[0]
    cpu_before_s = 0.0
    pool.prepare("benchmark", plan.canonical_json(), str(files_dir.resolve()))
    while True:
        event = await asyncio.wait_for(events.get(), plan.duration_ns / NS_PER_S + _LIMIT_S)
        match event:
            case PoolPrepared(fault=0):
                pool.arm(shares, plan)
            case PoolArmed(fault=0):
                cpu_before_s = _cpu_s(pid)
                now_ns = boottime_ns()
                pool.set_lease(now_ns + plan.duration_ns + 60 * NS_PER_S)
                pool.start(now_ns + NS_PER_S // 5)
            case PoolPrepared() | PoolArmed() | PoolWorkerLost() | PoolNotice():
                raise RuntimeError(f"the worker could not run the plan: {event}")
            case PoolInterval(delta=delta):
                result.cpu_s = _cpu_s(pid, result.cpu_s + cpu_before_s) - cpu_before_s
                delta.t0_s, delta.t1_s = 0, 1
                add_source(result.whole, delta)
            case PoolFinished(ledgers=ledgers):
                result.ledgers = ledgers
                return result
            case _:
                pass


def _cpu_s(pid: int, otherwise: float = 0.0) -> float:
    """User plus system time of a process; ``otherwise`` once it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return otherwise
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
