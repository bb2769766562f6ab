"""Load that moves between real workers, and runs that are changed while they go on, as the target sees it."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from loadr.clock import boottime_ns
from loadr.engine import pool as pool_module
from loadr.engine.pool_events import PoolArmed, PoolStarted, PoolWorkerLost
from loadr.plan.model import ConstantVus, Plan
from loadr.schedule.arrivals import Arrivals
from loadr.schedule.change import Change, ChangeKind
from loadr.schedule.ownership import share_out, slot_count, split
from loadr.schedule.share import ScenarioShare
from loadr.testing.process import TargetProcess
from loadr.units import NS_PER_MS, NS_PER_S
from support.workers import PoolBench, get, plan_for, pool_bench, until

pytestmark = pytest.mark.slow
SLACK_NS = 300 * NS_PER_MS


@pytest.fixture(scope="module")
def shared_target() -> Iterator[TargetProcess]:
    with TargetProcess("--record-arrivals", "100000") as target:
        yield target


@pytest.fixture
def target(shared_target: TargetProcess) -> TargetProcess:
    """The target, counting from zero."""
    shared_target.reset()
    return shared_target


def open_plan(target: TargetProcess, **more: Any) -> Plan:
    """Uniform arrivals; each iteration asks for a path of its own."""
    body = {"executor": "constant-arrival-rate", "arrivals": "uniform", "rate": 200, "max_vus": 100}
    return plan_for(target.url, {"o": {**body, "flow": [get("/o/${iteration}", name="o")], **more}})


def whole(plan: Plan, from_run_ns: int = 0) -> list[ScenarioShare]:
    shares = share_out(plan, {"all": 1.0}, slot_count(1))["all"]
    return [replace(share, from_run_ns=from_run_ns) for share in shares]


def nothing(plan: Plan, from_run_ns: int = 0) -> list[ScenarioShare]:
    return [
        replace(s, slots=bytes(len(s.slots)), vu_slots=bytes(len(s.vu_slots))) for s in whole(plan, from_run_ns)
    ]


async def begin(bench: PoolBench, plan: Plan, shares: Sequence[ScenarioShare], start_ns: int) -> None:
    assert not (await bench.prepare(plan)).fault
    bench.pool.arm(shares, plan)
    assert not (await bench.event(PoolArmed)).fault
    bench.pool.set_lease(boottime_ns() + 60 * NS_PER_S)
    bench.pool.start(start_ns)
    await bench.event(PoolStarted)


async def until_run(start_ns: int, run_s: float) -> None:
    await until(lambda: boottime_ns() - start_ns >= run_s * NS_PER_S, f"{run_s} s of the run")


def seen(target: TargetProcess, prefix: str) -> dict[int, int]:
    """Iterations that arrived, and how often."""
    paths = target.counters()["by_path"]
    start = f"GET /{prefix}/"
    return {int(path.removeprefix(start)): count for path, count in paths.items() if path.startswith(start)}


def planned_from(plan: Plan, run_ns: int) -> set[int]:
    """The iterations of the scenario "o" that are planned then or later."""
    model = plan.scenarios["o"]
    assert not isinstance(model, ConstantVus)
    iterations, instants = Arrivals("o", model, plan.seed).chunk(0)
    return set(iterations[instants >= run_ns].tolist())


def balanced(bench: PoolBench, lost: PoolWorkerLost) -> None:
    for ledger in (*lost.ledgers, *lost.unreported):
        assert ledger.planned == ledger.started + ledger.dropped + ledger.missed
        assert ledger.started == ledger.finished + ledger.interrupted + ledger.lost
        assert min(ledger.finished, ledger.interrupted, ledger.dropped, ledger.missed, ledger.requests) >= 0


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_the_share_of_a_worker_that_dies_goes_to_the_others_and_what_is_missing_is_known(
    target: TargetProcess, monkeypatch: pytest.MonkeyPatch, end: signal.Signals
) -> None:
    monkeypatch.setattr(pool_module, "WATCH_EVERY_S", 0.1)
    plan = open_plan(target, duration="4s")

    async def main() -> None:
        async with pool_bench(4) as bench:
            start_ns = await bench.begin(plan)
            await until_run(start_ns, 1.3)
            os.kill(bench.pool.pids[1], end)
            lost = await bench.event(PoolWorkerLost)
            lost_run_ns = boottime_ns() - start_ns
            assert lost.worker == 1
            assert ("frozen" in lost.how) == (end is signal.SIGSTOP)
            balanced(bench, lost)
            (ledger,) = (await bench.finish()).ledgers
            arrived = seen(target, "o")
            total = target.counters()["total"]
            reported, missing = bench.counter("http_reqs"), sum(one.requests for one in lost.unreported)
            assert reported <= total <= reported + missing == ledger.requests
            assert set(arrived.values()) == {1}
            after = planned_from(plan, lost_run_ns + NS_PER_S)
            assert len(after) > 100
            assert len(after - arrived.keys()) <= ledger.dropped
            # What nobody had: a quarter of the rate, while the worker was gone and the others did not know.
            assert 0 <= 800 - ledger.planned <= 50 * 2

    asyncio.run(main())


def test_nothing_arrives_in_a_pause_and_the_total_is_that_of_the_plan(target: TargetProcess) -> None:
    scenarios = open_plan(target, duration="2s", rate=100).scenarios
    flow = [get("/c/${vu.id}", name="c"), {"think": {"low_ns": "5ms", "high_ns": "5ms"}}]
    closed = {"executor": "constant-vus", "vus": 4, "duration": "2s", "flow": flow}
    plan = plan_for(target.url, {"o": scenarios["o"].model_dump(by_alias=True), "c": closed})
    pause = Change(900 * NS_PER_MS, ChangeKind.PAUSE)
    resume = Change(2_500 * NS_PER_MS, ChangeKind.RESUME)

    async def main() -> None:
        async with pool_bench(2) as bench:
            start_ns = await bench.begin(plan)
            bench.pool.reshare(whole(plan), (pause,))
            await until_run(start_ns, 2.1)  # longer than the plan
            bench.pool.reshare(whole(plan), (pause, resume))
            finished = await bench.finish()
            assert finished.cause == ""
            bench.account(target, finished.ledgers)
            arrivals = [at_ns - start_ns for at_ns in target.counters()["arrivals_ns"]]
            held = [at for at in arrivals if pause.at_run_ns + SLACK_NS <= at < resume.at_run_ns]
            assert held == []
            assert max(arrivals) > resume.at_run_ns + 500 * NS_PER_MS
            ledgers = {ledger.scenario: ledger for ledger in finished.ledgers}
            assert ledgers["o"].planned == 200
            assert sum(seen(target, "o").values()) == 200 - ledgers["o"].dropped
            assert set(seen(target, "c")) == {1, 2, 3, 4}

    asyncio.run(main())


def test_another_rate_changes_what_is_left(target: TargetProcess) -> None:
    plan = open_plan(target, duration="2s", rate=100)
    change = Change(NS_PER_S, ChangeKind.RATE, "o", "200")

    async def main() -> None:
        async with pool_bench(2) as bench:
            await bench.begin(plan)
            bench.pool.reshare(whole(plan), (change,))
            (ledger,) = (await bench.finish()).ledgers
            assert ledger.planned == 300
            bench.account(target, (ledger,))

    asyncio.run(main())


def test_vus_come_and_go_with_the_scale_and_no_iteration_of_theirs_comes_twice(target: TargetProcess) -> None:
    flow = [get("/c/${vu.id}", name="c"), get("/i/${vu.id * 1000000000 + iteration}", name="i")]
    flow += [{"think": {"low_ns": "20ms", "high_ns": "20ms"}}]
    closed = {"executor": "constant-vus", "vus": 2, "duration": "2s", "flow": flow}
    plan = plan_for(target.url, {"c": closed})
    scales = ((500, "6"), (1_000, "1"), (1_500, "3"))
    changes = [Change(at_ms * NS_PER_MS, ChangeKind.SCALE, "c", vus) for at_ms, vus in scales]

    async def main() -> None:
        async with pool_bench(2) as bench:
            start_ns = await bench.begin(plan)
            bench.pool.reshare(whole(plan), changes)
            finished = await bench.finish()
            bench.account(target, finished.ledgers)
            by_vu = seen(target, "c")
            assert by_vu.keys() == {1, 2, 3, 4, 5, 6}
            assert by_vu[1] > by_vu[2] > by_vu[4]
            assert set(seen(target, "i").values()) == {1}
            assert max(target.counters()["arrivals_ns"]) - start_ns < 2 * NS_PER_S + SLACK_NS

    asyncio.run(main())


def test_two_pools_hand_load_over_at_a_planned_instant_and_the_taker_came_late(target: TargetProcess) -> None:
    plan = open_plan(target, duration="3s")
    at_ns = 2 * NS_PER_S

    async def main() -> None:
        async with pool_bench(2) as giver, pool_bench(2) as taker:
            start_ns = boottime_ns() + 300 * NS_PER_MS
            await begin(giver, plan, whole(plan), start_ns)
            await begin(taker, plan, nothing(plan), start_ns)
            assert boottime_ns() - start_ns < at_ns
            giver.pool.reshare(nothing(plan, at_ns))
            taker.pool.reshare(whole(plan, at_ns))
            (given,), (taken,) = (await giver.finish()).ledgers, (await taker.finish()).ledgers
            late = planned_from(plan, at_ns)
            assert taken.planned == len(late) == 201
            assert given.planned + taken.planned == 600
            arrived = seen(target, "o")
            assert set(arrived.values()) == {1}
            assert len(arrived) == 600 - given.dropped - taken.dropped

    asyncio.run(main())


def test_load_that_moves_to_and_fro_between_and_within_pools_is_neither_lost_nor_repeated(
    target: TargetProcess,
) -> None:
    plan = open_plan(target, duration="4s")
    draws = random.Random(7)

    async def main() -> None:
        async with pool_bench(2) as one, pool_bench(2) as other:
            benches = {"one": one, "other": other}
            held = share_out(plan, dict.fromkeys(benches, 1.0), slot_count(2))
            start_ns = boottime_ns() + 500 * NS_PER_MS
            for name, bench in benches.items():
                await begin(bench, plan, held[name], start_ns)
            for move in range(10):
                await until_run(start_ns, 0.3 * (move + 1))
                weights = {name: draws.choice([0.0, 1.0, 2.0, 3.0]) for name in benches}
                if not any(weights.values()):
                    continue
                at_ns = boottime_ns() - start_ns + 200 * NS_PER_MS
                held = share_out(plan, weights, slot_count(2), from_run_ns=at_ns, previous=held)
                for name, bench in benches.items():
                    bench.pool.reshare(held[name])
                one.pool.reshare(held["one"])  # words that come twice
            ledgers = [ledger for bench in benches.values() for ledger in (await bench.finish()).ledgers]
            assert sum(ledger.planned for ledger in ledgers) == 800
            arrived = seen(target, "o")
            assert set(arrived.values()) == {1}
            assert len(arrived) == sum(ledger.started for ledger in ledgers) > 400

    asyncio.run(main())


def test_a_worker_that_dies_before_the_start_leaves_its_share_to_the_others(target: TargetProcess) -> None:
    plan = open_plan(target, duration="1s")

    async def main() -> None:
        async with pool_bench(2) as bench:
            assert not (await bench.prepare(plan)).fault
            assert not (await bench.arm()).fault
            os.kill(bench.pool.pids[0], signal.SIGKILL)
            lost = await bench.event(PoolWorkerLost)
            assert [ledger.planned for ledger in (*lost.ledgers, *lost.unreported)] == [0, 0]
            bench.pool.set_lease(boottime_ns() + 60 * NS_PER_S)
            bench.pool.start(boottime_ns() + 100 * NS_PER_MS)
            (ledger,) = (await bench.finish()).ledgers
            assert ledger.planned == 200

    asyncio.run(main())


def test_words_that_come_late_move_load_from_now_on_and_repeat_nothing(target: TargetProcess) -> None:
    plan = open_plan(target, duration="2s")
    (everything,) = whole(plan)
    halves = split(everything, plan.scenarios["o"], [0, 1], plan.seed)

    async def main() -> None:
        async with pool_bench(2) as bench:
            start_ns = await bench.begin(plan)
            await until_run(start_ns, 0.5)
            os.kill(bench.pool.pids[1], signal.SIGSTOP)  # it does not see what the other one starts
            await until_run(start_ns, 0.65)
            bench.pool.reshare([halves[0]])  # "from the start on": the half of what the other one has
            os.kill(bench.pool.pids[1], signal.SIGCONT)
            (ledger,) = (await bench.finish()).ledgers
            arrived = seen(target, "o")
            assert set(arrived.values()) == {1}
            assert len(arrived) == ledger.started > 100

    asyncio.run(main())
