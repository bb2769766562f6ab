"""Open executors under a clock that is moved by hand."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from loadr.engine.open import LATEST_START_NS
from loadr.engine.page import ITERATIONS_STARTED
from loadr.engine.pending import NEVER_NS
from loadr.engine.vu import Vu
from loadr.schedule.ownership import vus_of
from loadr.schedule.share import ScenarioShare
from loadr.units import NS_PER_S
from support.executors import START_NS, ExecutorBench, plan_with, run_on_loop, shares_of, turn_loop


async def nothing(vu: Vu) -> None:
    """An iteration that is over at once."""


class Gate:
    """An iteration that lasts until it is let go."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def __call__(self, vu: Vu) -> None:
        await self.open.wait()


def constant(rate: float = 10, duration: str = "1s", **more: Any) -> Any:
    return plan_with("constant-arrival-rate", rate=rate, duration=duration, **{"max_vus": 5, **more})


def test_every_arrival_starts_at_its_instant_the_last_one_at_the_very_end() -> None:
    async def main() -> None:
        intended: list[float] = []
        bench = ExecutorBench(constant(), nothing)
        bench.scenario.iteration_done = (  # type: ignore[method-assign]
            lambda intended_ns, start_ns, end_ns: intended.append((intended_ns - START_NS) / NS_PER_S)
        )
        bench.start(*shares_of(constant()))
        await bench.follow(1.0)
        assert intended == [k / 10 for k in range(1, 11)]
        assert bench.executor.end_ns == START_NS + NS_PER_S
        assert await bench.turn(1.0) == NEVER_NS
        await bench.end()

    run_on_loop(main())


def test_an_iteration_is_told_its_number_and_its_vu() -> None:
    async def main() -> None:
        seen: list[tuple[int, int]] = []

        async def note(vu: Vu) -> None:
            seen.append((vu.iteration, vu.id))

        bench = ExecutorBench(constant(pre_allocated_vus=1), note)
        bench.start(*shares_of(constant()))
        await bench.follow(1.0)
        assert seen == [(k, 1) for k in range(10)]
        await bench.end()

    run_on_loop(main())


def test_vus_are_made_before_the_start_and_more_when_they_are_wanted() -> None:
    async def main() -> None:
        plan = constant(max_vus=4, pre_allocated_vus=2)
        bench = ExecutorBench(plan, Gate())
        bench.start(*shares_of(plan))
        assert bench.made == [0, 1]
        await bench.turn(0.35)
        assert bench.made == [0, 1, 2]
        assert bench.executor.active_vus == bench.executor.vus == 3
        await bench.end()

    run_on_loop(main())


def test_an_arrival_that_finds_no_vu_is_dropped() -> None:
    async def main() -> None:
        plan = constant(max_vus=2)
        gate = Gate()
        bench = ExecutorBench(plan, gate)
        bench.start(*shares_of(plan))
        await bench.follow(0.55)
        assert bench.tally == {
            "planned": 5, "started": 2, "finished": 0, "interrupted": 0, "dropped": 3, "missed": 0,
        }  # fmt: skip
        gate.open.set()
        await turn_loop()
        await bench.follow(1.0)
        assert (bench.tally["started"], bench.tally["dropped"]) == (7, 3)
        assert bench.counted()["dropped_iterations"] == 3
        assert bench.words[ITERATIONS_STARTED] == 7
        await bench.end()

    run_on_loop(main())


def test_after_a_freeze_nothing_older_than_the_limit_is_started() -> None:
    async def main() -> None:
        plan = constant(max_vus=10)
        bench = ExecutorBench(plan, nothing)
        bench.start(*shares_of(plan))
        await bench.turn(1.0)  # of arrivals at 0.1 … 1.0 s, those from 0.75 s on are fresh enough
        assert LATEST_START_NS == 250_000_000
        assert (bench.tally["dropped"], bench.tally["started"]) == (7, 3)
        await bench.end()

    run_on_loop(main())


def test_what_is_planned_without_a_lease_is_missed() -> None:
    async def main() -> None:
        bench = ExecutorBench(constant(), nothing, lease_s=0.5)
        bench.start(*shares_of(constant()))
        await bench.follow(1.0)
        assert (bench.tally["started"], bench.tally["missed"], bench.tally["dropped"]) == (4, 6, 0)
        assert bench.counted()["missed_iterations"] == 6
        await bench.end()

    run_on_loop(main())


def test_what_was_planned_before_a_late_start_is_missed() -> None:
    async def main() -> None:
        bench = ExecutorBench(constant(), nothing)
        bench.start(*shares_of(constant()), late_until_s=0.45)
        await bench.turn(0.45)
        await bench.follow(1.0)
        assert (bench.tally["missed"], bench.tally["started"]) == (4, 6)
        await bench.end()

    run_on_loop(main())


def test_nothing_is_planned_after_a_stop() -> None:
    async def main() -> None:
        bench = ExecutorBench(constant(), nothing)
        bench.start(*shares_of(constant()))
        await bench.turn(0.35)
        bench.executor.stop()
        assert await bench.turn(1.0) == NEVER_NS
        assert bench.tally["planned"] == 3
        await bench.end()

    run_on_loop(main())


def test_rows_that_end_cut_the_schedule_and_end_the_scenario_with_the_last() -> None:
    async def main() -> None:
        bench = ExecutorBench(constant(), nothing, limit=4)
        bench.start(*shares_of(constant()))
        await bench.follow(1.0)
        assert bench.tally["planned"] == bench.tally["started"] == 4
        assert bench.executor.end_ns == START_NS + 4 * NS_PER_S // 10
        await bench.end()
        none = ExecutorBench(constant(start_time="2s"), nothing, limit=0)
        none.start(*shares_of(constant(start_time="2s")))
        assert none.executor.end_ns == START_NS + 2 * NS_PER_S

    run_on_loop(main())


def test_a_handed_over_iteration_that_never_began_counts_as_interrupted() -> None:
    async def main() -> None:
        bench = ExecutorBench(constant(), nothing)
        bench.start(*shares_of(constant()))
        bench.now_ns = START_NS + NS_PER_S // 10
        bench.executor.turn(bench.now_ns)
        bench.iterations.halt()  # before the VU has had its turn
        await turn_loop()
        bench.iterations.settle()
        assert (bench.tally["started"], bench.tally["interrupted"], bench.tally["finished"]) == (1, 1, 0)

    run_on_loop(main())


def test_a_new_share_takes_over_arrivals_and_vus_at_its_instant() -> None:
    async def main() -> None:
        plan = constant(rate=100, max_vus=8)
        mine, other = shares_of(plan, owners=2)
        bench = ExecutorBench(plan, nothing)
        bench.start(mine)
        await bench.follow(0.2)
        owned_before = bench.tally["planned"]
        assert 0 < owned_before < 20
        whole = ScenarioShare(
            "browse",
            NS_PER_S // 2,
            bytes(a | b for a, b in zip(mine.slots, other.slots, strict=True)),
            bytes(a | b for a, b in zip(mine.vu_slots, other.vu_slots, strict=True)),
        )
        bench.executor.reshare(whole)
        await bench.turn(0.2)
        assert set(bench.made) <= set(vus_of(mine, plan.scenarios["browse"], plan.seed))
        await bench.follow(1.0)
        # Marks up to 0.5 s are half ours, those after it are all ours, and none is taken twice or left out.
        half = bench.tally["planned"] - 51
        assert bench.tally["planned"] == bench.tally["started"]
        assert owned_before < half < 49
        await bench.end()

    run_on_loop(main())


def test_vus_that_were_given_away_end_after_their_iteration() -> None:
    async def main() -> None:
        plan = constant(rate=100, max_vus=8, pre_allocated_vus=8)
        mine, _ = shares_of(plan, owners=2)
        gate = Gate()
        bench = ExecutorBench(plan, gate)
        bench.start(mine)
        await bench.turn(0.02)
        busy = bench.tally["started"]
        assert busy >= 1
        bench.executor.reshare(
            ScenarioShare("browse", NS_PER_S // 10, bytes(len(mine.slots)), bytes(len(mine.slots)))
        )
        await bench.turn(0.1)
        assert bench.iterations.alive == busy  # idle ones are gone
        gate.open.set()
        await turn_loop()
        assert bench.iterations.alive == bench.executor.vus == 0
        assert bench.tally["finished"] == busy

    run_on_loop(main())


@settings(deadline=None, max_examples=60)
@given(
    data=st.data(),
    rate=st.floats(1, 200),
    kind=st.sampled_from(["uniform", "poisson"]),
    owners=st.integers(1, 3),
    max_vus=st.integers(1, 6),
    lease_s=st.floats(0, 2),
    late_s=st.sampled_from([0.0, 0.0, 0.3]),
    limit=st.none() | st.integers(0, 100),
)
def test_the_books_balance_whatever_happens(
    data: st.DataObject,
    rate: float,
    kind: str,
    owners: int,
    max_vus: int,
    lease_s: float,
    late_s: float,
    limit: int | None,
) -> None:
    """Wake-ups at random instants, iterations of random length, several owners: every arrival of the whole
    schedule up to the end is planned by exactly one of them, and is started, dropped or missed."""
    plan = constant(rate=rate, arrivals=kind, max_vus=max_vus, seed=3)

    async def main() -> None:
        rests = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=5))

        async def flow(vu: Vu) -> None:
            for _ in range(rests[vu.iteration % len(rests)]):
                await asyncio.sleep(0)

        instants = [*sorted(data.draw(st.lists(st.floats(0, 1), max_size=12))), 1.0]
        benches = []
        for share in shares_of(plan, owners):
            bench = ExecutorBench(plan, flow, limit=limit, lease_s=lease_s)
            bench.start(share, late_until_s=late_s)
            for instant in instants:
                await bench.turn(instant)
            bench.executor.stop()
            await bench.end()
            bench.iterations.settle()
            benches.append(bench)
        for bench in benches:
            tally, counted = bench.tally, bench.counted()
            assert tally["planned"] == tally["started"] + tally["dropped"] + tally["missed"]
            assert tally["started"] == tally["finished"] + tally["interrupted"]
            assert counted.get("iterations", 0) == tally["finished"]
            for name in ("dropped", "missed", "interrupted"):
                assert counted.get(f"{name}_iterations", 0) == tally[name]
        planned = sum(bench.tally["planned"] for bench in benches)
        if kind == "uniform":
            whole = int(rate)
            assert planned == (whole if limit is None else min(whole, limit))

    run_on_loop(main())
