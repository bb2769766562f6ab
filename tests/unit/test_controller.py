"""The controller's shell, with agents on in-memory links whose engine is a model."""

from __future__ import annotations

import asyncio

import pytest

import loadr.controller
from loadr.controller import Controller
from loadr.errors import FleetFault
from loadr.plan.model import Plan
from loadr.transport.filestore import FileStore
from support.shells import PER_SECOND, REQUESTS, Lines, model_plan, shells
from support.workers import until


def submit(controller: Controller, plan: Plan, expect: int = 1) -> str:
    return controller.submit(plan, FileStore(plan, {}), expect_agents=expect)


def test_a_run_of_two_agents_is_one_result() -> None:
    async def go() -> None:
        async with shells("a1", "a2") as (controller, _, lines):
            run_id = submit(controller, model_plan("2s"), expect=2)
            summary = await controller.wait(run_id)
            assert summary.accounting.requests_merged == summary.accounting.requests_ledger == 4 * PER_SECOND
            assert [agent.requests for agent in summary.agents] == [2 * PER_SECOND] * 2
            assert controller.summary(run_id) is summary
            metrics, view = controller.metrics(run_id), controller.view(run_id)
            assert metrics is not None and metrics.totals[REQUESTS].total == 4 * PER_SECOND  # type: ignore[union-attr]
            assert view is not None and view.state == "complete"
            assert "agent a1 joined from" in lines.text and f"run {run_id}: running" in lines.text

    asyncio.run(go())


def test_without_an_agent_a_run_that_takes_who_is_there_is_refused_with_the_next_step() -> None:
    async def go() -> None:
        async with shells() as (controller, _, _):
            with pytest.raises(FleetFault, match="no agent has joined") as fault:
                submit(controller, model_plan(), expect=0)
            assert "loadr agent --join" in fault.value.hint
            assert controller.run_ids == ()

    asyncio.run(go())


def test_one_run_at_a_time_and_a_stop_makes_room() -> None:
    async def go() -> None:
        async with shells("a1") as (controller, _, _):
            first = submit(controller, model_plan("60s"))
            with pytest.raises(FleetFault, match=first) as fault:
                submit(controller, model_plan())
            assert fault.value.hint == "wait until it ends, or stop it"
            assert controller.run_ids == (first,)
            await until(lambda: _state(controller, first) == "running", "load begins")
            controller.stop(first, graceful=True)
            summary = await controller.wait(first)
            assert (summary.verdict, summary.cause) == ("interrupted", "stopped by the operator")
            assert (await controller.wait(submit(controller, model_plan()))).verdict == "passed"

    asyncio.run(go())


def test_a_threshold_of_merged_data_stops_the_fleet() -> None:
    async def go() -> None:
        async with shells("a1", "a2") as (controller, _, _):
            rule = {"threshold": f"count<{2 * PER_SECOND}", "abort_on_fail": True}
            plan = model_plan("60s", thresholds={"http_reqs": [rule]})
            summary = await controller.wait(submit(controller, plan, expect=2))
            assert summary.exit_code == 99
            assert summary.accounting.requests_merged == summary.accounting.requests_ledger
            assert summary.duration_s < 30

    asyncio.run(go())


def test_what_is_not_known_is_none_and_stopping_it_does_nothing() -> None:
    async def go() -> None:
        async with shells() as (controller, _, _):
            controller.stop("nobody", graceful=False)
            assert (
                controller.view("nobody") is controller.summary("nobody") is controller.metrics("nobody") is None
            )

    asyncio.run(go())


def test_old_runs_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loadr.controller, "KEEP_RUNS", 1)

    async def go() -> None:
        async with shells("a1") as (controller, _, _):
            ids = []
            for _ in range(3):
                ids.append(submit(controller, model_plan("60s")))
                controller.stop(ids[-1], graceful=False)
                await controller.wait(ids[-1])
            assert controller.run_ids == tuple(ids[1:]), "the one that ended last, and the one just submitted"

    asyncio.run(go())


def test_what_was_merged_of_a_run_goes_when_another_begins_and_its_summary_and_view_stay() -> None:
    async def go() -> None:
        async with shells("a1") as (controller, _, _):
            first = submit(controller, model_plan("1s"))
            summary = await controller.wait(first)
            view = controller.view(first)
            assert controller.metrics(first) is not None
            second = submit(controller, model_plan("1s"))
            assert controller.metrics(first) is None and controller.metrics(second) is not None
            assert controller.summary(first) is summary
            assert view is not None and view.requests == PER_SECOND
            assert controller.view(first) == view
            assert (await controller.wait(second)).accounting.requests_merged == PER_SECOND

    asyncio.run(go())


def test_an_agent_that_leaves_is_told_of_and_its_share_goes_to_the_others() -> None:
    async def go() -> None:
        async with shells("a1", "a2") as (controller, agents, _):
            run_id = submit(controller, model_plan("3s"), expect=2)
            await until(lambda: _state(controller, run_id) == "running", "load begins")
            agents[0].drain("an upgrade")
            summary = await controller.wait(run_id)
            assert (summary.exit_code, summary.verdict) == (0, "passed")
            assert "agent a1 was asked to leave; its share goes to others" in summary.events


def test_when_the_only_agent_leaves_the_run_is_incomplete() -> None:
    async def go() -> None:
        async with shells("a1") as (controller, agents, _):
            run_id = submit(controller, model_plan("60s"), expect=1)
            await until(lambda: _state(controller, run_id) == "running", "load begins")
            agents[0].drain("an upgrade")
            summary = await controller.wait(run_id)
            assert summary.exit_code == 121 and "the last agent was asked to leave" in summary.cause
            assert any("agent a1 was asked to leave" in note for note in summary.notes)

    asyncio.run(go())


def test_closing_it_ends_what_serves_links() -> None:
    async def go() -> None:
        before = asyncio.all_tasks()
        async with shells("a1") as (controller, _, lines):
            await until(lambda: "joined" in lines.text, "the agent joins")
        assert isinstance(lines, Lines)
        await until(lambda: asyncio.all_tasks() == before, "all tasks end")
        assert controller.run_ids == ()

    asyncio.run(go())


def _state(controller: Controller, run_id: str) -> str:
    view = controller.view(run_id)
    return view.state if view else ""
