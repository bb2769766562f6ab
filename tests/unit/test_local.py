"""Runs on this machine, with real workers and a real target."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from loadr.errors import ExitCode, FleetFault
from loadr.local import LocalRun
from loadr.plan.loader import load_plan
from loadr.testing.process import TargetProcess
from loadr.verdict.model import LiveView, Summary
from support.plans import write_steady
from support.workers import until


@pytest.mark.parametrize("agents", [0, 2])
def test_a_run_is_exact_and_watched(tmp_path: Path, agents: int) -> None:
    views: list[LiveView] = []
    with TargetProcess() as target:
        loaded = load_plan(write_steady(tmp_path, target.url, rate=50, seconds=2))
        summary = asyncio.run(LocalRun(loaded, agents=agents, workers=1, on_view=views.append).run())
        assert target.counters()["total"] == summary.accounting.requests_merged == 100
    assert summary.exit_code == ExitCode.PASSED
    assert [agent.name for agent in summary.agents] == [f"agent-{n + 1}" for n in range(agents)] or ["local"]
    assert {"running", "complete"} & {view.state for view in views}


def test_stopped_once_it_ends_early_and_is_still_exact(tmp_path: Path) -> None:
    async def go(target: TargetProcess) -> Summary:
        loaded = load_plan(write_steady(tmp_path, target.url, rate=50, seconds=60))
        views: list[LiveView] = []
        run = LocalRun(loaded, workers=1, on_view=views.append)
        going = asyncio.create_task(run.run())
        await until(lambda: bool(views) and views[-1].requests > 0, "load is seen", 20)
        run.stop()
        async with asyncio.timeout(20):
            return await going

    with TargetProcess() as target:
        summary = asyncio.run(go(target))
        assert target.counters()["total"] == summary.accounting.requests_merged
    assert summary.exit_code == ExitCode.INTERRUPTED
    assert summary.accounting.balanced


def test_stopped_before_it_begins_no_request_is_made(tmp_path: Path) -> None:
    with TargetProcess() as target:
        run = LocalRun(load_plan(write_steady(tmp_path, target.url, rate=50, seconds=60)), workers=1)
        run.stop()
        summary = asyncio.run(run.run())
        assert target.counters()["total"] == 0
    assert summary.exit_code == ExitCode.INTERRUPTED


def test_a_fleet_that_dies_ends_the_run_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadr.local.JOIN_LIMIT_S", 0.5)
    monkeypatch.setattr("loadr.local.sys.executable", "/bin/false")
    run = LocalRun(load_plan(write_steady(tmp_path, "http://127.0.0.1:9", rate=1, seconds=60)), agents=2)
    with pytest.raises(FleetFault, match="left before the run was over"):
        asyncio.run(run.run())
