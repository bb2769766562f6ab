"""From a plan and its files to executors."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from loadr.clock import boottime_ns
from loadr.engine.client import HttpWorker
from loadr.engine.closed import ClosedExecutor
from loadr.engine.loading import Surroundings, load
from loadr.engine.open import OpenExecutor
from loadr.engine.page import new_words
from loadr.engine.recorder import Recorder
from loadr.engine.run import Executor
from loadr.errors import ScriptFault
from loadr.plan.model import Plan
from loadr.schedule.ownership import share_out, slot_count
from support.flows import NotedHttp, Sent, new_vu

BASE = "http://shop.test"
OPEN = {"executor": "constant-arrival-rate", "rate": 10, "duration": "1s", "max_vus": 4, "pre_allocated_vus": 2}
CLOSED = {"executor": "constant-vus", "vus": 3, "duration": "1s"}
FLOW = [{"request": {"method": "GET", "url": "/items"}}]
SCRIPT = """
from loadr import data, scenario

imported = [0]
users = data.csv("users.csv", mode="unique")

@scenario
async def one(vu):
    imported[0] += 1
    await vu.http.send(f"one {users.next(vu)['name']} {imported[0]}")

@scenario(name="second")
async def other(vu):
    imported[0] += 1
    await vu.http.send(f"other {users.next(vu).name} {imported[0]}")
"""


def plan_of(scenarios: Mapping[str, Mapping[str, Any]], **more: Any) -> Plan:
    return Plan.model_validate({"defaults": {"http": {"base_url": BASE}}, "scenarios": scenarios, **more})


async def load_here(plan: Plan, folder: Path, told: list[str] | None = None) -> dict[str, Executor]:
    loop = asyncio.get_running_loop()
    words = new_words()
    recorder = Recorder(list(plan.scenarios))
    http = HttpWorker(loop, recorder, words, boottime_ns)
    try:
        return load(plan, folder, Surroundings(loop, words, http, recorder, (told or []).append))
    finally:
        await http.close()


class NotedTexts:
    """A `vu.http` that takes texts."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.first_intended_ns = 0

    async def send(self, text: str) -> None:
        self.sent.append(text)


def test_each_scenario_gets_the_executor_of_its_kind(tmp_path: Path) -> None:
    executors = asyncio.run(
        load_here(plan_of({"a": {**OPEN, "flow": FLOW}, "b": {**CLOSED, "flow": FLOW}}), tmp_path)
    )
    assert isinstance(executors["a"], OpenExecutor)
    assert isinstance(executors["b"], ClosedExecutor)
    assert list(executors) == ["a", "b"]


def test_a_flow_is_compiled_and_carried_by_vus_of_the_plan(tmp_path: Path) -> None:
    async def main() -> list[Sent]:
        plan = plan_of({"a": {**OPEN, "flow": FLOW}})
        executor = (await load_here(plan, tmp_path))["a"]
        http = NotedHttp()
        vu = new_vu(http, executor.iterations.recorder)
        assert await executor.iterations.carry(vu, 0, 1)
        return http.sent

    (sent,) = asyncio.run(main())
    assert (sent.line, sent.target.base) == ("GET /items HTTP/1.1", BASE)


def test_vus_are_built_when_shares_are_taken(tmp_path: Path) -> None:
    async def main() -> None:
        plan = plan_of({"a": {**OPEN, "flow": FLOW}, "b": {**CLOSED, "flow": FLOW}})
        executors = await load_here(plan, tmp_path)
        for share in share_out(plan, {"agent": 1.0}, slot_count(1))["agent"]:
            executors[share.scenario].arm([share])
        assert (executors["a"].vus, executors["b"].vus) == (2, 3)
        for executor in executors.values():
            executor.iterations.halt()
        await asyncio.sleep(0)

    asyncio.run(main())


def test_functions_of_one_script_share_one_module_and_each_has_its_rows(tmp_path: Path) -> None:
    (tmp_path / "buy.py").write_text(SCRIPT)
    (tmp_path / "users.csv").write_text("name\nann\nbob\ncid\ndan\n")
    body = {**OPEN, "script": "buy.py", "uses": ["users"]}
    data = {"users": {"file": "users.csv", "mode": "unique", "rows": 4, "columns": ["name"]}}
    plan = plan_of({"x": {**body, "function": "one"}, "y": {**body, "function": "second"}}, data=data)

    async def main() -> list[str]:
        executors = await load_here(plan, tmp_path)
        http = NotedTexts()
        for executor in executors.values():

            def vu_of(executor: Executor, number: int) -> Any:
                assert isinstance(executor, OpenExecutor)
                vu = executor._make_vu(number)
                vu.http = http  # type: ignore[assignment]
                vu.iteration = 1
                return vu

            assert await executor.iterations.carry(vu_of(executor, 0), 0, 1)
        return http.sent

    # Iteration 1 of the first and of the second of two users of the data: rows 2 and 3.
    assert asyncio.run(main()) == ["one cid 1", "other dan 2"]


def test_a_function_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "buy.py").write_text(SCRIPT)
    plan = plan_of({"x": {**CLOSED, "script": "buy.py", "function": "third"}})
    with pytest.raises(ScriptFault, match="no scenario function 'third'"):
        asyncio.run(load_here(plan, tmp_path))


def test_an_address_without_a_host_is_told(tmp_path: Path) -> None:
    plan = Plan.model_validate({"scenarios": {"x": {**CLOSED, "flow": FLOW}}})
    with pytest.raises(ValueError, match="base_url"):
        asyncio.run(load_here(plan, tmp_path))


def test_rows_that_end_limit_the_schedule(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("name\nann\nbob\n")
    data = {"users": {"file": "users.csv", "mode": "unique", "rows": 2, "columns": ["name"]}}
    step = {"request": {"method": "GET", "url": "/${users.name}"}}
    plan = plan_of({"x": {**OPEN, "flow": [step], "uses": ["users"]}}, data=data)

    async def main() -> int:
        executor = (await load_here(plan, tmp_path))["x"]
        executor.start(0, 0)
        return executor.end_ns

    assert asyncio.run(main()) == 200_000_000
