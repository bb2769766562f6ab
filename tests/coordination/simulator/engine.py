"""A model of the workers of one agent: real shares and real arrivals, requests that only the oracle sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from coordination.simulator.claims import ClaimsModel
from coordination.simulator.clocks import MachineClock
from coordination.simulator.oracle import Oracle, Who
from coordination.simulator.world import MS, S, World
from loadr.coordination import agent_io as io
from loadr.coordination.messages import FaultKind, Ledger, RunEventKind
from loadr.metrics.delta import CounterDelta, GaugeDelta, IntervalDelta, TrendDelta
from loadr.metrics.histogram import Histogram
from loadr.metrics.series import Kind, series
from loadr.plan.model import Plan
from loadr.schedule.arrivals import Arrivals, OwnedArrivals
from loadr.schedule.change import Change
from loadr.schedule.share import ScenarioShare

LATEST_NS = 250 * MS  # an iteration that would start later than that is dropped

COUNTERS = {
    "requests": series("http_reqs", Kind.COUNTER, scenario="s"),
    "finished": series("iterations", Kind.COUNTER, scenario="s"),
    "interrupted": series("interrupted_iterations", Kind.COUNTER, scenario="s"),
    "dropped": series("dropped_iterations", Kind.COUNTER, scenario="s"),
    "missed": series("missed_iterations", Kind.COUNTER, scenario="s"),
}
NUMBERS = series("data_sent", Kind.COUNTER, scenario="s")
DURATION = series("http_req_duration", Kind.TREND, scenario="s")
VUS = series("vus", Kind.GAUGE, scenario="s")


@dataclass
class Worker:
    """``page``: what it has counted; ``reported``: what of that has left it."""

    alive: bool = True
    running: set[int] = field(default_factory=set)
    page: dict[str, int] = field(default_factory=dict)
    reported: dict[str, int] = field(default_factory=dict)
    open: dict[int, IntervalDelta] = field(default_factory=dict)  # by second
    told_at: int = 0


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
        self.who: Who = (order.run_id, incarnation, order.generation)
        self.plan = Plan.from_json(order.plan_json)
        self.slow_ns = slow_ns
        self.workers = [Worker() for _ in range(workers)]
        self.lease_end = 0
        self.dead = False
        self.over = False
        self.start_mono: int | None = None
        self.share: ScenarioShare | None = None  # the last one
        self.changes: tuple[Change, ...] = ()
        self._arrivals = Arrivals("s", self.plan.scenarios["s"], self.plan.seed)
        self._cursor = OwnedArrivals(self._arrivals)
        self._due: list[tuple[int, int]] = []  # (iteration, instant), descending
        self._last = -1
        self._began = False
        self._turn_at = 0  # the number of the timer that counts
        self._stopping = False
        self._cause = ""
        self._pending = 0  # intervals of slow workers on their way
        self.claims = ClaimsModel(self, f"claims of {self.who} {self.plan.seed}")

    def tell(self, event_type: Any, *fields: Any) -> None:
        if not self.dead:
            self.feed(event_type(self.run_id, self.generation, *fields))

    # --- orders ---------------------------------------------------------------------------------------------

    def prepare(self, fault: FaultKind, delay_ns: int) -> None:
        def loaded() -> None:
            if self.plan.setup is None or fault:
                self.tell(io.EnginePrepared, fault, "a fault" if fault else "")
            else:
                self.claims.ask_setup()

        self.world.after(delay_ns, loaded)

    def arm(self, shares: tuple[ScenarioShare, ...], delay_ns: int) -> None:
        self._own(shares)
        if self.plan.data:
            self.claims.ask_rows()
        self.world.after(delay_ns, lambda: self.tell(io.EngineArmed))

    def start(self, start_mono_ns: int) -> None:
        self.start_mono = start_mono_ns
        self.world.at(self.clock.true_ns(start_mono_ns), self._begin)

    def reshare(self, shares: tuple[ScenarioShare, ...], changes: tuple[Change, ...]) -> None:
        """Nothing of what was begun is ever begun again."""
        if changes != self.changes:
            self.changes = changes
            self._arrivals = self._arrivals.changed(changes)
            self._cursor.follow(self._arrivals)
        self._own(shares)
        self._cursor.rewind_to(self._last + 1)
        self._due = []
        if self._began:
            self._turn()

    def _own(self, shares: tuple[ScenarioShare, ...]) -> None:
        for share in shares:
            self.share = share
            self._cursor.apply(share)

    def stop(self, graceful: bool, cause: str) -> None:
        if self.over:
            return
        self._stopping = True
        self._cause = self._cause or cause
        if not graceful or not self._running():
            self._end()

    def lose_worker(self) -> None:
        """A worker dies; what it was doing is lost, and what it had not reported. The others take its part."""
        alive = [worker for worker in self.workers if worker.alive]
        if self.over or self.dead or self.start_mono is None or not alive:
            return
        worker = self.world.random.choice(alive)
        worker.alive = False
        page = worker.page
        page["lost"] = len(worker.running)
        worker.running = set()
        worker.open = {}
        lacking = {name: page.get(name, 0) - worker.reported.get(name, 0) for name in page}
        self.tell(io.EngineEvent, RunEventKind.WORKER_LOST, "killed by SIGKILL", (Ledger("s", **lacking),))
        if len(alive) == 1:
            self._cause = "all workers were lost"
            self._end()
        elif self._stopping and not self._running():
            self._end()

    # --- load -----------------------------------------------------------------------------------------------

    def mono(self) -> int:
        return self.clock.mono_ns(self.world.now)

    def _running(self) -> bool:
        return any(worker.running for worker in self.workers)

    def _begin(self) -> None:
        if self.dead or self.over or self.start_mono is None:
            return
        self._began = True
        self.tell(io.EngineStarted, max(0, self.mono() - self.start_mono))
        self._turn()
        self._report_at(max(0, self.mono() - self.start_mono) // S + 1)

    def _turn(self) -> None:
        """Deal with what is due, and wait for what comes next."""
        if self.dead or self.over or self._stopping or self.start_mono is None:
            return
        while True:
            if not self._due:
                chunk = self._cursor.next_chunk()
                if chunk is None:
                    break
                self._due = list(zip(chunk[0].tolist(), chunk[1].tolist(), strict=True))[::-1]
            iteration, instant = self._due[-1]
            planned = self.start_mono + instant
            if planned > self.mono():
                break
            if self.lease_end and planned >= self.lease_end:
                break  # somebody else's
            self._due.pop()
            self._last = iteration
            self._arrive(iteration, planned)
        end = self.start_mono + self._arrivals.course.end_run_ns
        lease_end = self.lease_end or end
        if self.mono() >= min(end, lease_end):
            self._load_over("" if end <= lease_end else "orphaned")
            return
        nexts = [self.start_mono + self._due[-1][1]] if self._due else []
        self._turn_at += 1
        number = self._turn_at
        at = self.clock.true_ns(min(end, lease_end, *nexts, self.mono() + 100 * S))
        self.world.at(at, lambda: self._turn() if number == self._turn_at else None)

    def _arrive(self, iteration: int, planned: int) -> None:
        alive = [worker for worker in self.workers if worker.alive]
        worker = alive[iteration % len(alive)]
        self.oracle.planned(self.who, iteration)
        self._count(worker, "planned")
        late = self.mono() - planned
        if self.mono() >= self.lease_end or late > LATEST_NS:
            self._count(
                worker, "missed" if self.mono() >= self.lease_end or self._is_joining(planned) else "dropped"
            )
            return
        self.oracle.iteration(self.who, iteration)
        self._count(worker, "started")
        self._count(worker, "requests")
        worker.running.add(iteration)
        self._delta(worker, NUMBERS, iteration + 1)
        if self.plan.data:
            self.claims.arrived()
        duration = self.world.random.randrange(1, 300) * MS
        self.world.after(duration, lambda: self._finish_iteration(worker, iteration, duration))

    def _is_joining(self, planned: int) -> bool:
        return planned < self.start_mono + S // 2

    def _finish_iteration(self, worker: Worker, iteration: int, duration: int) -> None:
        if self.dead or self.over or iteration not in worker.running:
            return
        worker.running.discard(iteration)
        self._count(worker, "finished")
        trend = self._interval(worker).values.setdefault(DURATION, TrendDelta(Histogram()))
        trend.histogram.record(np.array([duration], dtype=np.int64))
        self.oracle.deeds[self.who].samples.append(duration)
        if self._stopping and not self._running():
            self._end()

    # --- counting and reporting -----------------------------------------------------------------------------

    def _interval(self, worker: Worker) -> IntervalDelta:
        second = max(0, (self.mono() - self.start_mono) // S)
        return worker.open.setdefault(second, IntervalDelta(second, second + 1))

    def _delta(self, worker: Worker, key: Any, amount: int) -> None:
        self._interval(worker).values.setdefault(key, CounterDelta(0)).total += amount

    def _count(self, worker: Worker, what: str) -> None:
        worker.page[what] = worker.page.get(what, 0) + 1
        if what in COUNTERS:
            self._delta(worker, COUNTERS[what], 1)

    def _report_at(self, second: int) -> None:
        at = self.clock.true_ns(self.start_mono + second * S) + self.world.random.randrange(50 * MS)
        self.world.at(at, lambda: self._report(second))

    def _report(self, second: int) -> None:
        """Each worker tells what it did before ``second``; some are late."""
        if self.dead or self.over:
            return
        for worker in self.workers:
            for key in sorted(k for k in worker.open if k < second):
                interval = worker.open.pop(key)
                interval.values[VUS] = GaugeDelta(3, 1, 3, key)
                late = self.world.random.randrange(self.slow_ns) if self.world.random.random() < 0.2 else 0
                self._hand_in(worker, interval, late)
        self._report_at(second + 1)

    def _hand_in(self, worker: Worker, interval: IntervalDelta, late: int) -> None:
        """Each worker reports in order."""
        worker.told_at = max(self.world.now + late, worker.told_at)
        self._pending += 1
        self.world.at(worker.told_at, lambda: self._deliver(worker, interval))

    def _deliver(self, worker: Worker, interval: IntervalDelta) -> None:
        self._pending -= 1
        if self.dead:
            return
        if worker.alive:
            for name, key in COUNTERS.items():
                if key in interval.values:
                    worker.reported[name] = worker.reported.get(name, 0) + interval.values[key].total
            self.tell(io.EngineInterval, interval)
        if self.over and not self._pending:
            self._tell_end()

    # --- the end --------------------------------------------------------------------------------------------

    def _load_over(self, cause: str) -> None:
        if self.over or self._stopping:
            return
        self._stopping = True
        self._cause = cause
        if cause or not self._running():
            self._end()

    def _end(self) -> None:
        """Interrupt what still runs, hand in what is left, then the ledgers."""
        if self.over or self.dead:
            return
        self._stopping = True
        for worker in self.workers:
            for _ in range(len(worker.running)):
                self._count(worker, "interrupted")
            worker.running.clear()
        self.over = True
        for worker in self.workers:
            for key in sorted(worker.open):
                self._hand_in(worker, worker.open[key], 0)
            worker.open = {}
        if not self._pending:
            self._tell_end()

    def _tell_end(self) -> None:
        total: dict[str, int] = {}
        for worker in self.workers:
            for name, count in worker.page.items():
                total[name] = total.get(name, 0) + count
        self.tell(io.EngineFinished, (Ledger("s", **total),), self._cause)
        if self.plan.teardown is not None:
            self.claims.ask_teardown()
