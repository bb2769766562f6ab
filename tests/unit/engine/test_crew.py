"""Which VUs a worker has, and from when on."""

from __future__ import annotations

from dataclasses import replace

from loadr.engine.crew import Crew
from loadr.plan.model import Plan
from loadr.schedule.change import NEVER_RUN_NS, Change, ChangeKind
from loadr.schedule.course import course_of
from loadr.schedule.ownership import vus_of
from loadr.schedule.share import ScenarioShare
from loadr.units import NS_PER_S
from support.executors import plan_with, shares_of

PLAN = plan_with("constant-vus", vus=4, duration="10s")
SCENARIO = PLAN.scenarios["browse"]


def crew_of(plan: Plan = PLAN) -> Crew:
    scenario = plan.scenarios["browse"]
    return Crew(scenario, plan.seed, course_of("browse", scenario))


def scaled(*crews: tuple[int, int]) -> list[Change]:
    return [Change(at_s * NS_PER_S, ChangeKind.SCALE, "", str(vus)) for at_s, vus in crews]


def test_a_crew_without_a_share_is_nobody() -> None:
    crew = crew_of()
    assert crew.next_run_ns == NEVER_RUN_NS
    assert crew.at(0) == (0, ())


def test_a_share_holds_from_its_own_instant_on() -> None:
    mine, other = shares_of(PLAN, owners=2)
    crew = crew_of()
    crew.own(mine)
    assert crew.next_run_ns == 0
    assert crew.at(0) == (0, vus_of(mine, SCENARIO, PLAN.seed))
    crew.own(replace(other, from_run_ns=5))
    assert crew.next_run_ns == 5
    assert crew.at(4) == (0, vus_of(mine, SCENARIO, PLAN.seed))
    assert crew.at(6) == (5, vus_of(other, SCENARIO, PLAN.seed))
    assert crew.next_run_ns == NEVER_RUN_NS


def test_the_scale_cuts_the_share_and_says_since_when() -> None:
    (whole,) = shares_of(PLAN)
    crew = crew_of()
    crew.own(whole)
    crew.at(0)
    crew.follow(course_of("browse", SCENARIO, scaled((2, 6), (3, 1))))
    assert crew.next_run_ns == 2 * NS_PER_S
    assert crew.at(2 * NS_PER_S) == (2 * NS_PER_S, tuple(range(6)))
    assert crew.next_run_ns == 3 * NS_PER_S
    assert crew.at(3 * NS_PER_S) == (3 * NS_PER_S, (0,))


def test_a_scale_that_is_heard_of_late_holds_at_once() -> None:
    (whole,) = shares_of(PLAN)
    crew = crew_of()
    crew.own(whole)
    crew.at(5 * NS_PER_S)
    crew.follow(course_of("browse", SCENARIO, scaled((2, 6))))
    assert crew.next_run_ns == 5 * NS_PER_S
    assert crew.at(5 * NS_PER_S) == (2 * NS_PER_S, tuple(range(6)))
    assert crew.next_run_ns == NEVER_RUN_NS


def test_the_cap_of_an_open_scenario_is_of_its_own_slots() -> None:
    plan = plan_with("constant-arrival-rate", rate=1, duration="10s", max_vus=3)
    (whole,) = shares_of(plan)
    crew = crew_of(plan)
    crew.own(ScenarioShare("browse", 0, bytes(128), whole.vu_slots))
    assert crew.at(0) == (0, (0, 1, 2))
