"""What may be missing is bounded by what was due and is not accounted for."""

from __future__ import annotations

from typing import Any

from loadr.coordination.loss import missing_at_most
from loadr.plan.model import Plan
from loadr.schedule.ownership import share_out, slot_count
from support.conversation import S, plan

FLOW = [{"request": {"method": "GET", "url": "/"}}]


def bound(the_plan: Plan, until_s: float, accounted: int = 0, owners: int = 1) -> int | None:
    shares = share_out(the_plan, dict.fromkeys(range(owners), 1.0), slot_count(owners))
    return missing_at_most(the_plan, shares[0], int(until_s * S), {"s": accounted})


def test_everything_that_was_due_may_be_missing_when_nothing_is_accounted_for() -> None:
    assert bound(plan(), 2.0) == 20
    assert bound(plan(), 2.05) == 20
    assert bound(plan(), 2.1) == 21


def test_what_is_accounted_for_is_not_missing() -> None:
    assert bound(plan(), 2.0, accounted=15) == 5
    assert bound(plan(), 2.0, accounted=99) == 0


def test_nothing_was_due_before_the_start_and_all_after_the_end() -> None:
    assert bound(plan(), -5.0) == 0
    assert bound(plan(), 0.0) == 0
    assert bound(plan(), 5.0) == bound(plan(), 500.0) == 50


def test_only_the_share_of_the_lost_agent_counts() -> None:
    assert bound(plan(), 5.0, owners=5) == 10


def test_each_iteration_may_lack_all_its_requests() -> None:
    flow = [*FLOW, {"think": {"low_ns": 1, "high_ns": 1}}, *FLOW]
    assert bound(plan(scenario={"flow": flow}), 2.0) == 40


def test_poisson_arrivals_are_counted_as_their_seed_has_them() -> None:
    drawn = plan(seed=3, scenario={"arrivals": "poisson"})
    counts = [bound(drawn, second) or 0 for second in range(6)]
    assert counts[0] == 0 and counts == sorted(counts) and 25 < counts[5] < 80


def test_a_closed_model_and_a_script_have_no_bound() -> None:
    closed: dict[str, Any] = {"executor": "constant-vus", "vus": 3, "duration": "5s", "flow": FLOW}
    assert bound(Plan.model_validate({"scenarios": {"s": closed}}), 2.0) is None
    assert bound(plan(scenario={"flow": None, "script": "shop.py"}), 2.0) is None
