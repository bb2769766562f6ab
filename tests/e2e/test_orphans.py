"""The controller disappears: every agent's load ends with its lease, shown at the target."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from loadr.errors import ExitCode
from loadr.testing.process import TargetProcess
from support.fleet import LOADR, Fleet, Process, await_condition
from support.plans import write_steady

LEASE_S = 3


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_gone(pid: int) -> bool:
    """Whether it ended; nobody may have reaped it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def leave_at_once(agent: Process) -> int:
    """SIGTERM twice, as a person does who will not wait until a controller is back; the exit code."""
    agent.popen.send_signal(signal.SIGTERM)
    agent.await_words("told again, at once")
    agent.popen.send_signal(signal.SIGTERM)
    return agent.popen.wait(15)


def test_load_ends_with_the_lease_when_the_controller_is_killed(tmp_path: Path) -> None:
    with TargetProcess("--record-arrivals", "100000") as target, Fleet() as fleet:
        agents = [fleet.agent(f"agent-{number}") for number in range(3)]
        fleet.await_agents(3)
        plan = write_steady(tmp_path, target.url, rate=100, seconds=60, lease=f"{LEASE_S}s")
        run = subprocess.Popen(
            [*LOADR, "run", str(plan), "--controller", fleet.api, "--quiet"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            await_condition(lambda: target.counters()["total"] > 100, "load arrives")
            killed_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            fleet.controller.kill()
            # A lease after the kill no agent holds one; then the count can not move any more.
            await_condition(
                lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME) > killed_ns + LEASE_S * 1_000_000_000,
                "the leases end",
            )
            settled = target.counters()
            said, _ = run.communicate(timeout=30)
        finally:
            run.kill()
        last_ns = max(settled["arrivals_ns"])
        assert last_ns > killed_ns, "load should go on under the lease"
        assert last_ns <= killed_ns + LEASE_S * 1_000_000_000
        await_condition(
            lambda: all("orphaned" in agent.said for agent in agents), "every agent says that it was orphaned"
        )
        assert target.counters()["total"] == settled["total"]
        assert all(agent.popen.poll() is None for agent in agents), "agents wait for a controller to come back"
        assert [leave_at_once(agent) for agent in agents] == [ExitCode.INCOMPLETE] * 3
        assert all("not everything was delivered" in agent.said for agent in agents)
        assert not any("Traceback" in agent.said for agent in agents)
    assert run.returncode == ExitCode.FLEET_COULD_NOT_START, said
    assert "went away while run" in said and "Traceback" not in said


def test_agents_of_a_local_run_are_gone_with_it_even_when_it_is_killed(tmp_path: Path) -> None:
    with TargetProcess() as target:
        plan = write_steady(tmp_path, target.url, rate=50, seconds=60, lease="60s")
        run = subprocess.Popen(
            [*LOADR, "run", str(plan), "--agents", "2", "--workers", "1", "--quiet"],
            env={**os.environ, "TMPDIR": str(tmp_path)},  # what it can not tidy up goes with the test
        )
        try:
            await_condition(lambda: target.counters()["total"] > 20, "load arrives")
            agents = children_of(run.pid)
            workers = [worker for agent in agents for worker in children_of(agent)]
        finally:
            run.kill()
            run.wait(10)
        assert len(agents) == 2 and len(workers) >= 2
        await_condition(lambda: all(map(is_gone, [*agents, *workers])), "agents and workers end", limit_s=10)
