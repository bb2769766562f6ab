"""The controller disappears: every agent's load ends with its lease, shown at the target."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from loadr.testing.process import TargetProcess
from support.fleet import LOADR, Fleet, await_condition
from support.plans import write_steady

LEASE_S = 3


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
            said, _ = run.communicate(timeout=30)
        finally:
            run.kill()
        # A lease after the kill no agent holds one; then the count can not move any more.
        await_condition(
            lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME) > killed_ns + LEASE_S * 1_000_000_000,
            "the leases end",
        )
        settled = target.counters()
        last_ns = max(settled["arrivals_ns"])
        assert last_ns > killed_ns, "load should go on under the lease"
        assert last_ns <= killed_ns + LEASE_S * 1_000_000_000
        await_condition(
            lambda: all("orphaned" in agent.said for agent in agents), "every agent says that it was orphaned"
        )
        assert target.counters()["total"] == settled["total"]
        assert all(agent.popen.poll() is None for agent in agents), "agents wait for a controller to come back"
    assert run.returncode == 122, said
    assert "Traceback" not in said
