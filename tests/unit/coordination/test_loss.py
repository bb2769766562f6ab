"""What may be missing is bounded by what was due and is not accounted for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loadr.coordination.loss import Followed, begun_below, lost_at_most, requests_of
from loadr.plan.model import Plan
from loadr.schedule.change import Change, ChangeKind
from loadr.schedule.ownership import share_out, slot_count
from support.conversation import S, plan

PAUSE = (Change(1 * S, ChangeKind.PAUSE), Change(2 * S, ChangeKind.RESUME))
FLOW = [{"request": {"method": "GET", "url": "/"}}]


def bound(the_plan: Plan, until_s: float, accounted: int = 0, owners: int = 1) -> int | None:
    shares = share_out(the_plan, dict.fromkeys(range(owners), 1.0), slot_count(owners))
    lost = lost_at_most(the_plan, [Followed((), int(until_s * S))], shares[0], {"s": accounted})
    return requests_of(the_plan, lost)


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


def test_what_was_owned_in_turn_counts_for_as_long_as_it_was() -> None:
    half, other = (share_out(plan(), {0: 1.0, 1: 1.0}, slot_count(2))[owner][0] for owner in (0, 1))
    none = replace(half, slots=bytes(len(half.slots)))
    for shares, due in (
        ([half], 25),
        ([half, replace(none, from_run_ns=2 * S)], 10),
        ([none, replace(half, from_run_ns=2 * S)], 15),
        ([half, replace(none, from_run_ns=2 * S), replace(other, from_run_ns=3 * S)], 21),
        ([half, replace(other, from_run_ns=0)], 25),
    ):
        assert lost_at_most(plan(), [Followed((), 5 * S)], shares, {}) == {"s": due}


def test_a_pause_puts_off_what_was_due() -> None:
    shares = share_out(plan(), {0: 1.0}, slot_count(1))[0]
    assert lost_at_most(plan(), [Followed(PAUSE, 3 * S)], shares, {}) == {"s": 20}


def test_who_may_not_have_heard_of_a_pause_may_have_gone_on() -> None:
    shares = share_out(plan(), {0: 1.0}, slot_count(1))[0]
    deaf = [Followed((), int(2.5 * S)), Followed(PAUSE, 3 * S)]
    assert lost_at_most(plan(), deaf, shares, {}) == {"s": 25}
    assert begun_below(plan(), deaf) == {"s": 25}
    assert begun_below(plan(), [Followed(PAUSE, 3 * S)]) == {"s": 20}
    assert begun_below(plan(), []) == {}


def test_where_courses_differ_what_was_owned_in_turn_counts_under_each_of_them() -> None:
    half = share_out(plan(), {0: 1.0, 1: 1.0}, slot_count(2))[0][0]
    none = replace(half, slots=bytes(len(half.slots)), from_run_ns=2 * S)
    both = [Followed((), 3 * S), Followed(PAUSE, 3 * S)]
    assert lost_at_most(plan(), both, [half, none], {}) == {"s": 10}  # 20 of the fleet before 2 s without a pause
    later = replace(half, from_run_ns=2 * S)
    assert lost_at_most(plan(), both, [replace(none, from_run_ns=0), later], {}) == {"s": 10}


def test_a_course_that_was_over_says_nothing_of_what_was_owned_later() -> None:
    """An agent heard 0.2 s too late that the rate is 10/s again, after 1/s, and got the whole load much later:
    under the rate that it left then, hardly anything would have been due by now."""
    changes = (Change(1 * S, ChangeKind.RATE, "", "1"), Change(2 * S, ChangeKind.RATE, "", "10"))
    half, other = (share_out(plan(), {0: 1.0, 1: 1.0}, slot_count(2))[owner][0] for owner in (0, 1))
    whole = int.from_bytes(half.slots, "little") | int.from_bytes(other.slots, "little")
    later = replace(half, from_run_ns=4 * S, slots=whole.to_bytes(len(half.slots), "little"))
    late = [Followed(changes[:1], int(2.2 * S)), Followed(changes, 5 * S)]
    alone = lost_at_most(plan(), [Followed(changes, 5 * S)], [half, later], {})
    assert alone == {"s": 26}  # half of the 31 before 4 s, and 11 from then on
    assert lost_at_most(plan(), late, [half, later], {}) == alone
    assert lost_at_most(plan(), late[:1], [half, later], {}) == {"s": 6}  # half of 11, and nothing from 4 s on
    assert lost_at_most(plan(), late[:1], [later], {}) == {"s": 0}


def test_below_its_first_iteration_a_share_leaves_things_as_they_were() -> None:
    half = share_out(plan(), {0: 1.0, 1: 1.0}, slot_count(2))[0][0]
    none = replace(half, slots=bytes(len(half.slots)), from_run_ns=2 * S, from_iteration=30)
    assert lost_at_most(plan(), [Followed((), 5 * S)], [half, none], {}) == {"s": 15}
    assert lost_at_most(plan(), [Followed((), int(2.5 * S))], [half, none], {}) == {"s": 13}


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
