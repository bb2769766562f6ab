"""Bytes per second that one agent sends to its controller, at 100, 1,000 and 50,000 requests per second.

Takes nothing and prints a table. The protocol is the real one: gRPC on loopback, counted by a proxy in between.
The engine is a model that delivers the samples of so many requests (five series of durations, log-normal), since
this is about the uplink and not about the load. Flat is what is promised: KBs per second per agent, at any rate.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from loadr.agent import Agent, AgentSetup
from loadr.clock import boottime_ns
from loadr.controller import Controller
from loadr.metrics.series import Kind, SeriesKey, series
from loadr.plan.loader import load_plan
from loadr.testing.engine import ModelPool
from loadr.testing.proxy import Proxy
from loadr.transport.filestore import FileStore
from loadr.transport.grpc_client import GrpcDialer
from loadr.transport.grpc_server import GrpcServer

RATES = (100, 1_000, 50_000)
TRENDS = ("http_req_duration", "http_req_total", "http_req_waiting", "http_req_sending", "http_req_receiving")
PLAN = """
scenarios:
  model:
    executor: constant-arrival-rate
    rate: 1
    duration: {seconds}s
    max_vus: 1
    flow: [ {{ request: {{ get: "http://127.0.0.1:9/" }} }} ]
"""


def samples(rate: int, second: int) -> dict[SeriesKey, npt.NDArray[np.int64]]:
    """One second of ``rate`` requests: median 9 ms, sigma 0.6."""
    draws = np.random.default_rng([rate, second])
    out = {
        series(name, Kind.TREND, scenario="model"): draws.lognormal(16, 0.6, rate).astype(np.int64)
        for name in TRENDS
    }
    out[series("http_reqs", Kind.COUNTER, scenario="model")] = np.array([rate], np.int64)
    return out


async def measure(rate: int, seconds: int) -> float:
    """Mean bytes per second on the wire, TCP payload, from the third second on."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.yaml"
        path.write_text(PLAN.format(seconds=seconds))
        loaded = load_plan(path)
    controller = Controller(lambda level, text: None)
    controller.open()
    server = GrpcServer("127.0.0.1:0", tls=None, insecure=False, on_link=controller.accept)
    host, port = await server.start()
    with Proxy(port) as proxy:
        agent = Agent(
            AgentSetup("agent", 1),
            GrpcDialer(f"{host}:{proxy.port}", tls=None, insecure=False),
            lambda level, text: None,
            partial(ModelPool, samples=partial(samples, rate)),
        )
        serving = asyncio.create_task(agent.run())
        run_id = controller.submit(loaded.plan, FileStore.of_folder(loaded.plan, loaded.files), expect_agents=1)
        over = asyncio.create_task(controller.wait(run_id))
        marks: list[tuple[int, int]] = []
        while not over.done():
            await asyncio.wait({over}, timeout=0.5)
            view = controller.view(run_id)
            if view is not None and 2.5 < view.elapsed_s < seconds - 0.5:
                marks.append((boottime_ns(), proxy.bytes_up))
        agent.drain("measured")
        await serving
        await controller.close()
        await server.stop()
    (from_ns, from_bytes), (to_ns, to_bytes) = marks[0], marks[-1]
    return (to_bytes - from_bytes) / ((to_ns - from_ns) / 1e9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10)
    seconds = parser.parse_args().seconds
    print("uplink of one agent, 5 trends and a counter")
    print(f"{'requests/s':>12} {'bytes/s':>10} {'bytes/request':>14}")
    for rate in RATES:
        per_s = asyncio.run(measure(rate, seconds))
        print(f"{rate:>12,} {per_s:>10,.0f} {per_s / rate:>14.2f}")


if __name__ == "__main__":
    main()
