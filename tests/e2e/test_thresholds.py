"""A threshold that only the merged data can judge ends the whole fleet."""

from __future__ import annotations

from pathlib import Path

from loadr.testing.process import TargetProcess
from support.fleet import Fleet, run_loadr
from support.plans import assert_balanced, read_summary, write_steady

# No agent of three sends 150 requests before the fleet together has sent 300.
MERGED_ONLY = """
thresholds:
  http_reqs: [ { threshold: "count<300", abort_on_fail: true } ]
"""


def assert_aborted_by_the_fleets_own_sum(export: Path, returncode: int, total: int, words: str) -> None:
    assert returncode == 99, words
    summary = read_summary(export)
    assert summary["metrics"]["http_reqs"]["count"] == total
    assert total >= 300
    agents = summary["loadr"]["agents"]
    assert len(agents) == 3
    assert all(agent["requests"] < 300 for agent in agents), "one agent alone could have seen it"
    assert summary["loadr"]["duration_s"] < 20, "the fleet did not stop early"
    assert_balanced(summary)


def test_a_local_fleet_stops_with_exit_code_99_and_exact_totals(tmp_path: Path) -> None:
    with TargetProcess() as target:
        plan = write_steady(tmp_path, target.url, rate=120, seconds=30, extra=MERGED_ONLY)
        export = tmp_path / "summary.json"
        done = run_loadr("run", str(plan), "--agents", "3", "--workers", "1", "--summary-export", str(export))
        total = target.counters()["total"]
    assert_aborted_by_the_fleets_own_sum(export, done.returncode, total, done.stdout + done.stderr)


def test_a_fleet_behind_a_controller_stops_with_exit_code_99_and_exact_totals(tmp_path: Path) -> None:
    with TargetProcess() as target, Fleet() as fleet:
        for number in range(3):
            fleet.agent(f"agent-{number}")
        fleet.await_agents(3)
        plan = write_steady(tmp_path, target.url, rate=120, seconds=30, extra=MERGED_ONLY)
        export = tmp_path / "summary.json"
        done = run_loadr("run", str(plan), "--controller", fleet.api, "--summary-export", str(export))
        total = target.counters()["total"]
    assert_aborted_by_the_fleets_own_sum(export, done.returncode, total, done.stdout + done.stderr)
