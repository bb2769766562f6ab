"""A controller in a process of its own, as `loadr controller` runs it, with a probe that looks every 10 ms.

    fleet_controller.py AGENTS SECONDS        (started by fleet.py)

Prints one JSON object per line: where agents join, then each second what the probe saw, at the end the result.
``merged`` lists [second, how late it was merged of all agents, in ms]; ``lag_ms`` is the longest that the loop
(which grants the leases) was late, ``own_lag_ms`` the longest that it was late while itself at work: the rest of
the first is waiting for a core. A line ``cut`` on standard input starts the clock of the reconnect.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import fleet_load
import uvloop

from loadr.api.daemon import spare_the_collector
from loadr.api.desk import Desk
from loadr.api.listener import ApiListener
from loadr.clock import boottime_ns
from loadr.controller import Controller
from loadr.coordination.views import AgentState
from loadr.metrics.merge import RunMetrics
from loadr.plan.loader import load_plan
from loadr.transport.filestore import FileStore, Uploads
from loadr.transport.grpc_server import GrpcServer
from loadr.units import NS_PER_MS, NS_PER_S

TICK_S = 0.01
SETTLE_S = 3.0
START_LIMIT_S = 120.0


def say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


class Probe:
    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._ids: list[str] = []
        self._run_id = ""
        self._merged_s = 0
        self._merged: list[tuple[int, float]] = []
        self._lag_ns = 0
        self._own_lag_ns = 0
        self._cut_ns: int | None = None

    def watch(self, run_id: str) -> None:
        self._run_id = run_id
        self._ids = list(self._controller.core.agents)

    def cut(self) -> None:
        self._cut_ns = boottime_ns()

    def online(self) -> int:
        agents = self._controller.core.agents.values()
        return sum(agent.state is AgentState.ONLINE for agent in agents)

    async def run(self) -> None:
        said_ns = due_ns = boottime_ns()
        while True:
            worked_ns = time.thread_time_ns()
            due_ns += int(TICK_S * NS_PER_S)
            await asyncio.sleep(max(0, due_ns - boottime_ns()) / NS_PER_S)
            now_ns = boottime_ns()
            # A timer of the loop has a grain of 1 ms; what is more is lateness.
            lag_ns = now_ns - due_ns
            self._lag_ns = max(self._lag_ns, lag_ns)
            self._own_lag_ns = max(self._own_lag_ns, min(lag_ns, time.thread_time_ns() - worked_ns))
            due_ns = max(due_ns, now_ns)
            self._look(now_ns)
            if now_ns - said_ns >= NS_PER_S:
                said_ns = now_ns
                self._tell(now_ns)

    def _look(self, now_ns: int) -> None:
        core = self._controller.core
        view = core.run(self._run_id)
        if view is not None and view.start_controller_ns is not None:
            metrics = self._controller.metrics(self._run_id)
            merged_s = metrics.watermark(self._ids) if metrics else 0
            for second in range(self._merged_s, merged_s):
                end_ns = view.start_controller_ns + (second + 1) * NS_PER_S
                self._merged.append((second, round((now_ns - end_ns) / NS_PER_MS, 1)))
            self._merged_s = max(self._merged_s, merged_s)
        if self._cut_ns is not None and all(
            agent.registered_ns > self._cut_ns and agent.state is AgentState.ONLINE
            for agent in core.agents.values()
        ):
            say(reconnected_ms=round((now_ns - self._cut_ns) / NS_PER_MS))
            self._cut_ns = None

    def _tell(self, now_ns: int) -> None:
        core = self._controller.core
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        run = core.run(self._run_id)
        elapsed_s = -1.0
        if run is not None and run.start_controller_ns is not None:
            elapsed_s = (now_ns - run.start_controller_ns) / NS_PER_S
        say(
            elapsed_s=round(elapsed_s, 2),
            state=run.state if run else "",
            online=self.online(),
            lag_ms=round(self._lag_ns / NS_PER_MS, 1),
            own_lag_ms=round(self._own_lag_ns / NS_PER_MS, 1),
            rss_mb=round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1),
            merged=self._merged,
        )
        self._merged, self._lag_ns, self._own_lag_ns = [], 0, 0


def differences(metrics: RunMetrics, agents: int, seconds: int) -> list[str]:
    """Series whose total is not, to the bit, what one recorder would hold."""
    wanted = fleet_load.expected(agents, seconds)
    return [
        str(key) for key in wanted.keys() | metrics.totals.keys() if metrics.totals.get(key) != wanted.get(key)
    ]


async def serve(agents: int, seconds: int, folder: Path) -> None:
    controller = Controller(lambda level, text: print(text, file=sys.stderr) if level == "error" else None)
    server = GrpcServer("127.0.0.1:0", tls=None, insecure=False, on_link=controller.accept)
    api = ApiListener("127.0.0.1:0", Desk(controller, Uploads(folder / "uploads", 2**20)))
    controller.open()
    host, port = await server.start()
    _, api_port = await api.start()
    say(join=f"{host}:{port}", api=f"127.0.0.1:{api_port}")
    probe = Probe(controller)
    looking = asyncio.create_task(probe.run())
    opened_ns = boottime_ns()
    async with asyncio.timeout(START_LIMIT_S):
        while probe.online() < agents:  # noqa: ASYNC110 - what people see is looked at, not hooked into
            await asyncio.sleep(0.05)
    say(all_online_ms=round((boottime_ns() - opened_ns) / NS_PER_MS))
    await asyncio.sleep(SETTLE_S)
    path = folder / "plan.yaml"
    path.write_text(fleet_load.PLAN.format(seconds=seconds, agents=agents))
    loaded = load_plan(path)
    run_id = controller.submit(loaded.plan, FileStore.of_folder(loaded.plan, loaded.files), expect_agents=agents)
    probe.watch(run_id)
    say(run_id=run_id)

    async def commands() -> None:
        while line := await asyncio.to_thread(sys.stdin.readline):
            if line.strip() == "cut":
                probe.cut()

    listening = asyncio.create_task(commands())
    summary = await controller.wait(run_id)
    metrics = controller.metrics(run_id)
    looking.cancel()
    say(
        verdict=summary.verdict,
        headline=summary.headline,
        requests=summary.accounting.requests_merged,
        differences=differences(metrics, agents, seconds) if metrics else ["nothing was merged"],
    )
    await listening
    await api.stop()
    await controller.close()
    await server.stop()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="loadr-bench-") as name:
        spare_the_collector()
        uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2]), Path(name)))
