"""A live run in an operator's hands, from the command line; also while an agent is cut off."""

from __future__ import annotations

import re
from pathlib import Path

from loadr.errors import ExitCode
from loadr.plan.loader import load_plan
from loadr.plan.model import ConstantVus
from loadr.schedule.arrivals import Arrivals
from loadr.schedule.change import Change, ChangeKind
from loadr.testing.proxy import Proxy
from support.fleet import Fleet, run_loadr
from support.live import LiveRun, target_with_record, write_named

ROUNDED_S = 0.01
"""Commands say their instant to a hundredth of a second."""

RAMP = """
name: ramp
seed: 5
defaults: {{ http: {{ base_url: "{url}", timeout: 5s }} }}
scenarios:
  ramp:
    executor: ramping-arrival-rate
    arrivals: uniform
    start_rate: 20
    stages: [ {{ duration: 4s, target: 120 }}, {{ duration: 2s, target: 120 }}, {{ duration: 2s, target: 20 }} ]
    max_vus: 60
    flow:
      - request: {{ get: "/i/${{iteration}}", name: ramp }}
"""


def operate(fleet: Fleet, *words: str) -> float:
    """One command; the instant of the run at which it takes effect, as it says."""
    done = run_loadr(*words, "--api", fleet.api)
    assert done.returncode == 0, done.stderr
    match = re.search(r"on all agents at (-?[0-9.]+) s of the run", done.stdout)
    assert match is not None, done.stdout
    return float(match[1])


def count_under(plan: Path, changes: list[Change]) -> int:
    """What the schedule has under these changes."""
    loaded = load_plan(plan).plan
    ((name, scenario),) = loaded.scenarios.items()
    assert not isinstance(scenario, ConstantVus)
    return Arrivals(name, scenario, loaded.seed, changes=changes).count()


def test_pause_scale_rate_and_resume_on_a_ramp_over_three_agents(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    with target_with_record() as target, Fleet() as fleet:
        for number in range(3):
            fleet.agent(f"agent-{number}")
        fleet.await_agents(3)
        plan.write_text(RAMP.format(url=target.url))
        run = LiveRun(fleet, target, plan)
        run.until(1)
        paused_s = operate(fleet, "pause")
        run.until(paused_s + 0.1)
        shown = run_loadr("status", "current", "--api", fleet.api).stdout
        operate(fleet, "scale", "current", "90")
        run.until(paused_s + 1.5)
        resumed_s = operate(fleet, "resume")
        run.until(resumed_s + 0.5)
        rated_s = operate(fleet, "rate", "current", "50%")
        done = run.end()
    assert done.code == ExitCode.PASSED, done.said
    assert "paused" in shown
    done.assert_exact()
    assert done.account["missed"] == 0
    # Nothing begins in the pause, and all of the plan happens: what was due in it, and after it, later.
    before = [seen.planned_s for seen in done.seen if seen.at_s < resumed_s - ROUNDED_S]
    assert max(before) <= paused_s + ROUNDED_S
    assert max(seen.at_s for seen in done.seen) > 8 + (resumed_s - paused_s) - 1
    pause = [
        Change(round(paused_s * 1e9), ChangeKind.PAUSE),
        Change(round(resumed_s * 1e9), ChangeKind.RESUME),
    ]
    whole = count_under(plan, [])
    assert count_under(plan, pause) == whole
    # The command says the instant to a hundredth of a second, in which not even one iteration is due.
    wanted = count_under(plan, [*pause, Change(round(rated_s * 1e9), ChangeKind.FACTOR, "", "0.5")])
    assert abs(done.account["expected"] - wanted) <= 1
    assert whole * 0.5 < wanted < whole
    assert done.account["expected"] == done.total + done.account["dropped"]
    assert abs(done.loadr["paused_s"] - (resumed_s - paused_s)) < 0.02


def test_a_pause_reaches_an_agent_that_was_cut_off_when_it_is_back(tmp_path: Path) -> None:
    with target_with_record() as target, Fleet() as fleet, Proxy(fleet.port) as link:
        fleet.agent("here", env={"WHO": "here"})
        fleet.agent("away", port=link.port, env={"WHO": "away"})
        fleet.await_agents(2)
        plan = write_named(tmp_path, target.url, rate=80, seconds=6, lease="10s")
        run = LiveRun(fleet, target, plan)
        run.until(1)
        link.stall()
        paused_s = operate(fleet, "pause")
        run.until(paused_s + 1)
        link.flow()
        quiet_s = run.await_quiet("away")
        resumed_s = operate(fleet, "resume")
        done = run.end()
    assert done.code == ExitCode.PASSED, done.said
    done.assert_exact()
    assert done.account["missed"] == 0
    assert done.account["planned"] == 6 * 80
    before = [seen for seen in done.seen if seen.at_s < resumed_s - ROUNDED_S]
    here = [seen.planned_s for seen in before if seen.who.startswith("here")]
    away = [seen.planned_s for seen in before if seen.who.startswith("away")]
    assert max(here) <= paused_s + ROUNDED_S
    # Under its lease the other one went on until it heard of the pause. What it did is not done again.
    assert sum(planned_s > paused_s + ROUNDED_S for planned_s in away) > 20
    assert [seen for seen in before if seen.at_s >= quiet_s] == []
    assert {seen.who.split(".")[0] for seen in done.seen if seen.at_s > resumed_s} == {"here", "away"}
