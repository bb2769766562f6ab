"""The guide to control says of each executor what it answers to each change, and what becomes of its duration."""

from __future__ import annotations

import re

import pytest

from docs.markdown import ROOT
from loadr.coordination.control import ChangeInvalid, Control
from loadr.plan.model import EXECUTORS, Plan, Scenario
from loadr.schedule.arrivals import Arrivals
from loadr.schedule.change import ChangeKind
from loadr.schedule.course import Course, course_of
from loadr.units import NS_PER_S

SETTINGS = {
    "constant-vus": {"vus": 4, "duration": "10s"},
    "constant-arrival-rate": {"rate": 10, "duration": "10s", "max_vus": 4},
    "ramping-arrival-rate": {"start_rate": 10, "stages": [{"duration": "10s", "target": 10}], "max_vus": 4},
}
OPEN = [name for name in EXECUTORS if name != "constant-vus"]
ROWS = dict(
    re.findall(r"^\| `(\w+)[^|]*` \| (.*) \|$", (ROOT / "docs/guides/control.md").read_text(), re.MULTILINE)
)


def plan_of(executor: str) -> Plan:
    scenario = {"executor": executor, "script": "s.py", **SETTINGS[executor]}
    return Plan.model_validate({"scenarios": {"s": scenario}})


def scenario_of(executor: str) -> Scenario:
    return plan_of(executor).scenarios["s"]


def after(executor: str, *changes: tuple[ChangeKind, str, int]) -> Course:
    """The course after changes: kind, value, second."""
    control = Control(plan_of(executor))
    for kind, value, at_s in changes:
        control.add(kind, "", value, at_s * NS_PER_S)
    return course_of("s", scenario_of(executor), control.changes)


def test_the_table_has_each_executor_and_each_operation() -> None:
    text = (ROOT / "docs/guides/control.md").read_text()
    assert all(f"| `{name}` " in text for name in EXECUTORS)
    assert ROWS.keys() >= {"pause", "resume", "scale", "rate", "stop", "kill"}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_pause_moves_the_end_and_keeps_the_total(executor: str) -> None:
    course = after(executor, (ChangeKind.PAUSE, "", 2), (ChangeKind.RESUME, "", 5))
    assert course.end_run_ns == 13 * NS_PER_S
    assert course.shape.total() == after(executor).shape.total()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_scale_changes_the_vus_and_not_the_end(executor: str) -> None:
    course = after(executor, (ChangeKind.SCALE, "7", 2))
    assert (course.vus_at(NS_PER_S), course.vus_at(3 * NS_PER_S)) == (4, 7)
    assert course.end_run_ns == 10 * NS_PER_S


@pytest.mark.parametrize("kind", [ChangeKind.RATE, ChangeKind.FACTOR])
def test_a_closed_executor_refuses_a_rate_and_names_scale(kind: ChangeKind) -> None:
    assert ROWS["rate"].startswith("refused")
    with pytest.raises(ChangeInvalid) as refused:
        after("constant-vus", (kind, "2", 2))
    assert "loadr scale" in refused.value.hint


@pytest.mark.parametrize("executor", OPEN)
def test_a_rate_replaces_or_multiplies_what_is_left_and_keeps_the_end(executor: str) -> None:
    twenty = after(executor, (ChangeKind.RATE, "20", 5))
    double = after(executor, (ChangeKind.FACTOR, "1.5", 5), (ChangeKind.FACTOR, "1.5", 5))
    assert (twenty.shape.total(), twenty.end_run_ns) == (150, 10 * NS_PER_S)
    assert (double.shape.total(), double.end_run_ns) == (50 + 50 * 2.25, 10 * NS_PER_S)


@pytest.mark.parametrize("executor", OPEN)
def test_after_none_at_all_only_a_rate_of_its_own_helps(executor: str) -> None:
    none = ChangeKind.FACTOR, "0", 5
    assert after(executor, none, (ChangeKind.FACTOR, "3", 6)).shape.total() == 50
    assert after(executor, none, (ChangeKind.RATE, "10", 8)).shape.total() == 70


@pytest.mark.parametrize("executor", OPEN)
def test_a_rate_within_a_pause_holds_from_where_the_run_goes_on(executor: str) -> None:
    model = scenario_of(executor)
    control = Control(plan_of(executor))
    for kind, value, at_s in ((ChangeKind.PAUSE, "", 5), (ChangeKind.RATE, "20", 7), (ChangeKind.RESUME, "", 8)):
        control.add(kind, "s" if kind is ChangeKind.RATE else "", value, at_s * NS_PER_S)
    arrivals = Arrivals("s", model, 0, changes=control.changes)  # type: ignore[arg-type]  # it is an open one
    assert arrivals.instant(49) == 5 * NS_PER_S
    assert arrivals.instant(50) == 8 * NS_PER_S + NS_PER_S // 20
    assert arrivals.count() == 150
