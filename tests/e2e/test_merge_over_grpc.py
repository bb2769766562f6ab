"""Whatever the split over agents: merged histograms are bit-equal to one recorder fed with all samples."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from loadr.agent import Agent, AgentSetup
from loadr.controller import Controller
from loadr.metrics.delta import CounterDelta, TrendDelta
from loadr.metrics.histogram import Histogram
from loadr.metrics.series import Kind, SeriesKey, series
from loadr.plan.loader import load_plan
from loadr.testing.engine import ModelPool
from loadr.transport.filestore import FileStore
from loadr.transport.grpc_client import GrpcDialer
from loadr.transport.grpc_server import GrpcServer
from support.plans import write_steady

REQUESTS = series("http_reqs", Kind.COUNTER, scenario="steady", name="steady")
DURATION = series("http_req_duration", Kind.TREND, scenario="steady", name="steady", status="200")
BLOCKED = series("http_req_blocked", Kind.TREND, scenario="steady")
SECONDS = 3

Recorded = dict[SeriesKey, list[npt.NDArray[np.int64]]]


def _samples(agent: int, recorded: Recorded, second: int) -> dict[SeriesKey, npt.NDArray[np.int64]]:
    """What one agent measured in one second: heavy tails, zeros, different on each agent."""
    draws = np.random.default_rng([agent, second])
    count = 400 * (agent + 1)
    out = {
        DURATION: (draws.lognormal(16, 1.5, count) * (1 + agent)).astype(np.int64),
        BLOCKED: np.where(draws.random(count) < 0.9, 0, draws.integers(0, 10**10, count)),
        REQUESTS: np.array([count], np.int64),
    }
    for key, values in out.items():
        recorded.setdefault(key, []).append(values)
    return out


@pytest.mark.parametrize("agents", [1, 3])
def test_merged_histograms_equal_one_recorders(tmp_path: Path, agents: int) -> None:
    recorded: Recorded = {}

    async def fleet() -> Controller:
        loaded = load_plan(write_steady(tmp_path, "http://127.0.0.1:9", rate=10, seconds=SECONDS))
        controller = Controller(lambda level, text: None)
        controller.open()
        server = GrpcServer("127.0.0.1:0", tls=None, insecure=False, on_link=controller.accept)
        host, port = await server.start()
        shells = [
            Agent(
                AgentSetup(f"agent-{number}", 1),
                GrpcDialer(f"{host}:{port}", tls=None, insecure=False),
                lambda level, text: None,
                partial(ModelPool, samples=partial(_samples, number, recorded)),
            )
            for number in range(agents)
        ]
        serving = [asyncio.create_task(shell.run()) for shell in shells]
        try:
            files = FileStore.of_folder(loaded.plan, loaded.files)
            run_id = controller.submit(loaded.plan, files, expect_agents=agents)
            async with asyncio.timeout(40):
                summary = await controller.wait(run_id)
            assert summary.verdict == "passed", summary.headline
            metrics = controller.metrics(run_id)
            assert metrics is not None
            for key, parts in recorded.items():
                total = metrics.totals[key]
                every = np.concatenate(parts)
                if isinstance(total, TrendDelta):
                    assert total.histogram == Histogram.of(every), f"{key} differs from one recorder's"
                else:
                    assert isinstance(total, CounterDelta)
                    assert total.total == int(every.sum())
            assert len(recorded[REQUESTS]) == agents * SECONDS
            assert summary.accounting.requests_merged == sum(int(part.sum()) for part in recorded[REQUESTS])
        finally:
            for shell in shells:
                shell.drain("the test is over")
            await asyncio.wait(serving, timeout=20)
            await controller.close()
            await server.stop()
        assert all(task.done() and task.result() == 0 for task in serving)
        return controller

    asyncio.run(fleet())
