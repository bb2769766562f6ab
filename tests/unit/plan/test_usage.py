from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadr.plan.model import ConstantArrivalRate, DataSet, Plan
from loadr.plan.usage import block_sets, rows_limit, secrets_of, unique_users


def plan_of(rows: int, users: int, on_end: str = "stop", mode: str = "unique") -> Plan:
    def scenario(uses: tuple[str, ...]) -> ConstantArrivalRate:
        return ConstantArrivalRate.model_validate(
            {
                "executor": "constant-arrival-rate",
                "rate": 1,
                "duration": "1s",
                "max_vus": 1,
                "uses": uses,
                "flow": (),
            }
        )

    return Plan(
        data={"users": DataSet(file="u.csv", rows=rows, mode=mode, on_end=on_end)},  # type: ignore[arg-type]
        scenarios={**{f"s{i}": scenario(("users",)) for i in range(users)}, "idle": scenario(())},
    )


def test_users_of_unique_data_stand_in_the_order_of_the_plan():
    assert unique_users(plan_of(10, 3)) == {"users": ("s0", "s1", "s2")}
    assert unique_users(plan_of(10, 3, mode="random")) == {}


@given(st.integers(0, 40), st.integers(1, 6))
def test_the_scenarios_use_every_row_once_and_then_end(rows, users):
    plan = plan_of(rows, users)
    taken = [k * users + i for i in range(users) for k in range(rows_limit(plan, f"s{i}") or 0)]
    assert sorted(taken) == list(range(rows))


@pytest.mark.parametrize(("on_end", "mode"), [("recycle", "unique"), ("stop", "random")])
def test_rows_that_come_again_are_no_limit(on_end, mode):
    assert rows_limit(plan_of(5, 2, on_end, mode), "s0") is None


def test_a_scenario_without_data_has_no_limit_and_the_smallest_of_several_counts():
    plan = plan_of(5, 1)
    assert rows_limit(plan, "idle") is None
    assert rows_limit(plan, "s0") == 5
    more = plan.model_copy(
        update={
            "data": {**plan.data, "few": DataSet(file="f.csv", rows=2, mode="unique")},
            "scenarios": {"s0": plan.scenarios["s0"].model_copy(update={"uses": ("users", "few")})},
        }
    )
    assert rows_limit(more, "s0") == 2


def test_secrets_are_found_wherever_an_expression_of_the_plan_stands():
    request = {
        "method": "POST",
        "url": "/x/${secret.URL}/secret.text",
        "headers": {"a": "${secret['HEADER']}"},
        "json": {"deep": [{"k": "${int(secret.BODY) + len(secret.BODY)}"}]},
        "check": {"ok": "${response.text == secret.CHECK}"},
    }
    scenario = {"executor": "constant-vus", "vus": 1, "duration": "1s", "flow": [{"request": request}]}
    defaults = {"http": {"headers": {"b": "Bearer ${secret.DEFAULT}"}}}
    plan = Plan.model_validate({"scenarios": {"s": scenario}, "defaults": defaults})
    assert secrets_of(plan) == ("BODY", "CHECK", "DEFAULT", "HEADER", "URL")
    assert secrets_of(plan_of(1, 1)) == ()


def test_rows_are_granted_of_unique_sets_that_only_closed_scenarios_use():
    body = {"duration": "1s", "flow": [], "uses": ["users"]}
    closed = {"executor": "constant-vus", "vus": 1, **body}
    opened = {"executor": "constant-arrival-rate", "rate": 1, "max_vus": 1, **body}
    data = {"users": {"file": "u.csv", "rows": 5, "mode": "unique"}, "other": {"file": "u.csv", "rows": 5}}
    of = lambda **scenarios: block_sets(Plan.model_validate({"data": data, "scenarios": scenarios}))  # noqa: E731
    assert of(a=closed, b=closed) == ("users",)
    assert of(a=opened) == of(a=closed, b=opened) == ()
