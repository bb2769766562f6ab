"""The preview says what a fleet of that size does."""

from __future__ import annotations

import pytest

from loadr.plan.model import Plan
from loadr.schedule.preview import Preview, RowRange, preview
from loadr.units import NS_PER_S

OPEN = {"executor": "constant-arrival-rate", "rate": 100, "duration": "60s", "max_vus": 60}


def plan_of(on_end: str = "stop") -> Plan:
    return Plan.model_validate(
        {
            "data": {"users": {"file": "users.csv", "mode": "unique", "on_end": on_end, "rows": 4000}},
            "scenarios": {
                "even": OPEN | {"uses": ["users"], "pre_allocated_vus": 6},
                "late": {
                    "executor": "ramping-arrival-rate",
                    "stages": [{"duration": "50s", "target": 100}],
                    "start_time": "60s",
                    "max_vus": 1,
                    "arrivals": "poisson",
                    "uses": ["users"],
                },
                "closed": {"executor": "constant-vus", "vus": 10, "duration": "110s"},
            },
        }
    )


@pytest.mark.parametrize("agents", [1, 3, 10])
def test_agents_add_up_to_the_fleet(agents: int) -> None:
    seen = preview(plan_of(), agents)
    assert [agent.name for agent in seen.agents] == [f"agent-{n}" for n in range(1, agents + 1)]
    for at, whole in enumerate(seen.fleet):
        parts = [agent.scenarios[at] for agent in seen.agents]
        assert {part.scenario for part in parts} == {whole.scenario}
        assert sum(part.vus for part in parts) == whole.vus
        assert sum(part.pre_allocated_vus for part in parts) == whole.pre_allocated_vus
        assert sum(part.part for part in parts) == pytest.approx(1.0)
        assert whole.part == 1.0
        assert sum(part.iterations or 0 for part in parts) == (whole.iterations or 0)
        for i, rate in enumerate(whole.rates):
            assert sum(part.rates[i] for part in parts) == pytest.approx(rate)
        assert sum(rows.taken for part in parts for rows in part.rows) == sum(rows.taken for rows in whole.rows)
        assert sorted(arrival for part in parts for arrival in part.first)[:5] == list(whole.first)


def test_rates_follow_the_plan_at_twelve_instants() -> None:
    seen = preview(plan_of("recycle"), 1)
    assert [ns // NS_PER_S for ns in seen.instants_ns] == list(range(0, 111, 10))
    even, late, closed = seen.fleet
    assert even.rates == (100.0,) * 7 + (0.0,) * 5
    assert late.rates == pytest.approx((0.0,) * 7 + (20.0, 40.0, 60.0, 80.0, 100.0))
    assert closed.rates == ()
    assert closed.iterations is None
    assert (closed.vus, closed.pre_allocated_vus, closed.first, closed.rows) == (10, 10, (), ())


def test_rows_that_end_cut_the_iterations() -> None:
    even, late, _ = preview(plan_of(), 1).fleet
    assert even.iterations == 2000
    assert even.rows == (RowRange("users", 0, 3998, 2000),)
    assert even.rates == (100.0,) * 3 + (0.0,) * 9
    assert late.iterations == 2000
    assert late.rows == (RowRange("users", 1, 3999, 2000),)


def test_rows_that_are_recycled_begin_again() -> None:
    even, _, _ = preview(plan_of("recycle"), 1).fleet
    assert even.iterations == 6000
    assert even.rows == (RowRange("users", 0, (5999 * 2) % 4000, 6000),)


def test_the_first_arrivals_are_those_of_the_plan() -> None:
    seen = preview(plan_of(), 2)
    assert seen.fleet[0].first == tuple((k, (k + 1) * 10_000_000) for k in range(5))
    assert [k for k, _ in seen.agents[0].scenarios[0].first] == [0, 2, 4, 6, 8]


def test_an_agent_without_a_vu_does_nothing_of_a_scenario() -> None:
    seen: Preview = preview(plan_of(), 3)
    late = [agent.scenarios[1] for agent in seen.agents]
    assert [part.vus for part in late] == [1, 0, 0]
    assert [(part.iterations, part.part, part.first, part.rows) for part in late[1:]] == [(0, 0.0, (), ())] * 2


def test_few_arrivals_for_many_agents_are_found_over_chunks() -> None:
    seen = preview(plan_of("recycle"), 1000)
    first = [agent.scenarios[0].first for agent in seen.agents]
    assert sorted(map(len, first)) == [0] * 940 + [5] * 60  # 60 VUs
