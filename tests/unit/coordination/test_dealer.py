"""The dealer: two steps of a move, nobody owns twice, nothing is left over."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadr.coordination.dealer import Dealer, holes
from loadr.plan.model import Plan
from loadr.schedule.ownership import from_bitmap
from support.conversation import S, plan


def dealer(**weights: float) -> Dealer:
    out = Dealer(plan(scenario={"max_vus": 2000}), len(weights))
    out.first(weights)
    return out


def slots(shares: Any) -> set[int]:
    return set(from_bitmap(shares[0].slots).tolist())


def test_at_first_everything_is_dealt_by_weight() -> None:
    one = dealer(a=1.0, b=3.0)
    assert holes(one.held.values()) == 0 and not one.is_moving
    assert (one.part_of("a"), one.part_of("b"), one.part_of("ghost")) == (0.25, 0.75, 0.0)


def test_the_first_step_tells_givers_only_what_they_keep() -> None:
    one = dealer(a=1.0, b=1.0)
    one.join("c")
    before = dict(one.held)
    kept = one.move({"a": 1.0, "b": 1.0, "c": 1.0}, 7 * S)
    assert kept.keys() == {"a", "b"} and one.is_moving and not one.is_released
    assert all(slots(kept[key]) < slots(before[key]) and kept[key][0].from_run_ns == 7 * S for key in kept)
    assert one.held == before, "until they have said so they may own what they owned"
    one.acknowledge("a")
    assert slots(one.held["a"]) == slots(kept["a"]) and slots(one.held["b"]) == slots(before["b"])
    assert not one.is_released
    one.acknowledge("b")
    assert one.is_released


def test_the_second_step_gives_takers_what_is_new_and_leaves_givers_alone() -> None:
    one = dealer(a=1.0, b=1.0)
    one.join("c")
    for key in one.move({"a": 1.0, "b": 1.0, "c": 1.0}, 7 * S):
        one.acknowledge(key)
    taken = one.settle(8 * S)
    assert taken.keys() == {"c"} and taken["c"][0].from_run_ns == 8 * S
    assert holes(one.held.values()) == 0 and not one.is_moving


def test_who_is_gone_owns_nothing_and_is_not_waited_for() -> None:
    one = dealer(a=1.0, b=1.0, c=1.0)
    one.leave("c")
    assert holes(one.held.values()) == 341 and one.is_released
    assert one.move({"a": 1.0, "b": 1.0}, S) == {}, "nobody gives anything"
    assert one.settle(S).keys() == {"a", "b"} and holes(one.held.values()) == 0


def test_a_part_without_a_weight_gives_everything_away() -> None:
    one = dealer(a=1.0, b=1.0)
    kept = one.move({"b": 1.0}, S)
    assert slots(kept["a"]) == set()
    one.acknowledge("a")
    one.settle(S)
    assert slots(one.held["b"]) == set(range(1024))


def test_nobody_with_a_weight_is_an_error() -> None:
    with pytest.raises(ValueError, match="nobody with a weight"):
        dealer(a=1.0).move({}, S)


def test_other_numbers_of_vus_hold_at_the_next_move() -> None:
    few = Dealer(plan(scenario={"max_vus": 1}), 2)
    few.first({"a": 1.0, "b": 1.0})
    assert sorted(few.part_of(key) for key in "ab") == [0.0, 1.0]
    few.scale(plan(scenario={"max_vus": 2}))
    for key in few.move({"a": 1.0, "b": 1.0}, S):
        few.acknowledge(key)
    few.settle(S)
    assert few.part_of("a") == few.part_of("b") == 0.5


def test_closed_scenarios_move_by_their_vus() -> None:
    closed = {"executor": "constant-vus", "vus": 4, "duration": "5s", "flow": []}
    closed["flow"] = [{"request": {"method": "GET", "url": "/"}}]  # type: ignore[list-item]
    one = Dealer(Plan.model_validate({"scenarios": {"s": closed}}), 2)
    one.first({"a": 1.0})
    assert one.empty()[0].vu_slots == b""
    one.join("b")
    for key in one.move({"a": 1.0, "b": 1.0}, S):
        one.acknowledge(key)
    one.settle(S)
    assert holes(one.held.values()) == 0 and one.part_of("b") == 0.5


def test_two_owners_of_one_slot_are_found() -> None:
    one = dealer(a=1.0, b=1.0)
    with pytest.raises(ValueError, match="two parts own a slot of s"):
        holes([one.held["a"], one.held["a"]])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["join", "leave", "move", "ack", "settle"]), st.integers(0, 5))))
def test_whatever_happens_no_slot_has_two_owners_and_a_settled_move_leaves_none_over(steps: Any) -> None:
    one = dealer(p0=1.0, p1=2.0)
    waiting: set[str] = set()
    for number, (step, which) in enumerate(steps):
        key = f"p{which}"
        if step == "join" and key not in one.held and not one.is_moving:
            one.join(key)
        elif step == "leave" and len(one.held) > 1:
            one.leave(key)
            waiting.discard(key)
        elif step == "move" and not one.is_moving:
            waiting = set(one.move({each: 1.0 + which for each in one.held}, number * S))
        elif step == "ack" and key in waiting:
            waiting.discard(key)
            one.acknowledge(key)
        elif step == "settle" and one.is_moving and one.is_released:
            one.settle(number * S)
        holes(one.held.values())
    for key in waiting:
        one.acknowledge(key)
    if one.is_moving:
        one.settle(0)
    for key in one.move(dict.fromkeys(one.held, 1.0), 0):
        one.acknowledge(key)
    one.settle(0)
    assert holes(one.held.values()) == 0
