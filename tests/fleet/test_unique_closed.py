"""Unique rows of closed models on real agents: each row for one iteration of the whole fleet, whoever is lost."""

from __future__ import annotations

import re
from pathlib import Path

from loadr.errors import ExitCode
from loadr.testing.process import TargetProcess
from support.fleet import LOADR, Fleet, await_condition, run_loadr
from support.plans import assert_balanced, read_summary

PLAN = """
name: rows
lease: 2s
defaults: {{ http: {{ base_url: "{url}" }} }}
data: {{ users: {{ file: users.csv, mode: unique, on_end: {on_end} }} }}
scenarios:
  flow:
    executor: constant-vus
    vus: 6
    duration: {seconds}s
    flow:
      - request: {{ get: "/row/${{users.id}}", name: row }}
      - think: {think}
  script:
    script: rows.py
    executor: constant-vus
    vus: 4
    duration: {seconds}s
"""
SCRIPT = """
from loadr import data, scenario

users = data.csv("users.csv", mode="unique", on_end="{on_end}")


@scenario
async def script(vu):
    row = users.next(vu)
    assert row is not None and users.next(vu)["id"] == row["id"]
    await vu.http.get(f"/row/{{row['id']}}", name="row")
    await vu.think("{think}")
"""


def write(folder: Path, url: str, rows: int, *, seconds: int, on_end: str = "stop", think: str = "20ms") -> Path:
    (folder / "users.csv").write_text("id\n" + "".join(f"{number}\n" for number in range(rows)))
    (folder / "rows.py").write_text(SCRIPT.format(on_end=on_end, think=think))
    plan = folder / "plan.yaml"
    plan.write_text(PLAN.format(url=url, seconds=seconds, on_end=on_end, think=think))
    return plan


def used(target: TargetProcess) -> dict[int, int]:
    """How often each row has arrived."""
    by_path = target.counters()["by_path"]
    return {int(path.rpartition("/")[2]): times for path, times in by_path.items() if "/row/" in path}


def test_all_rows_are_used_once_and_then_the_scenarios_end(tmp_path: Path) -> None:
    export = tmp_path / "summary.json"
    with TargetProcess() as target:
        plan = write(tmp_path, target.url, 500, seconds=60)
        done = run_loadr(
            *("run", str(plan), "--agents", "3", "--workers", "1", "--quiet"),
            *("--summary-export", str(export)),
        )
        rows = used(target)
    assert done.returncode == ExitCode.PASSED, done.stdout
    assert rows == dict.fromkeys(range(500), 1)
    summary = read_summary(export)
    assert_balanced(summary)
    assert summary["metrics"]["http_reqs"]["count"] == 500
    assert summary["loadr"]["duration_s"] < 30


def test_rows_that_recycle_are_used_evenly(tmp_path: Path) -> None:
    with TargetProcess() as target:
        plan = write(tmp_path, target.url, 20, seconds=2, on_end="recycle")
        done = run_loadr("run", str(plan), "--workers", "2", "--quiet")
        rows = used(target)
    assert done.returncode == ExitCode.PASSED, done.stdout
    assert set(rows) == set(range(20)) and min(rows.values()) > 1


def test_rows_of_a_killed_agent_are_used_by_nobody_else_and_named(tmp_path: Path) -> None:
    export = tmp_path / "summary.json"
    with TargetProcess() as target, Fleet() as fleet:
        agents = [fleet.agent(f"agent-{number}") for number in range(3)]
        fleet.await_agents(3)
        plan = write(tmp_path, target.url, 100_000, seconds=8)
        flags = ["--controller", fleet.api, "--quiet", "--summary-export", str(export)]
        run = fleet.start([*LOADR, "run", str(plan), *flags], "run")
        await_condition(lambda: len(used(target)) > 200, "rows arrive")
        agents[1].kill()
        fleet.controller.await_words("agent agent-1 is lost")
        before = len(used(target))
        await_condition(lambda: len(used(target)) > before + 200, "rows arrive from the others")
        await_condition(lambda: run.popen.poll() is not None, "the run ends", 40)
        rows, said = used(target), " ".join(run.said.split())
    assert run.popen.returncode == ExitCode.PASSED, said
    assert set(rows.values()) == {1}
    burnt = r"at most \d+ rows of users were with agent agent-1 and are used by nobody any more"
    assert re.search(burnt, said), said
    assert_balanced(read_summary(export))
