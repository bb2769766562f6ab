"""Three real agents over real gRPC: totals equal the target's own count, to the unit."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadr.testing.process import TargetProcess
from support.fleet import run_loadr
from support.plans import assert_balanced, read_summary, scenario_accounts, write_mixed


@pytest.mark.parametrize("agents", [0, 3], ids=["in-process", "three-agents"])
def test_requests_in_the_summary_equal_the_count_of_the_target(tmp_path: Path, agents: int) -> None:
    with TargetProcess() as target:
        plan = write_mixed(tmp_path, target.url)
        export = tmp_path / "summary.json"
        fleet = ["--agents", str(agents)] if agents else []
        done = run_loadr("run", str(plan), *fleet, "--workers", "1", "--summary-export", str(export))
        counters = target.counters()
    assert done.returncode == 0, done.stdout + done.stderr
    summary = read_summary(export)
    assert summary["metrics"]["http_reqs"]["count"] == counters["total"]
    assert_balanced(summary)
    accounts = scenario_accounts(summary)
    assert sum(account["requests"] for account in accounts.values()) == counters["total"]
    # uniform arrivals: ⌊∫rate⌋ exactly; all were planned, on however many agents
    assert accounts["steady"]["planned"] == 90 * 4
    by_path = counters["by_path"]
    assert by_path["GET /steady"] == accounts["steady"]["started"]
    assert by_path["GET /loop"] == accounts["loop"]["requests"]
    assert by_path["GET /script"] == accounts["script"]["requests"]
    assert by_path["POST /cart"] + by_path.get("GET /items", 0) == accounts["ramp"]["requests"]
    assert len(summary["loadr"]["agents"]) == max(agents, 1)
    assert sum(agent["requests"] for agent in summary["loadr"]["agents"]) == counters["total"]
    if agents:
        assert all(agent["requests"] > 0 for agent in summary["loadr"]["agents"])


def test_the_same_seed_plans_the_same_arrivals_on_one_agent_and_on_three(tmp_path: Path) -> None:
    planned = []
    for agents in (1, 3):
        with TargetProcess() as target:
            plan = write_mixed(tmp_path, target.url, seconds=2)
            export = tmp_path / f"summary-{agents}.json"
            done = run_loadr(
                *("run", str(plan), "--agents", str(agents), "--workers", "1"),
                *("--summary-export", str(export)),
            )
        assert done.returncode == 0, done.stdout + done.stderr
        accounts = scenario_accounts(read_summary(export))
        planned.append({name: accounts[name]["planned"] for name in ("steady", "ramp")})
    assert planned[0] == planned[1]
