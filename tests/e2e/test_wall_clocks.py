"""Agents whose wall clocks are wrong by seconds and by an hour start at the same instant of the host's clock."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from loadr.clock import boottime_ns
from loadr.controller import Controller
from loadr.plan.loader import LoadedPlan, load_plan
from loadr.testing.process import TargetProcess
from loadr.transport.filestore import FileStore
from loadr.transport.grpc_server import GrpcServer
from loadr.verdict.model import Summary
from support.fleet import LOADR, Process, await_condition
from support.packages import require_faketime
from support.plans import write_steady

OFFSETS_S = (-3600, -5, 0, 5, 3600)
# The library is loaded by now; the agent's workers are not to have it, because it bends their timerfd as well.
AGENT = """
import os, sys
del os.environ["LD_PRELOAD"]
from loadr.cli import main
sys.exit(main(sys.argv[1:]))
"""


async def _run(loaded: LoadedPlan, folder: Path) -> tuple[Summary, int, dict[str, int], dict[str, int]]:
    """Summary, agreed start on the host's clock, converted start and published bound by agent."""
    library = require_faketime()
    controller = Controller(lambda level, text: None)
    controller.open()
    server = GrpcServer("127.0.0.1:0", tls=None, insecure=False, on_link=controller.accept)
    host, port = await server.start()
    agents: list[Process] = []
    try:
        for offset_s in OFFSETS_S:
            name = f"agent{offset_s:+d}"
            command = [
                LOADR[0],
                "-c",
                AGENT,
                "agent",
                "--join",
                f"{host}:{port}",
                "--name",
                name,
                "--workers",
                "1",
            ]
            env = {
                "LD_PRELOAD": str(library),
                "FAKETIME": f"{offset_s:+d}",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
            agents.append(Process(command, folder, name, env))
        files = FileStore.of_folder(loaded.plan, loaded.files)
        run_id = controller.submit(loaded.plan, files, expect_agents=len(OFFSETS_S))
        async with asyncio.timeout(60):
            summary = await controller.wait(run_id)
        run = controller.core.run(run_id)
        assert run is not None and run.start_controller_ns is not None
        starts = {name: part.start_mono_ns for name, part in run.agents.items()}
        bounds = {name: part.clock_bound_ns for name, part in run.agents.items()}
        assert None not in starts.values() and None not in bounds.values(), (
            summary.headline,
            [a.said for a in agents],
        )
        return summary, run.start_controller_ns, starts, bounds  # type: ignore[return-value]
    finally:
        await asyncio.to_thread(lambda: [agent.end() for agent in agents])
        await controller.close()
        await server.stop()


def test_converted_start_instants_agree_within_the_published_bound(tmp_path: Path) -> None:
    require_faketime()
    with TargetProcess() as target, tempfile.TemporaryDirectory() as folder:
        loaded = load_plan(write_steady(tmp_path, target.url, rate=50, seconds=2))
        before_ns = boottime_ns()
        summary, agreed_ns, starts, bounds = asyncio.run(_run(loaded, Path(folder)))
        assert summary.verdict == "passed", summary.headline
        assert summary.accounting.requests_merged == target.counters()["total"]
    assert before_ns < agreed_ns < boottime_ns()
    # Everybody is on one host: the instant that an agent converted to its own monotonic clock can be compared.
    for name, start_ns in starts.items():
        assert abs(start_ns - agreed_ns) <= bounds[name], f"{name} is outside its published bound"
        assert 0 < bounds[name] < 100_000_000, f"the bound of {name} says nothing"
    lines = {agent.name: agent for agent in summary.agents}
    for offset_s in OFFSETS_S:
        line = lines[f"agent{offset_s:+d}"]
        assert line.start_skew_ms is not None
        assert line.clock_bound_ms is not None
        assert line.wall_error_ms is not None
        assert abs(line.wall_error_ms - offset_s * 1000) < 1000, "the injected error is what people are told"


def test_the_injected_wall_clock_is_really_another_one() -> None:
    library = require_faketime()
    with tempfile.TemporaryDirectory() as folder:
        code = "import time; print(int(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)))"
        said = []
        for offset in ("+0", "+3600"):
            env = {"LD_PRELOAD": str(library), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
            process = Process([LOADR[0], "-c", code], Path(folder), f"clock{offset}", env)
            await_condition(lambda process=process: process.popen.poll() is not None, "it ends")
            said.append(int(process.said))
            process.end()
    assert 3590 < said[1] - said[0] < 3610
