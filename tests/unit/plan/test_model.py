from __future__ import annotations

import pytest
from pydantic import ValidationError

from loadr.plan.model import EXECUTORS, ConstantVus, Plan, RequestStep

SCENARIO = {
    "executor": "constant-vus",
    "vus": 1,
    "duration": "1m30s",
    "flow": [{"request": {"method": "GET", "url": "/"}}],
}


def plan_of(**changes: object) -> Plan:
    return Plan.model_validate({"scenarios": {"a": SCENARIO}, **changes})


def test_durations_are_nanoseconds_inside_and_exact_text_outside():
    plan = plan_of(lease="1.000000001s")
    assert plan.lease_ns == 1_000_000_001
    assert b'"lease":"1.000000001s"' in plan.canonical_json()
    assert Plan.from_json(plan.canonical_json()).lease_ns == 1_000_000_001


def test_the_digest_follows_the_content():
    assert plan_of().digest == plan_of().digest
    assert plan_of().digest != plan_of(seed=1).digest
    assert len(plan_of().digest) == 64


def test_a_plan_lasts_until_its_last_scenario_ends():
    later = {**SCENARIO, "start_time": "2m"}
    assert plan_of(scenarios={"a": SCENARIO, "b": later}).duration_ns == 210_000_000_000


def test_a_ramp_lasts_as_long_as_its_stages():
    ramp = {
        "executor": "ramping-arrival-rate",
        "max_vus": 1,
        "flow": [],
        "stages": [{"duration": "1s", "target": 1}, {"duration": "500ms", "target": 0}],
    }
    assert plan_of(scenarios={"a": ramp}).duration_ns == 1_500_000_000


def test_plans_do_not_change():
    with pytest.raises(ValidationError):
        plan_of().seed = 5


def test_unknown_keys_and_executors_are_errors():
    with pytest.raises(ValidationError):
        plan_of(nme="x")
    with pytest.raises(ValidationError):
        plan_of(scenarios={"a": {**SCENARIO, "executor": "ramping-vus"}})
    with pytest.raises(ValidationError):
        Plan.from_json(b"{}")


def test_the_executor_decides_the_model():
    assert isinstance(plan_of().scenarios["a"], ConstantVus)
    assert EXECUTORS == ("constant-vus", "constant-arrival-rate", "ramping-arrival-rate")


def test_a_request_is_named_or_has_its_url_as_name():
    assert RequestStep(method="GET", url="/x/${i}").metric_name == "/x/${i}"
    assert RequestStep(method="GET", url="/x", name="items").metric_name == "items"
