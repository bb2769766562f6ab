"""Thirty agents over real gRPC, all links cut at once in mid-run: nothing is lost, nothing is counted twice."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

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
from loadr.transport.link import AgentLink
from support.plans import write_steady

AGENTS, SECONDS = 30, 4
TRENDS = {
    series("http_req_duration", Kind.TREND, scenario="steady"): 1_000,
    series("http_req_total", Kind.TREND, scenario="steady"): 1_000,
    series("iteration_lag", Kind.TREND, scenario="steady"): 100,
}
REQUESTS = [series("http_reqs", Kind.COUNTER, scenario="steady", name=f"endpoint {at}") for at in range(20)]

Recorded = dict[SeriesKey, list[npt.NDArray[np.int64]]]


def samples(agent: int, recorded: Recorded, second: int) -> dict[SeriesKey, npt.NDArray[np.int64]]:
    """One second of one agent: heavy tails, and zeros in one of four."""
    draws = np.random.default_rng([agent, second])
    out = {
        key: np.where(draws.random(count) < 0.25, 0, draws.lognormal(16, 1.5, count)).astype(np.int64)
        for key, count in TRENDS.items()
    }
    out |= {key: draws.integers(0, 100, 1) for key in REQUESTS}
    for key, values in out.items():
        recorded.setdefault(key, []).append(values)
    return out


class CuttableDialer(GrpcDialer):
    link: AgentLink | None = None

    async def dial(self, timeout_s: float) -> AgentLink:
        self.link = await super().dial(timeout_s)
        return self.link

    def cut(self) -> None:
        assert self.link is not None
        self.link.cut("cut by the test")


def test_the_totals_of_many_agents_that_all_reconnect_at_once_are_those_of_one_recorder(tmp_path: Path) -> None:
    recorded: Recorded = {}

    async def fleet() -> None:
        loaded = load_plan(write_steady(tmp_path, "http://127.0.0.1:9", rate=10, seconds=SECONDS))
        controller = Controller(lambda level, text: None)
        controller.open()
        server = GrpcServer("127.0.0.1:0", tls=None, insecure=False, on_link=controller.accept)
        host, port = await server.start()
        dialers = [CuttableDialer(f"{host}:{port}", tls=None, insecure=False) for _ in range(AGENTS)]
        shells = [
            Agent(
                AgentSetup(f"agent-{number}", 1),
                dialer,
                lambda level, text: None,
                partial(ModelPool, samples=partial(samples, number, recorded)),
            )
            for number, dialer in enumerate(dialers)
        ]
        serving = [asyncio.create_task(shell.run()) for shell in shells]
        try:
            files = FileStore.of_folder(loaded.plan, loaded.files)
            run_id = controller.submit(loaded.plan, files, expect_agents=AGENTS)
            async with asyncio.timeout(60):
                while not recorded:  # noqa: ASYNC110 - the engine model knows no events of the test's
                    await asyncio.sleep(0.02)
                for dialer in dialers:
                    dialer.cut()
                summary = await controller.wait(run_id)
            assert summary.verdict == "passed", summary.headline
            metrics = controller.metrics(run_id)
            assert metrics is not None and metrics.totals.keys() == recorded.keys()
            for key, parts in recorded.items():
                assert len(parts) == AGENTS * SECONDS
                total, every = metrics.totals[key], np.concatenate(parts)
                if isinstance(total, TrendDelta):
                    assert total.histogram == Histogram.of(every), f"{key} differs from one recorder's"
                else:
                    assert total == CounterDelta(int(every.sum()))
        finally:
            for shell in shells:
                shell.drain("the test is over")
            await asyncio.wait(serving, timeout=20)
            await controller.close()
            await server.stop()

    asyncio.run(fleet())
