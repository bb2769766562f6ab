from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadr.errors import PlanInvalid
from loadr.plan.model import Plan
from loadr.plan.overrides import override
from loadr.units import NS_PER_S

FLOW = [{"think": {"low_ns": "1s", "high_ns": "1s"}}]


def plan_of(*stages: tuple[int, float], closed: bool = True) -> Plan:
    scenarios = {
        "open": {"executor": "constant-arrival-rate", "rate": 5, "duration": "1m", "max_vus": 9, "flow": FLOW},
        "ramp": {
            "executor": "ramping-arrival-rate",
            "max_vus": 9,
            "flow": FLOW,
            "stages": [{"duration": f"{ns}ns", "target": target} for ns, target in stages or ((NS_PER_S, 5),)],
        },
    }
    if closed:
        scenarios["closed"] = {"executor": "constant-vus", "vus": 3, "duration": "1m", "flow": FLOW}
    return Plan.model_validate({"scenarios": scenarios})


def faults(plan: Plan, **flags: int) -> list[str]:
    with pytest.raises(PlanInvalid) as caught:
        override(plan, **flags)
    return [f"{fault} -> {fault.hint}" for fault in caught.value.faults]


def test_without_overrides_the_plan_stays():
    assert override(plan_of()) == plan_of()


def test_vus_go_to_closed_scenarios_only():
    changed = override(plan_of(), vus=50).scenarios
    assert changed["closed"].vus == 50
    assert changed["open"] == plan_of().scenarios["open"]


def test_the_duration_goes_to_all_and_ramps_keep_their_shape():
    changed = override(plan_of((2 * NS_PER_S, 5), (0, 9), (6 * NS_PER_S, 1)), duration_ns=4 * NS_PER_S)
    assert {name: scenario.duration_ns for name, scenario in changed.scenarios.items()} == dict.fromkeys(
        ("open", "ramp", "closed"), 4 * NS_PER_S
    )
    stages = [(stage.duration_ns, stage.target) for stage in changed.scenarios["ramp"].stages]
    assert stages == [(NS_PER_S, 5), (0, 9), (3 * NS_PER_S, 1)]


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=6).filter(any), st.integers(1, 10**13))
def test_a_stretched_ramp_lasts_exactly_as_long_as_asked_for(durations, total):
    changed = override(plan_of(*((ns, 1) for ns in durations)), duration_ns=total)
    assert changed.scenarios["ramp"].duration_ns == total
    assert all(stage.duration_ns >= 0 for stage in changed.scenarios["ramp"].stages)
    assert Plan.from_json(changed.canonical_json()) == changed


def test_overrides_out_of_range_or_without_effect_are_refused():
    assert faults(plan_of(), vus=0, duration_ns=0) == [
        "command line: --vus: must be from 1 to 1,000,000, and is 0 -> ",
        "command line: --duration: must be longer than 0s, and at most a year -> ",
    ]
    assert faults(plan_of(closed=False), vus=5) == [
        "command line: --vus: no scenario of the plan has a fixed number of VUs"
        " -> open scenarios follow their rate; change rate or max_vus in the plan"
    ]
