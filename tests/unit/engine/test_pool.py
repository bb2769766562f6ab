"""Real worker processes against the real demo target."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadr.clock import boottime_ns
from loadr.engine import pool as pool_module
from loadr.engine.channel import FrameReader, PrepareOrder, encode_frame, order_decoder
from loadr.engine.faults import Fault
from loadr.engine.pool import WorkerPool
from loadr.engine.pool_events import (
    PoolEvent,
    PoolFinished,
    PoolHealth,
    PoolInterval,
    PoolNotice,
    PoolPrepared,
    PoolWorkerLost,
)
from loadr.errors import FleetFault
from loadr.plan.model import Plan
from loadr.schedule.ownership import share_out, slot_count
from loadr.schedule.share import ScenarioShare
from loadr.testing.process import TargetProcess
from loadr.units import NS_PER_MS, NS_PER_S
from support.workers import PoolBench, get, plan_for, pool_bench, until

pytestmark = pytest.mark.slow

OPEN = {"executor": "constant-arrival-rate", "rate": 200, "duration": "1s", "max_vus": 50, "arrivals": "poisson"}
CLOSED = {"executor": "constant-vus", "vus": 4, "duration": "1s"}
SCRIPT = """
import asyncio
from loadr import check, data, scenario

users = data.csv("users.csv", mode="unique")

@scenario
async def buy(vu):
    user = users.next(vu)
    page = await vu.http.get("/items?page=1", name="items")
    check(page, "items", len(page.json()["items"]) > 0)
    await vu.think(0.001, 0.002)
    await vu.http.post("/cart", json={"user": user["name"], "k": vu.iteration}, name="cart")
"""


@pytest.fixture(scope="module")
def shared_target() -> Iterator[TargetProcess]:
    with TargetProcess() as target:
        yield target


@pytest.fixture
def target(shared_target: TargetProcess) -> TargetProcess:
    """The target, counting from zero."""
    shared_target.reset()
    return shared_target


def mixed_plan(target: TargetProcess, folder: Path) -> Plan:
    (folder / "buy.py").write_text(SCRIPT)
    (folder / "users.csv").write_text("name\n" + "".join(f"user-{i}\n" for i in range(1_000)))
    extract = {"item": {"jsonpath": "$.items[0].id"}}
    flow = [
        get("/items?page=${random.randint(1, 20)}", name="items", extract=extract, check={"status": 200}),
        {"request": {"method": "POST", "url": "/cart", "name": "cart", "json": {"item": "${item}"}}},
        {"think": {"low_ns": "1ms", "high_ns": "3ms"}},
    ]
    scenarios = {
        "browse": {**OPEN, "flow": flow},
        "look": {**CLOSED, "flow": flow[:1]},
        "buy": {**OPEN, "rate": 50, "script": "buy.py", "uses": ["users"]},
    }
    data = {"users": {"file": "users.csv", "mode": "unique", "rows": 1_000, "columns": ["name"]}}
    return plan_for(target.url, scenarios, data=data, seed=11)


def test_two_workers_do_a_mixed_plan_and_every_count_agrees(target: TargetProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with pool_bench(2) as bench:
            finished = await bench.run(mixed_plan(target, tmp_path), tmp_path)
            assert finished.cause == ""
            assert bench.account(target, finished.ledgers) > 500
            ledgers = {ledger.scenario: ledger for ledger in finished.ledgers}
            assert ledgers.keys() == {"browse", "look", "buy"}
            for name, ledger in ledgers.items():
                assert bench.counter("iterations", scenario=name) == ledger.finished
                assert bench.counter("dropped_iterations", scenario=name) == ledger.dropped
            durations = bench.trend("http_req_duration")
            assert durations.count == bench.counter("http_reqs")
            assert bench.rate("checks", check="status") == (
                ledgers["browse"].finished + ledgers["look"].finished,
                0,
            )
            assert bench.rate("checks", check="items") == (ledgers["buy"].finished, 0)
            assert bench.trend("iteration_lag").count == ledgers["browse"].finished + ledgers["buy"].finished
            assert not [event for event in bench.events if isinstance(event, PoolNotice | PoolWorkerLost)]

    asyncio.run(main())


def test_the_same_plan_makes_the_same_requests_on_one_worker_and_on_three(target: TargetProcess) -> None:
    flow = [get("/items?page=${random.randint(1, 1000)}&k=${iteration}", name="items")]
    plan = plan_for(target.url, {"browse": {**OPEN, "rate": 100, "flow": flow}}, seed=5)

    async def paths(workers: int) -> dict[str, int]:
        target.reset()
        async with pool_bench(workers) as bench:
            finished = await bench.run(plan)
            assert sum(ledger.dropped for ledger in finished.ledgers) == 0
        by_path = target.counters()["by_path"]
        assert isinstance(by_path, dict)
        return by_path

    assert asyncio.run(paths(1)) == asyncio.run(paths(3))


def test_a_worker_that_is_killed_is_reported_at_once_and_the_others_go_on(target: TargetProcess) -> None:
    plan = plan_for(target.url, {"look": {**CLOSED, "vus": 8, "duration": "2s", "flow": [get("/json")]}})

    async def main() -> None:
        async with pool_bench(2) as bench:
            await bench.begin(plan)
            await until(lambda: min(bench.finished_by_worker()) > 20, "requests")
            victim = bench.pool.pids[0]
            os.kill(victim, signal.SIGKILL)
            killed_ns = boottime_ns()
            lost = await bench.event(PoolWorkerLost)
            assert boottime_ns() - killed_ns < NS_PER_S
            assert (lost.worker, lost.pid, lost.how) == (0, victim, "was killed by SIGKILL")
            (truth,), (missing,) = lost.ledgers, lost.unreported
            assert truth.started == truth.finished + truth.lost > 0
            assert 0 <= missing.finished <= truth.finished
            finished = await bench.finish()
            assert finished.cause == ""
            started, _ = bench.page_requests()
            (ledger,) = finished.ledgers
            assert ledger.requests == started
            assert ledger.lost == truth.lost == missing.lost
            assert bench.counter("http_reqs") + missing.requests == ledger.requests
            assert bench.counter("iterations") + missing.finished == ledger.finished
            assert started - truth.lost <= target.counters()["total"] <= started

    asyncio.run(main())


def test_a_pool_without_workers_left_says_so(target: TargetProcess) -> None:
    plan = plan_for(target.url, {"look": {**CLOSED, "duration": "1m", "flow": [get("/json")]}})

    async def main() -> None:
        async with pool_bench(1) as bench:
            await bench.begin(plan)
            os.kill(bench.pool.pids[0], signal.SIGKILL)
            finished = await bench.finish()
            assert finished.cause == "workers lost"
            assert finished.ledgers == (await bench.event(PoolWorkerLost)).ledgers
            await bench.pool.renew()  # the next run finds a worker
            bench.events.clear()
            assert (await bench.prepare(plan)).fault == Fault.NONE

    asyncio.run(main())


def test_the_end_of_the_lease_ends_the_load_at_the_target(target: TargetProcess) -> None:
    scenarios = {
        "look": {**CLOSED, "duration": "1m", "flow": [get("/json")]},
        "browse": {**OPEN, "duration": "1m", "flow": [get("/json?delay=50ms")]},
    }

    async def main() -> None:
        async with pool_bench(2) as bench:
            await bench.begin(plan_for(target.url, scenarios))
            await until(lambda: bench.page_requests()[1] > 100, "requests")
            bench.pool.set_lease(end_ns := boottime_ns() + 100 * NS_PER_MS)
            finished = await bench.finish()
            assert finished.cause == "orphaned"
            assert sum(ledger.interrupted for ledger in finished.ledgers) > 0
            bench.account(target, finished.ledgers)
            last_second = max(int(second) for second in target.counters()["per_second"])
            assert last_second * NS_PER_S <= end_ns

    asyncio.run(main())


def test_a_stop_is_obeyed_in_every_state(target: TargetProcess) -> None:
    plan = plan_for(target.url, {"look": {**CLOSED, "duration": "1m", "flow": [get("/json")]}})

    async def stopped_when(state: str) -> PoolFinished:
        async with pool_bench(1) as bench:
            await bench.prepare(plan)
            if state != "prepared":
                await bench.arm()
            if state in ("committed", "running"):
                bench.pool.set_lease(boottime_ns() + 60 * NS_PER_S)
                bench.pool.start(boottime_ns() + (60 * NS_PER_S if state == "committed" else 0))
            if state == "running":
                await until(lambda: bench.page_requests()[1] > 10, "requests")
            bench.pool.stop(graceful=True, cause="test")
            return await bench.finish()

    for state in ("prepared", "armed", "committed", "running"):
        finished = asyncio.run(stopped_when(state))
        assert finished.cause == "test", state
        assert (sum(ledger.started for ledger in finished.ledgers) > 0) == (state == "running")


def test_a_kill_ends_the_processes_and_the_run(target: TargetProcess) -> None:
    plan = plan_for(target.url, {"look": {**CLOSED, "duration": "1m", "flow": [get("/json")]}})

    async def main() -> None:
        async with pool_bench(2) as bench:
            await bench.begin(plan)
            pids = bench.pool.pids
            bench.pool.kill()
            finished = await bench.finish()
            assert finished.cause == "killed"
            (ledger,) = finished.ledgers
            assert bench.counter("http_reqs") <= target.counters()["total"] <= ledger.requests
            await bench.pool.close()
            assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
            assert not [event for event in bench.events if isinstance(event, PoolWorkerLost)]

    asyncio.run(main())


def test_a_script_that_blocks_hurts_only_its_own_worker(target: TargetProcess, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import time\nfrom loadr import scenario\n\n@scenario\nasync def slow(vu):\n"
        "    await vu.http.get('/json')\n    time.sleep(0.4)\n"
    )
    plan = plan_for(target.url, {"slow": {**CLOSED, "vus": 2, "script": "slow.py"}})

    async def main() -> None:
        async with pool_bench(1) as bench:
            await bench.begin(plan, tmp_path)
            worst_s, before = 0.0, asyncio.get_running_loop().time()
            workers_lag_ns = 0
            while not any(isinstance(event, PoolFinished) for event in bench.events):
                await asyncio.sleep(0.01)
                now = asyncio.get_running_loop().time()
                worst_s, before = max(worst_s, now - before), now
                workers_lag_ns = max(workers_lag_ns, bench.pool.take_health().loop_lag_ns)
            finished = await bench.finish()
            assert worst_s < 0.3
            bench.account(target, finished.ledgers)
            assert workers_lag_ns > 200 * NS_PER_MS

    asyncio.run(main())


def test_exceptions_of_a_script_are_counted_and_the_first_is_told(target: TargetProcess, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "from loadr import scenario\n\n@scenario\nasync def broken(vu):\n"
        "    await vu.http.get('/json')\n    1 / 0\n"
    )
    plan = plan_for(target.url, {"broken": {**OPEN, "script": "broken.py"}})

    async def main() -> None:
        async with pool_bench(1) as bench:
            (ledger,) = (await bench.run(plan, tmp_path)).ledgers
            notices = [event for event in bench.events if isinstance(event, PoolNotice)]
            assert notices == [PoolNotice("script_exception", "broken.py:6: ZeroDivisionError: division by zero")]
            assert bench.counter("http_req_errors", error="script_exception") == ledger.finished > 50

    asyncio.run(main())


def test_a_script_that_can_not_be_loaded_is_a_fault_in_words(tmp_path: Path) -> None:
    scripts = {
        "def x(:\n": "SyntaxError",
        "import nowhere_to_be_found\n": "buy.py:1: ModuleNotFoundError",
        "x = 1\n": "declares no scenario",
        "raise SystemExit(3)\n": "SystemExit",
    }
    plan = plan_for("http://127.0.0.1:1", {"buy": {**CLOSED, "script": "buy.py"}})

    async def main() -> None:
        async with pool_bench(1) as bench:
            for script, words in scripts.items():
                (tmp_path / "buy.py").write_text(script)
                bench.events.clear()
                prepared = await bench.prepare(plan, tmp_path)
                assert prepared.fault == Fault.SCRIPT
                assert words in prepared.detail

    asyncio.run(main())


def test_a_plan_or_a_file_that_can_not_be_read_is_a_fault_in_words(tmp_path: Path) -> None:
    body = {**OPEN, "flow": [get("/${users.name}")], "uses": ["users"]}
    data = {"users": {"file": "users.csv", "rows": 1, "columns": ["name"]}}
    plan = plan_for("http://127.0.0.1:1", {"browse": body}, data=data)

    async def main() -> None:
        async with pool_bench(1) as bench:
            prepared = await bench.prepare(plan, tmp_path)
            assert prepared.fault == Fault.FILES
            assert "users.csv" in prepared.detail
            bench.events.clear()
            bench.pool.prepare("run", b'{"scenarios": 3}', str(tmp_path))
            assert (await bench.event(PoolPrepared)).fault == Fault.PLAN

    asyncio.run(main())


def test_a_worker_that_does_not_answer_in_time_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "PREPARE_LIMIT_S", 0.3)
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(60)\n")
    plan = plan_for("http://127.0.0.1:1", {"slow": {**CLOSED, "script": "slow.py"}})

    async def main() -> PoolPrepared:
        async with pool_bench(1) as bench:
            return await bench.prepare(plan, tmp_path)

    prepared = asyncio.run(main())
    assert prepared.fault == Fault.TIMEOUT
    assert "worker 0" in prepared.detail


def test_a_worker_that_dies_while_it_loads_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "dies.py").write_text("import os\nos._exit(3)\n")
    plan = plan_for("http://127.0.0.1:1", {"dies": {**CLOSED, "script": "dies.py"}})

    async def main() -> tuple[PoolPrepared, PoolBench]:
        async with pool_bench(2) as bench:
            return await bench.prepare(plan, tmp_path), bench

    prepared, bench = asyncio.run(main())
    assert prepared.fault == Fault.WORKER
    assert "left with exit code 3" in prepared.detail
    assert {event.worker for event in bench.events if isinstance(event, PoolWorkerLost)} <= {0, 1}


def test_a_worker_that_is_frozen_while_its_agent_is_not_is_killed(
    target: TargetProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "WATCH_EVERY_S", 0.05)
    plan = plan_for(target.url, {"look": {**CLOSED, "duration": "1m", "flow": [get("/json")]}})

    async def main() -> PoolWorkerLost:
        async with pool_bench(1) as bench:
            await bench.begin(plan)
            os.kill(bench.pool.pids[0], signal.SIGSTOP)
            return await bench.event(PoolWorkerLost)

    assert asyncio.run(main()).how == "was killed by SIGKILL (it was frozen)"


def test_a_worker_that_does_not_end_in_time_is_killed(
    target: TargetProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "END_GRACE_S", 0.3)
    (tmp_path / "hangs.py").write_text(
        "import time\nfrom loadr import scenario\n\n@scenario\nasync def hangs(vu):\n    time.sleep(60)\n"
    )
    plan = plan_for(target.url, {"hangs": {**CLOSED, "script": "hangs.py"}})

    async def main() -> PoolWorkerLost:
        async with pool_bench(1) as bench:
            await bench.begin(plan, tmp_path)
            bench.pool.stop(graceful=False, cause="test")
            return await bench.event(PoolWorkerLost)

    assert "did not end in time" in asyncio.run(main()).how


def test_shares_move_to_a_pool_in_a_run(target: TargetProcess) -> None:
    plan = plan_for(target.url, {"browse": {**OPEN, "arrivals": "uniform", "flow": [get("/json")]}})

    async def main() -> None:
        async with pool_bench(2) as bench:
            mine, _ = (share_out(plan, {"a": 1.0, "b": 1.0}, slot_count(2))[name] for name in ("a", "b"))
            whole = share_out(plan, {"a": 1.0}, slot_count(2))["a"]
            await bench.prepare(plan)
            bench.pool.arm(mine, plan)
            start_ns = boottime_ns() + 200 * NS_PER_MS
            bench.pool.set_lease(start_ns + 60 * NS_PER_S)
            bench.pool.start(start_ns)
            await until(lambda: bench.page_requests()[1] > 5, "requests")
            half_s = NS_PER_S // 2
            bench.pool.reshare([ScenarioShare(s.scenario, half_s, s.slots, s.vu_slots) for s in whole])
            (ledger,) = (await bench.finish()).ledgers
            # 99 marks before 0.5 s, about half of them ours; 101 from then on, all ours.
            assert 101 + 40 <= ledger.planned <= 101 + 60
            bench.account(target, (ledger,))

    asyncio.run(main())


def test_health_is_that_of_the_workers_last_second(target: TargetProcess) -> None:
    plan = plan_for(target.url, {"browse": {**OPEN, "duration": "1200ms", "flow": [get("/json?delay=200ms")]}})

    async def main() -> None:
        async with pool_bench(2) as bench:
            assert bench.pool.take_health() == PoolHealth()
            await bench.begin(plan)
            await bench.event(PoolInterval)
            health = bench.pool.take_health()
            assert 0 < health.cpu_percent <= 100
            assert health.rss_bytes > 10_000_000
            assert health.lag_p99_ns > 0
            assert health.vus > 0
            await bench.finish()

    asyncio.run(main())


def test_a_pool_that_can_not_come_up_raises_in_words_and_leaves_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadr.engine.headstart.sys.executable", "/bin/false")
    events: list[PoolEvent] = []

    async def main() -> None:
        with pytest.raises(FleetFault, match="left with exit code 1 while it came up"):
            await WorkerPool(2, events.append).spawn()

    asyncio.run(main())
    assert events == []


def test_a_pool_needs_a_worker() -> None:
    with pytest.raises(ValueError, match="at least one"):
        WorkerPool(0, lambda event: None)


def test_fresh_workers_serve_the_next_run(target: TargetProcess) -> None:
    plan = plan_for(target.url, {"look": {**CLOSED, "duration": "200ms", "flow": [get("/json")]}})

    async def main() -> None:
        async with pool_bench(1) as bench:
            first = await bench.run(plan)
            pids = bench.pool.pids
            await bench.pool.renew()
            assert bench.pool.pids != pids
            bench.events.clear()
            second = await bench.run(plan)
            requests = sum(ledger.requests for ledger in (*first.ledgers, *second.ledgers))
            assert target.counters()["total"] == requests == bench.counter("http_reqs")

    asyncio.run(main())


def test_rows_of_a_script_are_each_used_once(target: TargetProcess, tmp_path: Path) -> None:
    (tmp_path / "buy.py").write_text(
        "from loadr import data, scenario\nusers = data.csv('users.csv', mode='unique')\n\n@scenario\n"
        "async def buy(vu):\n    user = users.next(vu)\n    assert users.next(vu) is not None\n"
        "    await vu.http.get('/u/' + user['name'], name='u')\n"
    )
    (tmp_path / "users.csv").write_text("name\n" + "".join(f"{i}\n" for i in range(60)))
    data = {"users": {"file": "users.csv", "mode": "unique", "rows": 60, "columns": ["name"]}}
    plan = plan_for(target.url, {"buy": {**OPEN, "script": "buy.py", "uses": ["users"]}}, data=data)

    async def main() -> None:
        async with pool_bench(2) as bench:
            (ledger,) = (await bench.run(plan, tmp_path)).ledgers
            assert ledger.planned == ledger.started == 60
        used = json.loads(json.dumps(target.counters()["by_path"]))
        assert sorted(used) == sorted(f"GET /u/{i}" for i in range(60))
        assert set(used.values()) == {1}

    asyncio.run(main())


def test_an_order_with_secrets_does_not_show_them() -> None:
    order = PrepareOrder("run", b"{}", "/", 0, {"KEY": "hunter2"})
    assert "hunter2" not in repr(order) and "run" in repr(order)
    (read,) = FrameReader(order_decoder).feed(encode_frame(order))
    assert read == order
