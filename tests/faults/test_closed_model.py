"""Virtual users of an agent that is gone go on at another one."""

from __future__ import annotations

from pathlib import Path

from loadr.errors import ExitCode
from loadr.testing.process import TargetProcess
from support.fleet import LOADR, Fleet, await_condition
from support.plans import assert_balanced, read_summary

PLAN = """
name: loop
seed: 3
lease: 2s
defaults: {{ http: {{ base_url: "{url}" }} }}
scenarios:
  loop:
    executor: constant-vus
    vus: 8
    duration: 8s
    flow:
      - request: {{ get: "/vu/${{vu.id}}", name: a }}
      - request: {{ get: "/done/${{vu.id * 1000000000 + iteration}}", name: b }}
      - think: 50ms
"""
EVERYBODY = {f"GET /vu/{vu}" for vu in range(1, 9)}


def work(target: TargetProcess) -> dict[str, int]:
    """Requests so far, by VU."""
    by_path = target.counters()["by_path"]
    return {vu: by_path.get(vu, 0) for vu in EVERYBODY}


def test_closed_vus_of_a_killed_agent_go_on_at_the_other_and_repeat_no_iteration(tmp_path: Path) -> None:
    plan, export = tmp_path / "plan.yaml", tmp_path / "summary.json"
    with TargetProcess() as target, Fleet() as fleet:
        agents = [fleet.agent(f"agent-{number}") for number in range(2)]
        fleet.await_agents(2)
        plan.write_text(PLAN.format(url=target.url))
        flags = ["--controller", fleet.api, "--quiet", "--summary-export", str(export)]
        run = fleet.start([*LOADR, "run", str(plan), *flags], "run")
        await_condition(lambda: min(work(target).values()) > 0, "all VUs are at work")
        agents[0].kill()
        fleet.controller.await_words("agent agent-0 is lost")
        lost = work(target)
        await_condition(lambda: all(work(target)[vu] > lost[vu] for vu in EVERYBODY), "all are at work again")
        await_condition(lambda: run.popen.poll() is not None, "the run ends")
        said, by_path = run.said, target.counters()["by_path"]
    assert run.popen.returncode == ExitCode.PASSED, said
    assert "how many requests are missing can not be said" in " ".join(said.split())
    summary = read_summary(export)
    assert_balanced(summary)
    (line,) = [line for line in summary["loadr"]["agents"] if line["name"] == "agent-0"]
    assert (line["state"], line["missing_at_most"]) == ("lost", None)
    done = [times for path, times in by_path.items() if "/done/" in path]
    assert len(done) > 100 and set(done) == {1}
