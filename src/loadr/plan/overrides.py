"""``--vus`` and ``--duration`` of the command line, put over a plan.

``vus`` replaces the number of users of every closed scenario; the load of open ones is a rate, and stays.
``duration_ns`` replaces the length of every scenario; the stages of a ramp are stretched in proportion, to the
nanosecond. A flag that would change nothing is refused.
"""

from __future__ import annotations

from pydantic import ValidationError

from loadr.errors import Fault, PlanInvalid
from loadr.plan.model import AllowedLoss, ConstantVus, Plan, RampingArrivalRate, Scenario, Stage
from loadr.units import MAX_DURATION_NS

MAX_VUS = 1_000_000


def override(plan: Plan, *, vus: int | None = None, duration_ns: int | None = None) -> Plan:
    """The plan with the overrides in it. Raises `PlanInvalid` if one is out of range or changes nothing."""
    faults = []
    if vus is not None and not 1 <= vus <= MAX_VUS:
        faults.append(_fault("--vus", f"must be from 1 to {MAX_VUS:,}, and is {vus}"))
    elif vus is not None and not any(isinstance(scenario, ConstantVus) for scenario in plan.scenarios.values()):
        hint = "open scenarios follow their rate; change rate or max_vus in the plan"
        faults.append(_fault("--vus", "no scenario of the plan has a fixed number of VUs", hint))
    if duration_ns is not None and not 0 < duration_ns <= MAX_DURATION_NS:
        faults.append(_fault("--duration", "must be longer than 0s, and at most a year"))
    if faults:
        raise PlanInvalid(faults)
    scenarios = {name: _override(scenario, vus, duration_ns) for name, scenario in plan.scenarios.items()}
    return plan.model_copy(update={"scenarios": scenarios})


def with_allowed_loss(plan: Plan, text: str) -> Plan:
    """The plan with another ``allowed_loss``. Raises `PlanInvalid`."""
    try:
        return plan.model_copy(update={"allowed_loss": AllowedLoss(text=text)})
    except ValidationError:
        hint = "a number of requests such as 100, or a part of all such as 0.5%"
        raise PlanInvalid([_fault("--allowed-loss", f"is {text!r}", hint)]) from None


def _override(scenario: Scenario, vus: int | None, duration_ns: int | None) -> Scenario:
    if isinstance(scenario, ConstantVus) and vus is not None:
        scenario = scenario.model_copy(update={"vus": vus})
    if duration_ns is None:
        return scenario
    if isinstance(scenario, RampingArrivalRate):
        return scenario.model_copy(update={"stages": _stretch(scenario.stages, duration_ns)})
    return scenario.model_copy(update={"duration_ns": duration_ns})


def _stretch(stages: tuple[Stage, ...], total_ns: int) -> tuple[Stage, ...]:
    """The same shape within ``total_ns``: each boundary is moved in proportion and rounded down."""
    before_ns = sum(stage.duration_ns for stage in stages)
    out = []
    passed_ns = start_ns = 0
    for stage in stages:
        passed_ns += stage.duration_ns
        end_ns = passed_ns * total_ns // before_ns
        out.append(stage.model_copy(update={"duration_ns": end_ns - start_ns}))
        start_ns = end_ns
    return tuple(out)


def _fault(flag: str, message: str, hint: str = "") -> Fault:
    return Fault("command line", 0, 0, flag, message, hint)
