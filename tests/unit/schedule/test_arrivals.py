"""Arrivals: one sequence for the whole fleet, on any number of agents and workers, with moves in the middle."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadr.plan.model import ConstantArrivalRate, OpenScenario, Plan, RampingArrivalRate
from loadr.schedule.arrivals import Arrivals, OwnedArrivals
from loadr.schedule.marks import CHUNK
from loadr.schedule.ownership import from_bitmap, share_out, slot_count, split, to_bitmap
from loadr.schedule.share import ScenarioShare
from loadr.units import NS_PER_S

Sequence = list[tuple[int, int]]


def constant(
    arrivals: str = "uniform", rate: float = 1000, duration: str = "10s", **more: object
) -> OpenScenario:
    return ConstantArrivalRate.model_validate(
        {"executor": "constant-arrival-rate", "rate": rate, "duration": duration, "max_vus": 500}
        | {"arrivals": arrivals}
        | more
    )


def ramp(arrivals: str = "uniform", **more: object) -> OpenScenario:
    return RampingArrivalRate.model_validate(
        {
            "executor": "ramping-arrival-rate",
            "start_rate": 50,
            "stages": [{"duration": "5s", "target": 2000}, {"duration": "2s", "target": 0}],
            "max_vus": 500,
            "arrivals": arrivals,
        }
        | more
    )


def plan_of(scenario: OpenScenario, seed: int = 42) -> Plan:
    return Plan(seed=seed, scenarios={"browse": scenario})


def whole(plan: Plan, limit: int | None = None) -> Sequence:
    arrivals = Arrivals("browse", plan.scenarios["browse"], plan.seed, limit)
    out: Sequence = []
    for index in range(arrivals.count() // CHUNK + 1):
        out += zip(*(column.tolist() for column in arrivals.chunk(index)), strict=True)
    return out


def drain(cursor: OwnedArrivals) -> Iterator[tuple[int, int]]:
    while (chunk := cursor.next_chunk()) is not None:
        assert 1 <= len(chunk[0]) == len(chunk[1]) <= CHUNK
        yield from zip(chunk[0].tolist(), chunk[1].tolist(), strict=True)


def owned(plan: Plan, shares: Iterable[ScenarioShare]) -> Sequence:
    return list(drain(OwnedArrivals(Arrivals("browse", plan.scenarios["browse"], plan.seed), shares)))


def worker_sequences(plan: Plan, agents: int, workers: int) -> list[Sequence]:
    out = []
    for (share,) in share_out(plan, {f"agent-{i}": 1.0 for i in range(agents)}, slot_count(agents)).values():
        parts = split(share, plan.scenarios["browse"], range(workers), plan.seed)
        out += [owned(plan, [part]) for part in parts.values()]
    return out


# --- the whole sequence ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", [constant(), constant("poisson"), ramp(), ramp("poisson")])
@pytest.mark.parametrize("agents", [1, 3, 10])
@pytest.mark.parametrize("workers", [1, 4])
def test_any_fleet_sends_the_same_sequence(scenario: OpenScenario, agents: int, workers: int) -> None:
    plan = plan_of(scenario)
    parts = worker_sequences(plan, agents, workers)
    assert len(parts) == agents * workers
    assert all(part == sorted(part) for part in parts)
    assert sorted(arrival for part in parts for arrival in part) == whole(plan)


@given(
    st.integers(1, 3_000_000).map(lambda n: n / 1000),
    st.integers(1, 10_000_000_000),
    st.integers(0, 2**63 - 1),
    st.integers(1, 7),
)
def test_uniform_counts_are_exact_on_any_fleet(rate: float, duration_ns: int, seed: int, agents: int) -> None:
    plan = plan_of(constant(rate=rate, duration=f"{duration_ns}ns"), seed)
    expected = round(rate * 1000) * duration_ns // (1000 * NS_PER_S)
    parts = worker_sequences(plan, agents, 1)
    assert sum(map(len, parts)) == expected
    assert sorted(k for part in parts for k, _ in part) == list(range(expected))


def test_the_last_tick_happens_at_the_very_end() -> None:
    sequence = whole(plan_of(constant(rate=200, duration="60s", start_time="1s")))
    assert len(sequence) == 12_000
    assert sequence[0] == (0, 1_005_000_000)
    assert sequence[-1] == (11_999, 61 * NS_PER_S)


def test_uniform_gaps_over_ten_agents_are_as_from_one() -> None:
    merged = sorted(ns for part in worker_sequences(plan_of(constant()), 10, 1) for _, ns in part)
    assert set(np.diff(merged).tolist()) == {NS_PER_S // 1000}


def test_agents_interleave() -> None:
    parts = worker_sequences(plan_of(constant()), 10, 1)
    for part in parts:
        gaps_ms = np.diff([ns for _, ns in part]) / 1e6
        # 10 ms each, but where the 1024 slots begin again: 1024 = 102·10 + 4.
        assert set(gaps_ms.tolist()) == {4.0, 10.0} or set(gaps_ms.tolist()) == {10.0, 14.0}


def test_the_seed_moves_poisson_arrivals_and_not_uniform_ones() -> None:
    assert whole(plan_of(constant("poisson"), 1)) != whole(plan_of(constant("poisson"), 2))
    assert whole(plan_of(constant(), 1)) == whole(plan_of(constant(), 2))


def test_poisson_arrivals_follow_the_ramp() -> None:
    """Counts in ten stretches of the ramp are within four standard deviations of the integral."""
    scenario = ramp("poisson", time_unit="100ms")
    arrivals = Arrivals("browse", scenario, 9)
    instants = np.array([ns for _, ns in whole(plan_of(scenario, 9))])
    for start_ns in range(0, 7 * NS_PER_S, 700_000_000):
        end_ns = start_ns + 700_000_000
        expected = arrivals.shape.integral(end_ns) - arrivals.shape.integral(start_ns)
        got = int(np.count_nonzero((instants > start_ns) & (instants <= end_ns)))
        assert abs(got - expected) < 4 * math.sqrt(expected)


@pytest.mark.parametrize("kind", ["uniform", "poisson"])
@pytest.mark.parametrize("limit", [0, 1, 4096, 5000])
def test_a_limit_cuts_the_sequence(kind: str, limit: int) -> None:
    plan = plan_of(constant(kind))
    assert whole(plan, limit) == whole(plan)[:limit]


@pytest.mark.parametrize("kind", ["uniform", "poisson"])
def test_the_instant_of_one_iteration_is_that_of_the_sequence(kind: str) -> None:
    scenario = constant(kind, start_time="2s")
    arrivals = Arrivals("browse", scenario, 42)
    sequence = whole(plan_of(scenario))
    for iteration in (0, 4095, 4096, len(sequence) - 1):
        assert arrivals.instant(iteration) == sequence[iteration][1]
    assert arrivals.instant(len(sequence)) == 12 * NS_PER_S


@pytest.mark.parametrize("kind", ["uniform", "poisson"])
@given(run_ns=st.integers(-1, 14 * NS_PER_S))
def test_skipping_passes_over_no_later_arrival(kind: str, run_ns: int) -> None:
    arrivals = Arrivals("browse", constant(kind, start_time="2s"), 42)
    index = arrivals.skip_to(run_ns)
    if index > 0:
        assert arrivals.chunk(index - 1)[1][-1] < run_ns
    following = arrivals.chunk(index + 1)[1]
    assert not len(following) or following[-1] >= run_ns


# --- moving load -------------------------------------------------------------------------------------------


def test_nothing_is_owned_without_a_share() -> None:
    plan = plan_of(constant())
    assert owned(plan, []) == []
    assert owned(plan, [ScenarioShare("browse", 0, bytes(128))]) == []


@pytest.mark.parametrize("kind", ["uniform", "poisson"])
@given(
    losses=st.lists(st.tuples(st.integers(0, 11 * NS_PER_S), st.integers(0, 3)), max_size=4),
    ahead=st.integers(0, 3000),
)
def test_load_that_moves_is_owned_once(kind: str, losses: list[tuple[int, int]], ahead: int) -> None:
    """Owners leave and come back at planned instants; each had generated ahead, and rewinds."""
    plan = plan_of(constant(kind, rate=800))
    scenario = plan.scenarios["browse"]
    names = ["a", "b", "c", "d"]
    here = dict.fromkeys(names, 1.0)
    held = share_out(plan, here, 1024)
    cursors = {n: OwnedArrivals(Arrivals("browse", scenario, plan.seed), held[n]) for n in names}
    sent: dict[str, Sequence] = {name: [] for name in names}
    for at_ns, who in sorted(losses):
        for name in names:
            dispatched, last = [], sent[name][-1][0] if sent[name] else -1
            early = 0
            for arrival in drain(cursors[name]):
                if arrival[1] >= at_ns:
                    early += 1
                    if early > ahead:
                        break
                    continue
                dispatched.append(arrival)
            sent[name] += dispatched
            cursors[name].rewind_to((dispatched[-1][0] if dispatched else last) + 1)
        here[names[who]] = 1.0 - here[names[who]]
        if not any(here.values()):
            here[names[who]] = 1.0
        held = share_out(plan, here, 1024, from_run_ns=at_ns, previous=held)
        for name in names:
            cursors[name].apply(held[name][0])
    for name in names:
        sent[name] += drain(cursors[name])
    assert sorted(arrival for part in sent.values() for arrival in part) == whole(plan)


def test_what_is_planned_before_the_move_stays_whose_it_was() -> None:
    plan = plan_of(constant(rate=100))
    everything, nothing = to_bitmap(range(1024), 1024), bytes(128)
    at_ns = 5 * NS_PER_S
    giver = owned(plan, [ScenarioShare("browse", 0, everything), ScenarioShare("browse", at_ns, nothing)])
    taker = owned(plan, [ScenarioShare("browse", at_ns, everything)])
    assert giver[-1] == (498, at_ns - 10_000_000)
    assert taker[0] == (499, at_ns)
    assert giver + taker == whole(plan)


def test_a_later_share_replaces_those_that_were_to_hold_later() -> None:
    plan = plan_of(constant(rate=100))
    everything, nothing = to_bitmap(range(1024), 1024), bytes(128)
    shares = [
        ScenarioShare("browse", 0, everything),
        ScenarioShare("browse", 5 * NS_PER_S, nothing),
        ScenarioShare("browse", 3 * NS_PER_S, everything),
    ]
    assert owned(plan, shares) == whole(plan)


def test_an_owner_of_nothing_can_be_given_something_later() -> None:
    plan = plan_of(constant(rate=100))
    cursor = OwnedArrivals(Arrivals("browse", plan.scenarios["browse"], plan.seed))
    cursor.apply(ScenarioShare("browse", 0, bytes(128)))
    assert cursor.next_chunk() is None
    cursor.apply(ScenarioShare("browse", 5 * NS_PER_S, to_bitmap(range(1024), 1024)))
    cursor.rewind_to(0)
    assert list(drain(cursor)) == [(k, ns) for k, ns in whole(plan) if ns >= 5 * NS_PER_S]


def test_shares_may_have_more_slots_than_those_before() -> None:
    plan = plan_of(constant(rate=100))
    small, large = (
        share_out(plan, {"a": 1.0, "b": 1.0}, 1024),
        share_out(plan, {"a": 1.0, "b": 1.0}, 4096, from_run_ns=5 * NS_PER_S),
    )
    parts = [owned(plan, [small[name][0], large[name][0]]) for name in "ab"]
    assert sorted(parts[0] + parts[1]) == whole(plan)


def test_an_owner_of_little_gets_little_at_a_time() -> None:
    plan = plan_of(constant(rate=10_000))
    (share,) = share_out(plan, {f"agent-{i}": 1.0 for i in range(10)}, 1024)["agent-3"]
    cursor = OwnedArrivals(Arrivals("browse", plan.scenarios["browse"], plan.seed), [share])
    chunk = cursor.next_chunk()
    assert chunk is not None
    assert len(chunk[0]) == CHUNK // 1024 * len(from_bitmap(share.slots))


def test_below_its_first_iteration_a_share_takes_nothing_and_leaves_what_was_owned_before() -> None:
    plan = plan_of(constant(rate=1000, duration="2s"))
    everything = to_bitmap(range(1024), 1024)
    half = to_bitmap(range(512), 1024)
    nothing = to_bitmap([], 1024)
    at_ns, first = NS_PER_S // 2, 1200  # planned at 1.2 s
    taker = owned(
        plan, [ScenarioShare("browse", 0, half), ScenarioShare("browse", at_ns, everything, b"", first)]
    )
    giver = owned(
        plan, [ScenarioShare("browse", 0, everything), ScenarioShare("browse", at_ns, nothing, b"", first)]
    )
    assert [k for k, _ in giver] == list(range(first))
    assert [k for k, _ in taker if k >= first] == list(range(first, 2000))
    alone = [k for k, _ in owned(plan, [ScenarioShare("browse", 0, half)])]
    assert [k for k, _ in taker if k < first] == [k for k in alone if k < first]


def test_of_a_share_that_holds_from_a_late_iteration_nothing_is_owned_early() -> None:
    plan = plan_of(constant(rate=1000, duration="20s"))
    everything = to_bitmap(range(1024), 1024)
    late = owned(plan, [ScenarioShare("browse", 0, everything, b"", 9000)])
    assert [k for k, _ in late] == list(range(9000, 20000))
