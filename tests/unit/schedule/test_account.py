"""What is due by the plan alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadr.plan.model import Plan
from loadr.schedule.account import expected_count, owned_count
from loadr.schedule.arrivals import Arrivals, OwnedArrivals
from loadr.schedule.ownership import share_out, slot_of, slot_offset, to_bitmap

PLAN = Plan.model_validate(
    {
        "seed": 5,
        "scenarios": {
            "even": {"executor": "constant-arrival-rate", "rate": 33.3, "duration": "100s", "max_vus": 9},
            "random": {
                "executor": "ramping-arrival-rate",
                "stages": [{"duration": "60s", "target": 300}],
                "max_vus": 9,
                "arrivals": "poisson",
            },
            "closed": {"executor": "constant-vus", "vus": 3, "duration": "10s"},
        },
    }
)


def test_uniform_arrivals_are_the_integral_rounded_down() -> None:
    assert expected_count(PLAN, "even") == 3330


def test_poisson_arrivals_are_those_of_the_seed() -> None:
    count = expected_count(PLAN, "random")
    assert count is not None
    assert abs(count - 9000) < 4 * 9000**0.5
    assert count != expected_count(PLAN.model_copy(update={"seed": 6}), "random")


@pytest.mark.parametrize("scenario", ["even", "random"])
def test_rows_that_end_cut_the_count(scenario: str) -> None:
    assert expected_count(PLAN, scenario, limit=100) == 100
    assert expected_count(PLAN, scenario, limit=10**9) == expected_count(PLAN, scenario)


def test_a_closed_scenario_promises_no_count() -> None:
    assert expected_count(PLAN, "closed") is None


@given(st.sets(st.integers(0, 15)), st.integers(0, 100), st.integers(0, 2**63 - 1))
def test_owned_iterations_are_counted_without_walking(slots: set[int], count: int, seed: int) -> None:
    offset = slot_offset(seed, "even")
    expected = sum(slot_of(k, offset, 16) in slots for k in range(count))
    assert owned_count(to_bitmap(slots, 16), count, seed, "even") == expected


@pytest.mark.parametrize("scenario", ["even", "random"])
def test_the_counts_of_all_owners_are_what_they_walk(scenario: str) -> None:
    whole = expected_count(PLAN, scenario)
    assert whole is not None
    total = 0
    for shares in share_out(PLAN, {"a": 1.0, "b": 2.0, "c": 4.0}, 1024).values():
        (share,) = (share for share in shares if share.scenario == scenario)
        cursor = OwnedArrivals(Arrivals(scenario, PLAN.scenarios[scenario], PLAN.seed), [share])
        walked = 0
        while (chunk := cursor.next_chunk()) is not None:
            walked += len(chunk[0])
        assert owned_count(share.slots, whole, PLAN.seed, scenario) == walked
        total += walked
    assert total == whole
