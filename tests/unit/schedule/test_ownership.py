"""Slots, shares and who holds what."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadr.plan.model import ConstantArrivalRate, ConstantVus, Plan
from loadr.schedule.ownership import (
    default_pre_allocated,
    from_bitmap,
    share_out,
    slot_count,
    slot_of,
    slot_offset,
    split,
    to_bitmap,
    to_mask,
    vus_of,
)
from loadr.schedule.share import ScenarioShare

S = 1024
SEED = 11


def open_scenario(
    max_vus: int = 100, rate: float = 100, pre_allocated_vus: int | None = None
) -> ConstantArrivalRate:
    return ConstantArrivalRate(
        executor="constant-arrival-rate",
        rate=rate,
        duration="10s",
        max_vus=max_vus,
        pre_allocated_vus=pre_allocated_vus,
    )


def plan_of(vus: int, max_vus: int, seed: int = SEED) -> Plan:
    closed = ConstantVus(executor="constant-vus", vus=vus, duration="10s")
    return Plan(seed=seed, scenarios={"closed": closed, "open": open_scenario(max_vus)})


plans = st.builds(plan_of, st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 2**63 - 1))
fleets = st.dictionaries(
    st.integers(1, 12).map(lambda i: f"agent-{i}"), st.integers(1, 8).map(float), min_size=1, max_size=12
)


def held_slots(shares: dict[str, tuple[ScenarioShare, ...]], scenario: str) -> dict[str, set[int]]:
    return {
        o: set(from_bitmap(s.slots).tolist())
        for o, all_ in shares.items()
        for s in all_
        if s.scenario == scenario
    }


def check_whole(plan: Plan, shares: dict[str, tuple[ScenarioShare, ...]]) -> None:
    """Every slot and every VU of every scenario has exactly one owner; who has no VU has no slot."""
    for owner_shares in shares.values():
        assert [share.scenario for share in owner_shares] == list(plan.scenarios)
    for at, (name, scenario) in enumerate(plan.scenarios.items()):
        vus = scenario.vus if isinstance(scenario, ConstantVus) else scenario.max_vus
        parts = [owner_shares[at] for owner_shares in shares.values()]
        assert sum(to_mask(part.slots).astype(int) for part in parts).tolist() == [1] * S
        assert sorted(v for part in parts for v in vus_of(part, scenario, plan.seed)) == list(range(vus)), name
        for part in parts:
            assert bool(vus_of(part, scenario, plan.seed)) == to_mask(part.slots).any()


@given(plans, fleets)
def test_shares_are_the_whole_plan(plan: Plan, fleet: dict[str, float]) -> None:
    shares = share_out(plan, fleet, S, from_run_ns=5)
    check_whole(plan, shares)
    assert {share.from_run_ns for owner_shares in shares.values() for share in owner_shares} == {5}


@given(plans, fleets)
def test_vus_are_split_by_weight_to_one(plan: Plan, fleet: dict[str, float]) -> None:
    shares = share_out(plan, fleet, S)
    for at, scenario in enumerate(plan.scenarios.values()):
        vus = scenario.vus if isinstance(scenario, ConstantVus) else scenario.max_vus
        for owner, weight in fleet.items():
            ideal = vus * weight / sum(fleet.values())
            # One VU for each time that VUs go round the slots.
            assert abs(len(vus_of(shares[owner][at], scenario, plan.seed)) - ideal) < 1 + vus // S


@given(plans, fleets, fleets)
def test_moved_shares_are_the_whole_plan_too(
    plan: Plan, before: dict[str, float], after: dict[str, float]
) -> None:
    held = share_out(plan, before, S)
    moved = share_out(plan, after, S, from_run_ns=7, previous=held)
    check_whole(plan, moved)


def test_a_lost_agent_moves_only_its_own_slots() -> None:
    plan = plan_of(300, 300)
    before = share_out(plan, {"a": 1.0, "b": 1.0, "c": 1.0}, S)
    after = share_out(plan, {"a": 1.0, "c": 1.0}, S, previous=before)
    for scenario in plan.scenarios:
        had, has = held_slots(before, scenario), held_slots(after, scenario)
        assert has["a"] > had["a"]
        assert has["c"] > had["c"]


def test_a_late_agent_takes_its_part_and_nobody_else_gains() -> None:
    plan = plan_of(300, 300)
    before = share_out(plan, {"a": 1.0, "b": 1.0}, S)
    after = share_out(plan, {"a": 1.0, "b": 1.0, "c": 1.0}, S, previous=before)
    for scenario in plan.scenarios:
        had, has = held_slots(before, scenario), held_slots(after, scenario)
        assert has["a"] < had["a"]
        assert has["b"] < had["b"]
        assert abs(len(has["c"]) - S / 3) < 2


@given(plans, fleets, st.integers(1, 8))
def test_a_split_share_is_the_share(plan: Plan, fleet: dict[str, float], workers: int) -> None:
    for owner_shares in share_out(plan, fleet, S, from_run_ns=3).values():
        for share in owner_shares:
            scenario = plan.scenarios[share.scenario]
            parts = split(share, scenario, range(workers), plan.seed)
            assert list(parts) == list(range(workers))
            assert {(p.scenario, p.from_run_ns) for p in parts.values()} == {(share.scenario, 3)}
            whole = sum(to_mask(part.slots).astype(int) for part in parts.values())
            assert whole.tolist() == to_mask(share.slots).tolist()
            vus = [v for part in parts.values() for v in vus_of(part, scenario, plan.seed)]
            assert sorted(vus) == list(vus_of(share, scenario, plan.seed))
            for part in parts.values():
                assert bool(vus_of(part, scenario, plan.seed)) == to_mask(part.slots).any()


def test_workers_split_the_vus_of_an_agent_evenly() -> None:
    plan = plan_of(90, 90)
    share = share_out(plan, {"a": 1.0, "b": 1.0, "c": 1.0}, S)["a"][0]
    counts = [
        len(vus_of(p, plan.scenarios["closed"], SEED))
        for p in split(share, plan.scenarios["closed"], "xyz", SEED).values()
    ]
    assert counts == [10, 10, 10]


def test_a_split_after_a_lost_worker_keeps_what_the_others_hold() -> None:
    plan = plan_of(90, 90)
    for share in share_out(plan, {"a": 1.0, "b": 1.0}, S)["a"]:
        scenario = plan.scenarios[share.scenario]
        before = split(share, scenario, ["w0", "w1", "w2"], SEED)
        after = split(share, scenario, ["w0", "w2"], SEED, previous=before)
        for worker in after:
            kept = set(from_bitmap(before[worker].slots).tolist())
            assert kept < set(from_bitmap(after[worker].slots).tolist())


def test_an_empty_share_splits_into_empty_shares() -> None:
    empty = ScenarioShare("open", 0, bytes(S // 8), bytes(S // 8))
    assert set(split(empty, open_scenario(), ["w0", "w1"], SEED).values()) == {empty}


def test_who_holds_no_vu_gets_no_iterations() -> None:
    shares = share_out(plan_of(1, 2), dict.fromkeys("abcd", 1.0), S)
    assert sorted(len(slots) for slots in held_slots(shares, "open").values()) == [0, 0, 512, 512]
    assert sorted(len(slots) for slots in held_slots(shares, "closed").values()) == [0, 0, 0, 1024]


def test_shares_without_anybody_are_refused() -> None:
    with pytest.raises(ValueError, match="nobody with a weight"):
        share_out(plan_of(1, 1), {"a": 0.0}, S)


def test_there_are_at_least_64_slots_for_each_owner() -> None:
    assert [slot_count(owners) for owners in (1, 16, 17, 32, 33, 1000)] == [1024, 1024, 2048, 2048, 4096, 65_536]


def test_offsets_differ_between_scenarios_and_seeds() -> None:
    offsets = {slot_offset(seed, name) for seed in range(10) for name in ("browse", "buy")}
    assert len(offsets) == 20
    assert slot_offset(3, "browse") == slot_offset(3, "browse")
    assert all(0 <= offset < 2**32 for offset in offsets)


@given(st.lists(st.integers(0, 2**40), max_size=20), st.integers(0, 2**32 - 1))
def test_slots_of_arrays_are_slots_of_their_numbers(indices: list[int], offset: int) -> None:
    slots = slot_of(np.array(indices, dtype=np.int64), offset, S).tolist()
    assert slots == [slot_of(index, offset, S) for index in indices] == [(i + offset) % S for i in indices]


@given(st.sets(st.integers(0, S - 1)))
def test_bitmaps_read_back(slots: set[int]) -> None:
    bitmap = to_bitmap(slots, S)
    assert len(bitmap) == S // 8
    assert from_bitmap(bitmap).tolist() == sorted(slots)
    assert np.flatnonzero(to_mask(bitmap)).tolist() == sorted(slots)


def test_bits_are_little_endian_within_bytes() -> None:
    assert to_bitmap([0, 9, 15], 16) == bytes([0b00000001, 0b10000010])


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        (open_scenario(max_vus=1000, rate=250), 250),
        (open_scenario(max_vus=100, rate=250), 100),
        (open_scenario(max_vus=100, rate=0.2), 1),
        (open_scenario(max_vus=100, rate=33.1), 34),
        (open_scenario(max_vus=100, rate=250, pre_allocated_vus=7), 7),
        (open_scenario(max_vus=5, rate=250, pre_allocated_vus=7), 5),
    ],
)
def test_vus_before_the_start_serve_a_second_of_the_peak_rate(
    scenario: ConstantArrivalRate, expected: int
) -> None:
    assert default_pre_allocated(scenario) == expected
