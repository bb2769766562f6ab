"""A model of the workers of one agent: real shares and real arrivals, requests that only the oracle sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from coordination.simulator.clocks import MachineClock
from coordination.simulator.oracle import Oracle
from coordination.simulator.world import MS, S, World
from loadr.coordination import agent_io as io
from loadr.coordination.messages import FaultKind, Ledger, RunEventKind
from loadr.metrics.delta import CounterDelta, GaugeDelta, IntervalDelta, TrendDelta
from loadr.metrics.histogram import Histogram
from loadr.metrics.series import Kind, series
from loadr.plan.model import Plan
from loadr.schedule.arrivals import Arrivals, OwnedArrivals
from loadr.schedule.share import ScenarioShare

REQUESTS = series("http_reqs", Kind.COUNTER, scenario="s")
ITERATIONS = series("iterations", Kind.COUNTER, scenario="s")
INTERRUPTED = series("interrupted_iterations", Kind.COUNTER, scenario="s")
MISSED = series("missed_iterations", Kind.COUNTER, scenario="s")
NUMBERS = series("data_sent", Kind.COUNTER, scenario="s")
DURATION = series("http_req_duration", Kind.TREND, scenario="s")
VUS = series("vus", Kind.GAUGE, scenario="s")


class EngineModel:
    """One run's engine. It checks its own lease, as real workers do, on its clock; a frozen agent process
    does not freeze it. ``slow_ns``: how late it reports a second at worst."""

    def __init__(
        self,
        world: World,
        clock: MachineClock,
        oracle: Oracle,
        feed: Callable[[Any], None],
        order: io.PrepareEngine,
        incarnation: str,
        *,
        slow_ns: int,
        workers: int,
    ) -> None:
        self.world = world
        self.clock = clock
        self.oracle = oracle
        self.feed = feed
        self.run_id, self.generation = order.run_id, order.generation
        self.incarnation = incarnation
        self.plan = Plan.from_json(order.plan_json)
        self.slow_ns = slow_ns
        self.workers = workers
        self.lease_end = 0
        self.dead = False
        self.over = False
        self.start_mono: int | None = None
        self._shares: tuple[ScenarioShare, ...] = ()
        self._open: dict[tuple[int, int], IntervalDelta] = {}  # (second, worker)
        self._running: dict[int, int] = {}  # iteration → worker
        self._planned = self._started = self._finished = self._interrupted = self._missed = 0
        self._stopping = False
        self._cause = ""
        self._pending = 0  # seconds that a slow worker has yet to report
        self._told_at: dict[int, int] = {}

    @property
    def deed(self) -> Any:
        return self.oracle.deeds[self.run_id, self.incarnation]

    def tell(self, event_type: Any, *fields: Any) -> None:
        if not self.dead:
            self.feed(event_type(self.run_id, self.generation, *fields))

    # --- orders ---------------------------------------------------------------------------------------------

    def prepare(self, fault: FaultKind, delay_ns: int) -> None:
        self.world.after(delay_ns, lambda: self.tell(io.EnginePrepared, fault, "a fault" if fault else ""))

    def arm(self, shares: tuple[ScenarioShare, ...], delay_ns: int) -> None:
        self._shares = shares
        self.world.after(delay_ns, lambda: self.tell(io.EngineArmed))

    def start(self, start_mono_ns: int) -> None:
        self.start_mono = start_mono_ns
        self.world.at(self.clock.true_ns(start_mono_ns), self._begin)

    def stop(self, graceful: bool, cause: str) -> None:
        if self.over:
            return
        self._stopping = True
        self._cause = self._cause or cause
        if not graceful or not self._running:
            self._end()

    def lose_worker(self) -> None:
        """A worker dies; what it was doing is lost. The others go on (here: only its running iterations end)."""
        if self.over or self.start_mono is None or self.mono() < self.start_mono:
            return
        self.tell(io.EngineEvent, RunEventKind.WORKER_LOST, "worker 0 was killed")

    # --- load -----------------------------------------------------------------------------------------------

    def mono(self) -> int:
        return self.clock.mono_ns(self.world.now)

    def _begin(self) -> None:
        if self.dead or self.over:
            return
        self.tell(io.EngineStarted, max(0, self.mono() - self.start_mono))
        scenario = self.plan.scenarios["s"]
        cursor = OwnedArrivals(Arrivals("s", scenario, self.plan.seed), self._shares)
        while (chunk := cursor.next_chunk()) is not None:
            for iteration, instant in zip(chunk[0].tolist(), chunk[1].tolist(), strict=True):
                at = self.clock.true_ns(self.start_mono + instant)
                self.world.at(at, lambda i=iteration, p=instant: self._arrive(i, p))
        end = self.clock.true_ns(self.start_mono + self.plan.duration_ns)
        self.world.at(end + 1, self._load_over)
        self._report_at(1)

    def _report_at(self, second: int) -> None:
        at = self.clock.true_ns(self.start_mono + second * S) + self.world.random.randrange(50 * MS)
        self.world.at(at, lambda: self._report(second))

    def _arrive(self, iteration: int, instant: int) -> None:
        if self.dead or self.over or self._stopping:
            return
        self._planned += 1
        if self.mono() >= self.lease_end:
            if self.lease_end:
                self._stopping = True
                self._cause = "orphaned"
                self._missed += 1
                self._count(0, MISSED, 1)
                self._end()
            else:
                self._missed += 1
                self._count(0, MISSED, 1)
            return
        late = self.mono() - self.start_mono - instant
        if late > 250 * MS:
            self._missed += 1
            self._count(0, MISSED, 1)
            return
        self.oracle.iteration(self.run_id, self.incarnation, iteration)
        worker = iteration % self.workers
        self._started += 1
        self._running[iteration] = worker
        self._count(worker, REQUESTS, 1)
        self._count(worker, NUMBERS, iteration + 1)
        self.deed.requests += 1
        self.deed.numbers += iteration + 1
        duration = self.world.random.randrange(1, 300) * MS
        self.world.after(duration, lambda: self._finish_iteration(iteration, duration))

    def _finish_iteration(self, iteration: int, duration: int) -> None:
        if self.dead or self.over or iteration not in self._running:
            return
        worker = self._running.pop(iteration)
        self._finished += 1
        self._count(worker, ITERATIONS, 1)
        trend = self._interval(worker).values.setdefault(DURATION, TrendDelta(Histogram()))
        trend.histogram.record(np.array([duration], dtype=np.int64))
        self.deed.samples.append(duration)
        if self._stopping and not self._running:
            self._end()

    def _interval(self, worker: int) -> IntervalDelta:
        second = max(0, (self.mono() - self.start_mono) // S)
        return self._open.setdefault((second, worker), IntervalDelta(second, second + 1))

    def _count(self, worker: int, key: Any, amount: int) -> None:
        delta = self._interval(worker).values.setdefault(key, CounterDelta(0))
        delta.total += amount

    def _report(self, second: int) -> None:
        """Each worker tells what it did before ``second``; some are late."""
        if self.dead or self.over:
            return
        for key in sorted(k for k in self._open if k[0] < second):
            interval = self._open.pop(key)
            interval.values[VUS] = GaugeDelta(3, 1, 3, key[0])
            late = self.world.random.randrange(self.slow_ns) if self.world.random.random() < 0.2 else 0
            worker = key[1]
            at = max(self.world.now + late, self._told_at.get(worker, 0))  # each worker reports in order
            self._told_at[worker] = at
            self._pending += 1
            self.world.at(at, lambda i=interval: self._deliver(i))
        self._report_at(second + 1)

    def _deliver(self, interval: IntervalDelta) -> None:
        self._pending -= 1
        if not self.dead:
            self.tell(io.EngineInterval, interval)
            if self.over and not self._pending:
                self._last()

    def _load_over(self) -> None:
        if not self.over and not self._stopping:
            self._stopping = True
            if not self._running:
                self._end()

    def _end(self) -> None:
        """Interrupt what still runs, hand in what is left, then the ledgers."""
        if self.over or self.dead:
            return
        for worker in list(self._running.values()):
            self._interrupted += 1
            self._count(worker, INTERRUPTED, 1)
        self._running.clear()
        self.over = True
        for key in sorted(self._open):
            at = max(self.world.now, self._told_at.get(key[1], 0))
            self._pending += 1
            self.world.at(at, lambda i=self._open[key]: self._deliver(i))
        self._open.clear()
        if not self._pending:
            self._last()

    def _last(self) -> None:
        ledger = Ledger(
            "s",
            self._planned,
            self._started,
            self._finished,
            self._interrupted,
            0,
            self._missed,
            self._started,
        )
        self.tell(io.EngineFinished, (ledger,), self._cause)
