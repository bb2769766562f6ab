"""The closed executor under a clock that is moved by hand."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from loadr.engine import closed
from loadr.engine.channel import ValueOrder, WorkerClaim
from loadr.engine.fleet_values import VALUE_BLOCK, FleetValues
from loadr.engine.page import REQUESTS_STARTED, REVISION
from loadr.engine.pending import NEVER_NS
from loadr.engine.stock import Shelf, Stock
from loadr.engine.vu import Vu
from loadr.plan.model import Plan
from loadr.schedule.change import Change, ChangeKind
from loadr.schedule.ownership import vus_of
from loadr.schedule.share import ScenarioShare
from loadr.units import NS_PER_S
from support.executors import START_NS, ExecutorBench, plan_with, run_on_loop, shares_of, turn_loop
from support.flows import NotedHttp


def three_vus(**more: object) -> Plan:
    return plan_with("constant-vus", vus=3, duration="1s", **more)


async def one_turn(vu: Vu) -> None:
    await asyncio.sleep(0)


def test_each_vu_loops_with_its_own_count_until_the_duration_is_over() -> None:
    async def main() -> None:
        seen: list[tuple[int, int]] = []

        async def note(vu: Vu) -> None:
            seen.append((vu.id, vu.iteration))
            bench.now_ns += NS_PER_S // 10
            await asyncio.sleep(0)

        bench = ExecutorBench(three_vus(), note)
        bench.start(*shares_of(three_vus()))
        assert await bench.turn(0.0) == NEVER_NS
        await turn_loop(50)
        assert bench.iterations.alive == 0
        assert bench.tally["planned"] == bench.tally["started"] == bench.tally["finished"] == 10
        counts = Counter(vu for vu, _ in seen)
        assert counts.keys() == {1, 2, 3}
        assert all((vu, j) in seen for vu, count in counts.items() for j in range(count))
        assert bench.counted()["iterations"] == 10

    run_on_loop(main())


def test_vus_begin_with_their_scenario() -> None:
    async def main() -> None:
        plan = three_vus(start_time="2s")
        bench = ExecutorBench(plan, one_turn)
        bench.start(*shares_of(plan))
        assert await bench.turn(0.0) == START_NS + 2 * NS_PER_S
        assert bench.tally["started"] == 0
        await bench.turn(2.0)
        assert bench.tally["started"] >= 3
        assert bench.executor.end_ns == START_NS + 3 * NS_PER_S
        assert bench.executor.vus == bench.executor.active_vus == 3
        await bench.end()

    run_on_loop(main())


def test_owners_have_their_own_vus_and_all_together() -> None:
    async def main() -> None:
        plan = plan_with("constant-vus", vus=10, duration="1s")
        made: list[int] = []
        for share in shares_of(plan, owners=3):
            bench = ExecutorBench(plan, one_turn)
            bench.start(share)
            made += bench.made
        assert sorted(made) == list(range(10))

    run_on_loop(main())


def test_an_iteration_that_never_waits_lets_others_run() -> None:
    async def main() -> None:
        async def busy(vu: Vu) -> None:
            """Nothing that waits, nothing that is sent."""

        bench = ExecutorBench(three_vus(), busy)
        bench.start(*shares_of(three_vus()))
        await bench.turn(0.0)
        await turn_loop(20)  # would never come back
        assert bench.tally["finished"] >= 20
        await bench.end()

    run_on_loop(main())


def test_a_script_that_always_raises_does_not_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def note(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    async def main() -> None:
        async def broken(vu: Vu) -> None:
            raise ZeroDivisionError("division by zero")

        bench = ExecutorBench(three_vus(), broken)
        bench.start(*shares_of(three_vus()))
        await bench.turn(0.0)
        assert bench.tally["finished"] == len(pauses) > 0
        assert set(pauses) == {closed.PAUSE_AFTER_EXCEPTION_S}
        assert len(bench.told) == 1
        assert bench.counted()["http_req_errors"] == bench.tally["finished"]
        await bench.end()
        assert bench.tally["interrupted"] == 0  # they were between two iterations

    monkeypatch.setattr(closed, "sleep", note)
    run_on_loop(main())


def test_no_iteration_begins_without_a_lease() -> None:
    async def main() -> None:
        bench = ExecutorBench(three_vus(), one_turn, lease_s=0.5)
        bench.start(*shares_of(three_vus()))
        await bench.turn(0.4)
        started = bench.tally["started"]
        assert started > 0
        bench.now_ns = START_NS + NS_PER_S // 2
        await turn_loop()
        assert bench.iterations.alive == 0

    run_on_loop(main())


def test_after_a_stop_iterations_in_flight_may_end_and_none_begins() -> None:
    async def main() -> None:
        gate = asyncio.Event()

        async def wait(vu: Vu) -> None:
            await gate.wait()

        bench = ExecutorBench(three_vus(), wait)
        bench.start(*shares_of(three_vus()))
        await bench.turn(0.1)
        bench.executor.stop()
        assert await bench.turn(0.2) == NEVER_NS
        gate.set()
        await turn_loop()
        assert bench.tally["finished"] == bench.tally["started"] == 3
        assert bench.iterations.alive == 0

    run_on_loop(main())


def test_vus_are_given_away_and_taken_over_at_the_instant_of_a_share() -> None:
    async def main() -> None:
        plan = plan_with("constant-vus", vus=8, duration="1s")
        mine, other = shares_of(plan, owners=2)
        bench = ExecutorBench(plan, one_turn)
        bench.start(mine)
        await bench.turn(0.1)
        assert bench.executor.active_vus == 4
        bench.reshare(ScenarioShare("browse", NS_PER_S // 2, other.slots))
        assert await bench.turn(0.4) == START_NS + NS_PER_S // 2
        await bench.turn(0.5)
        await turn_loop()
        assert bench.executor.active_vus == bench.executor.vus == 4
        assert sorted(bench.made) == list(range(8))
        assert set(bench.made[4:]) == set(vus_of(other, plan.scenarios["browse"], plan.seed))
        await bench.end()

    run_on_loop(main())


def test_requests_make_the_extra_turn_of_the_loop_unnecessary(monkeypatch: pytest.MonkeyPatch) -> None:
    """An iteration that sends has waited for its answer: it need not wait again."""
    turns: list[float] = []

    async def note(seconds: float) -> None:
        turns.append(seconds)
        await asyncio.sleep(0)

    async def main() -> None:
        async def send(vu: Vu) -> None:
            assert isinstance(vu.http, NotedHttp)
            vu.scenario.counts[REQUESTS_STARTED] += 1
            await asyncio.sleep(0)

        bench = ExecutorBench(three_vus(), send)
        bench.start(*shares_of(three_vus()))
        bench.executor.turn(START_NS)
        for _ in range(10):
            await asyncio.sleep(0)
        assert bench.tally["finished"] > 3
        bench.iterations.halt()
        await asyncio.sleep(0)

    monkeypatch.setattr(closed, "sleep", note)
    run_on_loop(main())
    assert turns == []


def change(at_s: float, kind: ChangeKind, value: str = "") -> Change:
    return Change(round(at_s * NS_PER_S), kind, "", value)


async def tick(vu: Vu) -> None:
    """An iteration that waits for one turn of the loop, under a clock that stands still."""
    await asyncio.sleep(0)


def test_nothing_starts_in_a_pause_and_the_end_moves_with_it() -> None:
    async def main() -> None:
        bench = ExecutorBench(three_vus(), tick)
        bench.start(*shares_of(three_vus()))
        pause, resume = change(0.5, ChangeKind.PAUSE), change(2.0, ChangeKind.RESUME)
        bench.reshare(changes=[pause])
        assert await bench.turn(0.4) == START_NS + NS_PER_S // 2
        assert await bench.turn(0.5) == NEVER_NS
        await turn_loop(10)
        started = bench.tally["started"]
        await turn_loop(10)
        assert bench.tally["started"] == bench.tally["finished"] == started > 0
        assert bench.executor.active_vus == 3
        assert bench.executor.end_ns == NEVER_NS
        bench.reshare(changes=[pause, resume])
        assert bench.executor.end_ns == START_NS + 5 * NS_PER_S // 2
        assert await bench.turn(1.0) == START_NS + 2 * NS_PER_S
        assert bench.tally["started"] == started
        await bench.turn(2.0)
        assert bench.tally["started"] >= started + 3
        await bench.turn(2.5)
        bench.executor.stop()
        await turn_loop(10)
        assert bench.iterations.alive == 0

    run_on_loop(main())


def test_a_vu_that_waits_for_the_end_of_a_pause_ends_with_a_stop_and_when_it_is_given_away() -> None:
    async def main() -> None:
        plan = plan_with("constant-vus", vus=8, duration="1s")
        mine, _ = shares_of(plan, owners=2)
        bench = ExecutorBench(plan, tick)
        bench.start(mine)
        pause = change(0.5, ChangeKind.PAUSE)
        bench.reshare(changes=[pause])
        await bench.turn(0.1)
        await bench.turn(0.5)
        await turn_loop(10)
        assert bench.iterations.alive == 4
        half_of_mine = ScenarioShare("browse", NS_PER_S, shares_of(plan, owners=4)[0].slots)
        bench.reshare(half_of_mine, changes=[pause])
        await bench.turn(1.0)
        assert bench.iterations.alive == bench.executor.vus == 2
        bench.executor.stop()
        await turn_loop()
        assert bench.iterations.alive == 0

    run_on_loop(main())


def test_a_pause_before_the_begin_moves_the_begin() -> None:
    async def main() -> None:
        plan = three_vus(start_time="1s")
        bench = ExecutorBench(plan, tick)
        bench.start(*shares_of(plan))
        bench.reshare(changes=[change(0.5, ChangeKind.PAUSE), change(1.5, ChangeKind.RESUME)])
        await bench.turn(1.0)
        await bench.turn(1.5)
        assert bench.tally["started"] == 0
        await bench.turn(2.0)
        assert bench.tally["started"] >= 3
        assert bench.executor.end_ns == START_NS + 3 * NS_PER_S
        await bench.end()

    run_on_loop(main())


def test_vus_come_and_go_with_the_scale_and_never_count_an_iteration_twice() -> None:
    async def main() -> None:
        seen: Counter[tuple[int, int]] = Counter()

        async def note(vu: Vu) -> None:
            seen[vu.id, vu.iteration] += 1
            await asyncio.sleep(0)

        bench = ExecutorBench(three_vus(), note)
        bench.start(*shares_of(three_vus()))
        scales = [(0.2, "5"), (0.4, "1"), (0.6, "3")]
        bench.reshare(changes=[change(at_s, ChangeKind.SCALE, vus) for at_s, vus in scales])
        sizes = []
        for tenth in range(8):
            await bench.turn(tenth / 10)
            await turn_loop(5)
            sizes.append(bench.executor.active_vus)
        assert sizes == [3, 3, 5, 5, 1, 1, 3, 3]
        assert set(seen.values()) == {1}
        assert (
            min(iteration for vu, iteration in seen if vu == 4) == NS_PER_S // 5 // closed.SHORTEST_ITERATION_NS
        )
        await bench.end()

    run_on_loop(main())


def test_a_vu_that_comes_in_mid_run_counts_from_the_instant_of_its_share() -> None:
    async def main() -> None:
        plan = three_vus()
        (whole,) = shares_of(plan)
        seen: list[int] = []

        async def note(vu: Vu) -> None:
            seen.append(vu.iteration)
            await asyncio.sleep(0)

        bench = ExecutorBench(plan, note)
        bench.executor.arm([replace(whole, slots=bytes(128))])
        bench.reshare(replace(whole, from_run_ns=NS_PER_S // 2))  # before the start
        bench.start()
        await bench.turn(0.4)
        assert (bench.executor.vus, seen) == (0, [])
        await bench.turn(0.6)  # a little late
        assert seen[:3] == [50_000] * 3
        await bench.end()

    run_on_loop(main())


def test_no_iteration_starts_before_the_order_of_the_pages_revision_was_read() -> None:
    async def main() -> None:
        bench = ExecutorBench(three_vus(), tick)
        bench.start(*shares_of(three_vus()))
        await bench.turn(0.1)
        bench.words[REVISION] += 1
        await turn_loop(10)
        started = bench.tally["started"]
        await bench.turn(0.2)
        await turn_loop(10)
        assert bench.tally["started"] == bench.tally["finished"] == started
        bench.executor.reshare((), (), bench.words[REVISION])
        await bench.turn(0.2)
        assert bench.tally["started"] > started
        await bench.end()

    run_on_loop(main())


class Granting:
    """Rows for an executor, granted when the test says so."""

    def __init__(self) -> None:
        self.claims: list[WorkerClaim] = []
        self.values = FleetValues(self.claims.append)
        self.shelf = Shelf(Stock("users", self.values, lambda: 0))

    def give(self, first: int, end: int) -> None:
        self.values.give(ValueOrder(self.claims[-1].ticket, VALUE_BLOCK, first, end))


def test_a_vu_waits_for_a_row_before_its_iteration_and_the_scenario_ends_with_the_rows() -> None:
    async def main() -> None:
        rows = Granting()
        seen: list[int] = []

        async def note(vu: Vu) -> None:
            seen.append(rows.shelf.current[vu.id])
            await one_turn(vu)

        bench = ExecutorBench(three_vus(), note, shelves=[rows.shelf])
        bench.start(*shares_of(three_vus()))
        assert [claim.count for claim in rows.claims] == [16]
        await bench.turn(0.0)
        assert bench.tally["started"] == 0
        rows.give(0, 16)
        await turn_loop(40)
        assert sorted(seen) == list(range(16)) and len(rows.claims) == 2
        assert bench.executor.active_vus == 3
        rows.give(16, 16)
        await turn_loop(5)
        assert bench.executor.active_vus == 0
        assert bench.executor.end_ns == START_NS
        bench.executor.reshare([], [], 0)
        assert bench.executor.end_ns == START_NS
        assert bench.tally["planned"] == bench.tally["finished"] == 16
        await bench.end()

    run_on_loop(main())


def test_a_vu_that_waits_for_rows_ends_with_the_scenario() -> None:
    async def main() -> None:
        rows = Granting()
        bench = ExecutorBench(three_vus(), one_turn, shelves=[rows.shelf])
        bench.start(*shares_of(three_vus()))
        await bench.turn(0.0)
        assert bench.executor.active_vus == 3
        bench.executor.stop()
        await turn_loop(5)
        assert bench.executor.active_vus == 0 and bench.tally["planned"] == 0

    run_on_loop(main())
