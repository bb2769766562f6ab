"""Setup and teardown on three real agents: once for all, the result everywhere, every request accounted for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from loadr.errors import ExitCode
from loadr.testing.process import TargetProcess
from support.fleet import LOADR, Fleet, Process, await_condition, run_loadr
from support.plans import assert_balanced, read_summary

SCRIPT = """
import os

from loadr import constant_vus, options, scenario, setup, teardown

options(base_url="{url}", lease="2s")
WHO = os.environ.get("WHO", "nobody")


@setup(timeout="20s")
async def prepare(vu):
    await vu.http.get(f"/setup/{{WHO}}")
    await vu.think({seconds})
    return {{"by": WHO, "rooms": [1, 2]}}


@scenario(constant_vus(6, "2s"))
async def book(vu):
    await vu.http.get(f"/book/{{WHO}}/{{vu.setup['by']}}/{{vu.setup['rooms'][1]}}")
    await vu.think(0.05)


@teardown
async def clean(vu, data):
    await vu.http.get(f"/clean/{{WHO}}/{{data['by']}}")
"""

FLOWS = """
name: flows
defaults: {{ http: {{ base_url: "{url}" }} }}
setup:
  flow:
    - request: {{ get: "/items?page=1", extract: {{ item: {{ jsonpath: "$.items[0].id" }} }} }}
teardown:
  flow:
    - request: {{ delete: "/items/${{setup.item}}" }}
scenarios:
  look:
    executor: constant-arrival-rate
    rate: 30
    duration: 2s
    max_vus: 10
    flow: [ request: {{ get: "/look/${{setup.item}}", name: look }} ]
"""


def start(fleet: Fleet, plan: Path, export: Path) -> Process:
    flags = ["--controller", fleet.api, "--quiet", "--summary-export", str(export)]
    return fleet.start([*LOADR, "run", str(plan), *flags], "run")


def paths(counters: dict[str, Any], begin: str) -> dict[str, int]:
    return {path: times for path, times in counters["by_path"].items() if path.startswith(begin)}


def test_a_script_sets_up_once_for_three_agents_and_tears_down_once(tmp_path: Path) -> None:
    plan, export = tmp_path / "rooms.py", tmp_path / "summary.json"
    with TargetProcess() as target, Fleet() as fleet:
        for number in range(3):
            fleet.agent(f"agent-{number}", env={"WHO": f"agent-{number}"})
        fleet.await_agents(3)
        plan.write_text(SCRIPT.format(url=target.url, seconds=0))
        run = start(fleet, plan, export)
        await_condition(lambda: run.popen.poll() is not None, "the run ends", 40)
        counters, said = target.counters(), run.said
    assert run.popen.returncode == ExitCode.PASSED, said
    summary = read_summary(export)
    assert_balanced(summary)
    ((path, times),) = paths(counters, "GET /setup/").items()
    doer = path.rpartition("/")[2]
    assert times == 1 and list(paths(counters, "GET /clean/").values()) == [1]
    booked = paths(counters, "GET /book/")
    assert set(booked) == {f"GET /book/agent-{number}/{doer}/2" for number in range(3)}
    accounting = summary["loadr"]["accounting"]
    assert (accounting["setup_requests"], accounting["teardown_requests"]) == (1, 1)
    assert summary["metrics"]["http_reqs"]["count"] == sum(booked.values()) == counters["total"] - 2


def test_flows_set_up_and_tear_down_on_one_agent_and_on_three(tmp_path: Path) -> None:
    plan, export = tmp_path / "plan.yaml", tmp_path / "summary.json"
    for agents in ([], ["--agents", "3"]):
        with TargetProcess() as target:
            plan.write_text(FLOWS.format(url=target.url))
            done = run_loadr(
                "run", str(plan), *agents, "--workers", "1", "--quiet", "--summary-export", str(export)
            )
            counters = target.counters()
        assert done.returncode == ExitCode.PASSED, done.stdout + done.stderr
        summary = read_summary(export)
        assert summary["metrics"]["http_reqs"]["count"] == 60 == counters["total"] - 2
        (removed,) = paths(counters, "DELETE /items/")
        item = removed.rpartition("/")[2]
        assert paths(counters, "GET /look/") == {f"GET /look/{item}": 60}
        assert "apart from the load: setup 1 request, teardown 1 request" in done.stdout


def test_when_the_one_that_sets_up_is_killed_another_does_it_and_the_others_go_on(tmp_path: Path) -> None:
    plan, export = tmp_path / "rooms.py", tmp_path / "summary.json"
    with TargetProcess() as target, Fleet() as fleet:
        agents = {name: fleet.agent(name, env={"WHO": name}) for name in ("a", "b", "c")}
        fleet.await_agents(3)
        plan.write_text(SCRIPT.format(url=target.url, seconds=2))
        run = start(fleet, plan, export)
        await_condition(lambda: bool(paths(target.counters(), "GET /setup/")), "setup is begun")
        (path,) = paths(target.counters(), "GET /setup/")
        killed = path.rpartition("/")[2]
        agents[killed].kill()
        await_condition(lambda: run.popen.poll() is not None, "the run ends", 50)
        counters, said = target.counters(), " ".join(run.said.split())
    assert run.popen.returncode == ExitCode.PASSED, said
    summary = read_summary(export)
    assert_balanced(summary)
    begun = [path.rpartition("/")[2] for path in paths(counters, "GET /setup/")]
    assert len(begun) == 2 and killed in begun
    (doer,) = set(begun) - {killed}
    booked = paths(counters, "GET /book/")
    assert set(booked) == {f"GET /book/{name}/{doer}/2" for name in agents if name != killed}
    assert list(paths(counters, "GET /clean/").values()) == [1]
    # What the killed one had sent for its setup is not known, and said so.
    assert summary["metrics"]["http_reqs"]["count"] == sum(booked.values()) == counters["total"] - 3
    assert f"agent {killed} was lost before the start" in said
    assert "setup was begun 2 times; only requests of one that came to an end are counted" in said


def test_a_setup_that_fails_fails_the_run_in_its_own_words_and_the_fleet_is_idle_again(tmp_path: Path) -> None:
    plan = tmp_path / "rooms.py"
    with TargetProcess() as target, Fleet() as fleet:
        for number in range(2):
            fleet.agent(f"agent-{number}")
        fleet.await_agents(2)
        text = SCRIPT.format(url=target.url, seconds=0)
        plan.write_text(text.replace("return {", "raise RuntimeError('no stock')\n    return {"))
        failed = run_loadr("run", str(plan), "--controller", fleet.api, "--quiet")
        plan.write_text(text)
        passed = run_loadr("run", str(plan), "--controller", fleet.api, "--quiet")
    assert failed.returncode == ExitCode.SCRIPT_EXCEPTION, failed.stdout
    said = " ".join((failed.stdout + failed.stderr).split())
    assert re.search(r"setup failed on agent agent-\d: rooms.py:14: RuntimeError: no stock", said), said
    assert passed.returncode == ExitCode.PASSED, passed.stdout


def test_a_teardown_that_fails_is_told_and_the_numbers_stay(tmp_path: Path) -> None:
    plan, export = tmp_path / "rooms.py", tmp_path / "summary.json"
    with TargetProcess() as target:
        text = SCRIPT.format(url=target.url, seconds=0).replace("data['by']", "data['nobody']")
        plan.write_text(text)
        done = run_loadr("run", str(plan), "--quiet", "--workers", "1", "--summary-export", str(export))
        counters = target.counters()
    assert done.returncode == ExitCode.SCRIPT_EXCEPTION, done.stdout
    said = " ".join(done.stdout.split())
    assert re.search(r"teardown failed on agent \S+: rooms.py:\d+: KeyError: 'nobody'", said), said
    assert read_summary(export)["metrics"]["http_reqs"]["count"] == counters["total"] - 1


def test_after_a_threshold_has_ended_the_run_it_is_torn_down_all_the_same(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    rule = 'thresholds: { http_reqs: [ { threshold: "count<5", abort_on_fail: true } ] }\n'
    with TargetProcess() as target:
        plan.write_text(FLOWS.format(url=target.url).replace("duration: 2s", "duration: 30s") + rule)
        done = run_loadr("run", str(plan), "--agents", "2", "--workers", "1", "--quiet")
        counters = target.counters()
    assert done.returncode == ExitCode.THRESHOLD_FAILED, done.stdout
    assert list(paths(counters, "DELETE /items/").values()) == [1]
