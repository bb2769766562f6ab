import pytest

from loadr.plan.model import Plan
from loadr.report.preview import render_preview
from loadr.schedule.preview import preview

FLOW = [{"request": {"method": "GET", "url": "/items", "name": "items"}}]
MIXED = {
    "name": "checkout",
    "seed": 7,
    "data": {"users": {"file": "users.csv", "mode": "unique", "rows": 1000, "columns": ["name"]}},
    "scenarios": {
        "browse": {
            "executor": "ramping-arrival-rate",
            "start_rate": 10,
            "stages": [{"duration": "10s", "target": 100}],
            "max_vus": 30,
            "uses": ["users"],
            "flow": [{"request": {"method": "GET", "url": "/items?user=${users.name}", "name": "items"}}],
        },
        "buy": {"executor": "constant-vus", "vus": 6, "duration": "5s", "flow": FLOW},
    },
}


def lines_for(agents: int) -> list[str]:
    plan = Plan.model_validate(MIXED)
    return render_preview(plan, preview(plan, agents)).splitlines()


def test_each_agent_has_its_share_of_each_scenario() -> None:
    lines = lines_for(3)
    assert lines[0] == "checkout: 10.0s, seed 7, 3 agents"
    assert "browse  ramping-arrival-rate, 550 iterations, at most 30 VUs" in lines
    assert "buy  constant-vus, 6 VUs" in lines
    for agent in ("agent-1", "agent-2", "agent-3"):
        assert sum(line.strip().startswith(agent) for line in lines) == 3  # share, first starts, share of buy


def test_the_iterations_of_all_agents_sum_to_the_schedules() -> None:
    lines = lines_for(3)
    start = lines.index("browse  ramping-arrival-rate, 550 iterations, at most 30 VUs") + 2
    assert sum(int(line.split()[4]) for line in lines[start : start + 3]) == 550


def test_rows_of_unique_data_are_shown_with_their_range() -> None:
    lines = lines_for(1)
    assert any(line.endswith("rows of users") for line in lines)
    assert any(line.endswith("550 of 0 … 549") for line in lines)


def test_the_rate_over_time_starts_and_ends_as_the_plan_says() -> None:
    lines = lines_for(1)
    start = lines.index("  rate over time") + 2
    assert lines[start].split() == ["0s", "10.0/s", "10.0/s"]
    assert lines[start + 11].split() == ["10.0s", "100/s", "100/s"]


@pytest.mark.parametrize("agents", [1, 3, 20])
def test_the_tables_fit_80_columns(agents: int) -> None:
    assert max(map(len, lines_for(agents))) <= 80


def test_of_a_large_fleet_the_rate_over_time_is_shown_for_the_first_agents() -> None:
    assert "  rate over time, of the first 6 agents" in lines_for(20)
