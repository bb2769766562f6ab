from dataclasses import FrozenInstanceError
from fractions import Fraction

import pytest

from loadr.plan.model import Plan
from loadr.schedule.ownership import share_out, slot_count
from loadr.schedule.share import ScenarioShare, fraction_of


def test_a_share_is_a_value() -> None:
    one, same = ScenarioShare("browse", 5, b"\x01", b"\x02"), ScenarioShare("browse", 5, b"\x01", b"\x02")
    assert one == same and len({one, same, ScenarioShare("browse", 6, b"\x01", b"\x02")}) == 2
    with pytest.raises(FrozenInstanceError):
        one.from_run_ns = 7  # type: ignore[misc]


def test_a_closed_scenario_has_no_slots_of_a_pool() -> None:
    assert ScenarioShare("buy", 0, b"\xff").vu_slots == b""


def test_fractions_of_all_owners_add_up_to_one_and_follow_the_weights() -> None:
    scenario = {"executor": "constant-vus", "vus": 4096, "duration": "1s", "flow": []}
    plan = Plan.model_validate({"scenarios": {"s": scenario}})
    shares = share_out(plan, {"a": 3.0, "b": 1.0}, slot_count(2))
    parts = {owner: fraction_of(share) for owner, (share,) in shares.items()}
    assert sum(parts.values()) == 1 and parts["a"] == Fraction(3, 4)
    assert fraction_of(ScenarioShare("s", 0, b"")) == 0
