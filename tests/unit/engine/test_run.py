"""Runs of a few tenths of a second, in this process and in real time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from loadr.clock import boottime_ns
from loadr.engine.channel import ReportMessage, ScenarioLedger, WorkerDone, WorkerSecond, WorkerStarted
from loadr.engine.closed import ClosedExecutor
from loadr.engine.iterations import FirstOfEach, Iterations
from loadr.engine.open import OpenExecutor
from loadr.engine.page import ALIVE_AT, LEASE_END, REVISION, new_words
from loadr.engine.recorder import Recorder
from loadr.engine.run import ORPHANED, Executor, Run
from loadr.engine.second import SecondReport
from loadr.engine.vu import Vu
from loadr.plan.model import ConstantVus, Plan
from loadr.schedule.change import Change, ChangeKind
from loadr.schedule.ownership import share_out, slot_count
from loadr.schedule.share import ScenarioShare
from loadr.units import NS_PER_MS, NS_PER_S
from support.executors import run_on_loop, turn_loop
from support.flows import NotedHttp, new_vu
from support.workers import until

LIMIT_S = 10.0
Flow = Callable[[Vu], Awaitable[object]]

OPEN = {"executor": "constant-arrival-rate", "rate": 100, "duration": "200ms", "max_vus": 20, "flow": []}
CLOSED = {"executor": "constant-vus", "vus": 2, "duration": "200ms", "flow": []}


class RunBench:
    """``flows`` by scenario; a lease of a minute. Only inside of a running loop."""

    def __init__(self, scenarios: dict[str, dict[str, Any]], flows: dict[str, Flow]) -> None:
        self.plan = Plan.model_validate({"scenarios": scenarios})
        self.words = new_words()
        self.words[LEASE_END] = boottime_ns() + 60 * NS_PER_S
        self.reports: list[ReportMessage] = []
        self.done = asyncio.Event()
        self.recorder = Recorder(list(scenarios), self.words)
        self.executors = {name: self._executor(name, flow) for name, flow in flows.items()}
        stops = {name: scenario.graceful_stop_ns for name, scenario in self.plan.scenarios.items()}
        loop = asyncio.get_running_loop()
        report = SecondReport(self.recorder)
        self.run = Run(self.executors, stops, report, self.words, boottime_ns, loop, self._note)

    def _executor(self, name: str, flow: Flow) -> Executor:
        loop, model, recorder = (
            asyncio.get_running_loop(),
            self.plan.scenarios[name],
            self.recorder.scenario(name),
        )
        tell = FirstOfEach(lambda text: None)
        iterations = Iterations(name, flow, recorder, boottime_ns, tell)

        def make_vu(number: int) -> Vu:
            vu = new_vu(NotedHttp(), recorder, number=number)
            vu.iteration = -1
            return vu

        if isinstance(model, ConstantVus):
            return ClosedExecutor(model, 0, iterations, make_vu, self.words, boottime_ns, loop)
        return OpenExecutor(model, 0, None, iterations, make_vu, self.words, boottime_ns, loop)

    def _note(self, report: ReportMessage) -> None:
        self.reports.append(report)
        if isinstance(report, WorkerDone):
            self.done.set()

    def shares(self) -> list[ScenarioShare]:
        return list(share_out(self.plan, {"a": 1.0}, slot_count(1))["a"])

    def start(self, in_ms: int = 20) -> int:
        self.run.arm(self.shares())
        start_ns = boottime_ns() + in_ms * NS_PER_MS
        self.run.start(start_ns)
        return start_ns

    async def until_done(self) -> WorkerDone:
        await asyncio.wait_for(self.done.wait(), LIMIT_S)
        done = self.reports[-1]
        assert isinstance(done, WorkerDone)
        for ledger in done.ledgers:
            assert ledger.planned == ledger.started + ledger.dropped + ledger.missed
            assert ledger.started == ledger.finished + ledger.interrupted
        return done

    def ledger(self, name: str) -> ScenarioLedger:
        done = self.reports[-1]
        assert isinstance(done, WorkerDone)
        return next(ledger for ledger in done.ledgers if ledger.scenario == name)

    def counted(self, metric: str) -> int:
        """Total of a counter over all seconds that were reported."""
        seconds = [report for report in self.reports if isinstance(report, WorkerSecond)]
        ids = {new.id for second in seconds for new in second.new_series if new.metric == metric}
        return sum(n for second in seconds for one in second.slices for id_, n in one.counters if id_ in ids)


async def short(vu: Vu) -> None:
    await asyncio.sleep(0.01)


async def endless(vu: Vu) -> None:
    await asyncio.Event().wait()


def test_scenarios_run_side_by_side_and_the_run_ends_with_the_last() -> None:
    async def main() -> None:
        late = {**OPEN, "start_time": "100ms"}
        bench = RunBench({"open": late, "closed": CLOSED}, {"open": short, "closed": short})
        start_ns = bench.start()
        done = await bench.until_done()
        assert boottime_ns() - start_ns >= 300 * NS_PER_MS
        assert done.cause == ""
        assert [ledger.scenario for ledger in done.ledgers] == ["open", "closed"]
        assert bench.ledger("open").planned == 20
        assert bench.ledger("closed").started >= 2
        assert bench.counted("iterations") == sum(ledger.finished for ledger in done.ledgers)
        assert all(executor.iterations.alive == 0 for executor in bench.executors.values())

    run_on_loop(main())


def test_it_starts_at_the_instant_that_was_ordered_and_says_how_exactly() -> None:
    async def main() -> None:
        bench = RunBench({"open": OPEN}, {"open": short})
        bench.start()
        await bench.until_done()
        (started,) = (report for report in bench.reports if isinstance(report, WorkerStarted))
        assert 0 <= started.start_error_ns < 100 * NS_PER_MS
        assert bench.ledger("open").missed == 0

    run_on_loop(main())


def test_an_order_to_start_in_the_past_misses_what_was_due_and_does_the_rest() -> None:
    async def main() -> None:
        bench = RunBench({"open": OPEN}, {"open": short})
        bench.start(in_ms=-100)
        await bench.until_done()
        ledger = bench.ledger("open")
        assert ledger.planned == 20
        assert 9 <= ledger.missed < 20
        assert bench.counted("missed_iterations") == ledger.missed

    run_on_loop(main())


def test_a_long_run_reports_at_each_boundary_of_a_second() -> None:
    async def main() -> None:
        bench = RunBench({"open": {**OPEN, "duration": "2100ms"}}, {"open": short})
        start_ns = bench.start()
        await until(lambda: any(isinstance(report, WorkerSecond) for report in bench.reports), "a second")
        assert boottime_ns() - start_ns < 1_500 * NS_PER_MS
        await bench.until_done()
        seconds = [report for report in bench.reports if isinstance(report, WorkerSecond)]
        assert len(seconds) == 3
        assert [one.second for one in seconds[0].slices] == [0]
        assert all(second.wall_ns > 0 and second.rss_bytes > 0 for second in seconds)
        assert seconds[0].lag_p99_ns > 0
        assert bench.words[ALIVE_AT] >= start_ns + 2 * NS_PER_S

    run_on_loop(main())


def test_iterations_may_end_within_the_graceful_stop() -> None:
    async def main() -> None:
        gate = asyncio.Event()

        async def wait(vu: Vu) -> None:
            await gate.wait()

        bench = RunBench({"closed": CLOSED}, {"closed": wait})
        bench.start()
        await until(lambda: boottime_ns() > bench.executors["closed"].end_ns + 60 * NS_PER_MS, "iterations")
        assert not bench.done.is_set()
        gate.set()
        await bench.until_done()
        assert (bench.ledger("closed").finished, bench.ledger("closed").interrupted) == (2, 0)

    run_on_loop(main())


def test_what_does_not_end_within_the_graceful_stop_is_interrupted() -> None:
    async def main() -> None:
        stop = {"graceful_stop": "50ms"}
        bench = RunBench({"c": {**CLOSED, **stop}, "o": {**OPEN, **stop}}, {"c": endless, "o": endless})
        start_ns = bench.start()
        await bench.until_done()
        assert boottime_ns() - start_ns >= 250 * NS_PER_MS
        assert bench.ledger("c").interrupted == 2
        assert bench.ledger("o").interrupted == 20
        assert bench.counted("interrupted_iterations") == 22

    run_on_loop(main())


def test_a_graceful_stop_lets_iterations_end_and_plans_nothing_more() -> None:
    async def main() -> None:
        bench = RunBench({"open": {**OPEN, "duration": "1m"}}, {"open": short})
        bench.start()
        await until(lambda: bench.executors["open"].iterations.ledger().finished >= 5, "iterations")
        bench.run.stop(graceful=True, cause="threshold")
        planned = bench.executors["open"].iterations.ledger().planned
        done = await bench.until_done()
        assert done.cause == "threshold"
        assert bench.ledger("open").planned == planned
        assert bench.ledger("open").interrupted == 0

    run_on_loop(main())


def test_a_hard_stop_interrupts_at_once_also_after_a_graceful_one() -> None:
    async def main() -> None:
        bench = RunBench({"c": {**CLOSED, "duration": "1m"}}, {"c": endless})
        bench.start()
        await until(lambda: bench.executors["c"].iterations.ledger().started == 2, "iterations")
        bench.run.stop(graceful=True, cause="stop")
        await turn_loop()
        assert not bench.done.is_set()
        stopped_ns = boottime_ns()
        bench.run.stop(graceful=False, cause="kill")
        done = await bench.until_done()
        assert boottime_ns() - stopped_ns < NS_PER_S
        assert done.cause == "stop"
        assert bench.ledger("c").interrupted == 2

    run_on_loop(main())


def test_a_run_that_is_stopped_before_its_start_ends_with_empty_books() -> None:
    async def main() -> None:
        armed = RunBench({"open": OPEN, "closed": CLOSED}, {"open": short, "closed": short})
        armed.run.arm(armed.shares())
        armed.run.stop(graceful=True, cause="called off")
        done = await armed.until_done()
        assert [(ledger.planned, ledger.requests) for ledger in done.ledgers] == [(0, 0), (0, 0)]
        committed = RunBench({"open": OPEN}, {"open": short})
        committed.start(in_ms=60_000)
        committed.run.stop(graceful=False, cause="called off")
        assert (await committed.until_done()).cause == "called off"
        assert not any(isinstance(report, WorkerStarted) for report in committed.reports)

    run_on_loop(main())


def test_the_end_of_the_lease_ends_everything_at_once() -> None:
    async def main() -> None:
        long = {**OPEN, "duration": "1m"}
        closed = {**CLOSED, "duration": "1m"}
        bench = RunBench({"o": long, "c": closed, "s": closed}, {"o": short, "c": endless, "s": short})
        start_ns = bench.start()
        bench.words[LEASE_END] = end_ns = start_ns + 200 * NS_PER_MS
        done = await bench.until_done()
        assert done.cause == ORPHANED
        assert 0 <= boottime_ns() - end_ns < 200 * NS_PER_MS
        assert bench.ledger("c").interrupted == 2
        assert bench.ledger("o").started <= 20

    run_on_loop(main())


def test_nobody_starts_without_a_lease() -> None:
    async def main() -> None:
        bench = RunBench({"o": OPEN, "c": CLOSED}, {"o": short, "c": short})
        bench.words[LEASE_END] = 0
        bench.start()
        assert (await bench.until_done()).cause == ORPHANED
        assert bench.ledger("o").started == bench.ledger("c").started == 0

    run_on_loop(main())


def test_a_lease_is_prolonged_without_a_message() -> None:
    async def main() -> None:
        bench = RunBench({"o": OPEN}, {"o": short})
        bench.words[LEASE_END] = boottime_ns() + 100 * NS_PER_MS
        bench.start()
        await until(lambda: bench.executors["o"].iterations.ledger().started >= 2, "iterations")
        bench.words[LEASE_END] = boottime_ns() + NS_PER_S
        assert (await bench.until_done()).cause == ""
        assert bench.ledger("o").started == 20

    run_on_loop(main())


def test_a_script_that_ignores_its_cancellation_does_not_hold_the_run() -> None:
    async def main() -> None:
        async def stubborn(vu: Vu) -> None:
            while not leave.is_set():
                try:
                    await leave.wait()
                except asyncio.CancelledError:
                    continue

        leave = asyncio.Event()
        bench = RunBench({"c": {**CLOSED, "duration": "1m"}}, {"c": stubborn})
        bench.start()
        await until(lambda: bench.executors["c"].iterations.ledger().started == 2, "iterations")
        bench.run.stop(graceful=False, cause="stop")
        await bench.until_done()
        assert bench.ledger("c").interrupted == 2
        leave.set()
        await turn_loop()

    run_on_loop(main())


def test_shares_move_in_a_running_scenario() -> None:
    async def main() -> None:
        bench = RunBench({"o": {**OPEN, "duration": "400ms"}, "c": CLOSED}, {"o": short, "c": short})
        bench.run.arm(nothing_of(bench.shares()))
        bench.run.start(boottime_ns())
        await until(lambda: any(isinstance(report, WorkerStarted) for report in bench.reports), "the start")
        moved = [ScenarioShare(s.scenario, 200 * NS_PER_MS, s.slots, s.vu_slots) for s in bench.shares()]
        bench.run.reshare(moved, (), 0)
        await bench.until_done()
        assert bench.ledger("o").planned == 21  # marks at 0.20, 0.21, … 0.40 s
        bench.run.reshare(moved, (), 0)  # the run is over: ignored
        bench.run.stop(graceful=True, cause="late")

    run_on_loop(main())


def test_shares_that_come_before_the_start_hold_from_it() -> None:
    async def main() -> None:
        bench = RunBench({"o": OPEN, "c": CLOSED}, {"o": short, "c": short})
        bench.run.arm(nothing_of(bench.shares()))
        bench.run.start(boottime_ns() + 50 * NS_PER_MS)
        bench.run.reshare(bench.shares(), (), 0)
        await bench.until_done()
        assert bench.ledger("o").planned == 20
        assert bench.ledger("c").started >= 2

    run_on_loop(main())


def nothing_of(shares: list[ScenarioShare]) -> list[ScenarioShare]:
    """Shares of the same scenarios that own nothing."""
    return [ScenarioShare(s.scenario, 0, bytes(len(s.slots)), bytes(len(s.vu_slots))) for s in shares]


def test_a_run_that_was_paused_is_joined_after_its_planned_end() -> None:
    async def main() -> None:
        bench = RunBench({"o": OPEN, "c": CLOSED}, {"o": short, "c": short})
        start_ns = boottime_ns() - NS_PER_S  # 0.8 s after the planned end
        pause, resume = Change(100 * NS_PER_MS, ChangeKind.PAUSE), Change(1_200 * NS_PER_MS, ChangeKind.RESUME)
        bench.run.arm(nothing_of(bench.shares()))
        bench.run.start(start_ns)
        bench.words[REVISION] = 1  # the order is on its way
        await until(lambda: any(isinstance(report, WorkerStarted) for report in bench.reports), "the start")
        assert not bench.done.is_set()
        moved = [ScenarioShare(s.scenario, 1_200 * NS_PER_MS, s.slots, s.vu_slots) for s in bench.shares()]
        bench.run.reshare(moved, [pause, resume], 1)
        done = await bench.until_done()
        assert done.cause == ""
        assert bench.ledger("o").planned == 10  # those of 0.11 … 0.20 s, 1.1 s later
        assert bench.ledger("c").started >= 2

    run_on_loop(main())
