"""Open executors under a clock that is moved by hand."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from loadr.engine.open import LATEST_START_NS
from loadr.engine.page import REVISION
from loadr.engine.pending import NEVER_NS
from loadr.engine.vu import Vu
from loadr.plan.model import ConstantVus
from loadr.schedule.arrivals import Arrivals
from loadr.schedule.change import Change, ChangeKind
from loadr.schedule.course import course_of
from loadr.schedule.ownership import share_out, vus_of
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


def test_what_is_planned_after_the_end_of_the_lease_belongs_to_somebody_else() -> None:
    async def main() -> None:
        bench = ExecutorBench(constant(), nothing, lease_s=0.5)
        bench.start(*shares_of(constant()))
        await bench.turn(0.0)
        await bench.turn(0.3)
        assert await bench.turn(1.0) == NEVER_NS  # 0.4 s was to be started, and was not
        assert (bench.tally["planned"], bench.tally["started"], bench.tally["missed"]) == (4, 3, 1)
        assert bench.counted()["missed_iterations"] == 1
        bench.lease_ends_at(10)  # in time, after all: nothing was passed over
        await bench.turn(1.0)
        assert bench.tally["planned"] == 10
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
        bench.reshare(whole)
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
        bench.reshare(ScenarioShare("browse", NS_PER_S // 10, bytes(len(mine.slots)), bytes(len(mine.slots))))
        await bench.turn(0.1)
        busy = bench.tally["started"]  # with what was ours before that instant
        assert bench.iterations.alive == busy >= 1  # idle ones are gone
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
        model = plan.scenarios["browse"]
        assert not isinstance(model, ConstantVus)
        _, instants = Arrivals("browse", model, plan.seed, limit).chunk(0)
        assert planned == np.count_nonzero(instants < round(lease_s * NS_PER_S))

    run_on_loop(main())


def change(at_s: float, kind: ChangeKind, value: str = "") -> Change:
    return Change(round(at_s * NS_PER_S), kind, "", value)


def instants_of(bench: ExecutorBench) -> list[float]:
    """Where the planned instants of what finishes from now on are kept, in seconds of the run."""
    intended: list[float] = []
    bench.scenario.iteration_done = (  # type: ignore[method-assign]
        lambda intended_ns, start_ns, end_ns: intended.append((intended_ns - START_NS) / NS_PER_S)
    )
    return intended


def test_a_pause_moves_what_was_planned_behind_it_and_the_end() -> None:
    async def main() -> None:
        bench = ExecutorBench(constant(), nothing)
        intended = instants_of(bench)
        bench.start(*shares_of(constant()))
        pause, resume = change(0.35, ChangeKind.PAUSE), change(1.35, ChangeKind.RESUME)
        bench.reshare(changes=[pause])
        await bench.follow(1.0)
        assert intended == [0.1, 0.2, 0.3]
        assert bench.executor.end_ns == NEVER_NS
        bench.reshare(changes=[pause, resume])
        assert bench.executor.end_ns == START_NS + 2 * NS_PER_S
        await bench.turn(1.0)
        for tenth in range(14, 21):
            await bench.turn(tenth / 10)
        assert intended == [0.1, 0.2, 0.3, *(tenth / 10 for tenth in range(14, 21))]
        await bench.end()

    run_on_loop(main())


def test_a_pause_of_which_a_worker_hears_late_repeats_nothing() -> None:
    async def main() -> None:
        bench = ExecutorBench(constant(), nothing)
        bench.start(*shares_of(constant()))
        await bench.turn(0.25)
        await bench.turn(0.45)
        bench.reshare(changes=[change(0.25, ChangeKind.PAUSE), change(1.25, ChangeKind.RESUME)])
        await bench.follow(3.0)
        assert bench.tally["planned"] == bench.tally["started"] == 10
        await bench.end()

    run_on_loop(main())


def test_the_cap_of_vus_follows_the_scale() -> None:
    async def main() -> None:
        plan = constant(max_vus=2)
        gate = Gate()
        bench = ExecutorBench(plan, gate)
        bench.start(*shares_of(plan))
        bench.reshare(changes=[change(0.35, ChangeKind.SCALE, "4"), change(0.75, ChangeKind.SCALE, "1")])
        await bench.turn(0.3)
        assert (bench.tally["started"], bench.tally["dropped"]) == (2, 1)
        await bench.turn(0.7)  # 0.4 and 0.5 s find the two new ones
        assert (bench.tally["started"], bench.tally["dropped"]) == (4, 3)
        assert sorted(bench.made) == [0, 1, 2, 3]
        await bench.turn(0.75)
        gate.open.set()
        await turn_loop()
        assert bench.iterations.alive == bench.executor.vus == 1
        await bench.end()

    run_on_loop(main())


def test_nothing_is_dealt_before_the_order_of_the_pages_revision_was_read() -> None:
    async def main() -> None:
        bench = ExecutorBench(constant(), nothing)
        bench.start(*shares_of(constant()))
        await bench.turn(0.15)
        bench.words[REVISION] += 1
        assert await bench.turn(0.35) == NEVER_NS
        assert bench.tally["planned"] == 1
        bench.executor.reshare((), (), bench.words[REVISION])
        await bench.turn(0.35)
        assert bench.tally["started"] == 3  # a little late, but ours
        await bench.end()

    run_on_loop(main())


def test_a_share_of_a_later_instant_holds_from_then_on_also_when_it_came_before_the_start() -> None:
    async def main() -> None:
        plan = constant()
        (whole,) = shares_of(plan)
        bench = ExecutorBench(plan, nothing)
        bench.executor.arm([replace(whole, slots=bytes(128), vu_slots=bytes(128))])
        bench.reshare(replace(whole, from_run_ns=NS_PER_S // 2))
        bench.start()
        assert bench.made == []
        await bench.follow(1.0)
        assert bench.tally["planned"] == bench.tally["started"] == 6  # 0.5 … 1.0 s
        await bench.end()

    run_on_loop(main())


@settings(deadline=None, max_examples=100)
@given(data=st.data(), kind=st.sampled_from(["uniform", "poisson"]), seed=st.integers(0, 9))
def test_whatever_moves_and_changes_every_arrival_starts_once_at_its_instant(
    data: st.DataObject, kind: str, seed: int
) -> None:
    """Owners hear of moves and changes before they take effect; some hear twice, wake-ups are late."""
    plan = constant(rate=40, duration="1500ms", arrivals=kind, max_vus=60, seed=seed)
    names = ("a", "b", "c")
    model = plan.scenarios["browse"]
    assert not isinstance(model, ConstantVus)

    async def main() -> None:
        fired: list[int] = []

        async def flow(vu: Vu) -> None:
            fired.append(vu.iteration)

        weights = st.fixed_dictionaries(dict.fromkeys(names, st.sampled_from([0.0, 1.0, 2.0]))).filter(
            lambda drawn: any(drawn.values())
        )
        held = share_out(plan, data.draw(weights), 1024)
        benches = {name: ExecutorBench(plan, flow) for name in names}
        for name, bench in benches.items():
            bench.start(*held[name])
        changes: list[Change] = []
        kinds = st.sampled_from([None, *ChangeKind])
        now, effect_s, paused = 0.0, 0.0, False
        for step in data.draw(st.lists(st.tuples(st.integers(1, 6), kinds), max_size=8)):
            for _ in range(step[0]):
                now += 0.05
                for bench in benches.values():
                    await bench.turn(now)
            effect_s = max(effect_s, now) + 0.05
            if step[1] is None:
                new = share_out(
                    plan, data.draw(weights), 1024, from_run_ns=round(effect_s * NS_PER_S), previous=held
                )
                held = {name: new[name] for name in names}
            else:
                value = {ChangeKind.RATE: "80", ChangeKind.FACTOR: "0.5", ChangeKind.SCALE: "50"}.get(step[1], "")
                changes.append(change(effect_s, step[1], value))
                paused = step[1] is ChangeKind.PAUSE or (paused and step[1] is not ChangeKind.RESUME)
            for name, bench in benches.items():
                bench.reshare(*held[name], changes=changes)
        if paused:
            changes.append(change(max(effect_s, now) + 0.05, ChangeKind.RESUME))
            for name, bench in benches.items():
                bench.reshare(*held[name], changes=changes)
        end_s = course_of("browse", model, changes).end_run_ns / NS_PER_S
        while now < end_s:
            now += 0.05
            for bench in benches.values():
                await bench.turn(now)
        whole = Arrivals("browse", model, plan.seed, changes=changes).chunk(0)[0].tolist()
        assert sorted(fired) == whole
        for bench in benches.values():
            assert bench.tally["planned"] == bench.tally["started"] == bench.tally["finished"]
            await bench.end()

    run_on_loop(main())
