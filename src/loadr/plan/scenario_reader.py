"""One scenario: a mapping as written in YAML → the model of its executor, every fault told."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from loadr.plan.explain import build, keys_of, refuse_unknown, show
from loadr.plan.faults import FaultList, Route
from loadr.plan.flow_reader import FlowReader
from loadr.plan.model import (
    EXECUTORS,
    ConstantArrivalRate,
    ConstantVus,
    RampingArrivalRate,
    Scenario,
    Stage,
    Step,
)
from loadr.plan.scope import Scope, did_you_mean

_MODELS: Mapping[str, type[ConstantVus] | type[ConstantArrivalRate] | type[RampingArrivalRate]] = {
    "constant-vus": ConstantVus,
    "constant-arrival-rate": ConstantArrivalRate,
    "ramping-arrival-rate": RampingArrivalRate,
}
_PLANNED_EXECUTORS = ("ramping-vus", "per-vu-iterations", "shared-iterations", "externally-controlled")
# Stands in for stages that have faults, so that the other keys are checked all the same.
_PLACEHOLDER = (Stage(duration_ns=1, target=1),)
_ALL_KEYS = list(dict.fromkeys(key for model in _MODELS.values() for key in keys_of(model)))


class ScenarioReader:
    """``scope`` is what every scenario knows. ``relative_urls`` grows with each scenario read."""

    def __init__(self, scope: Scope, faults: FaultList) -> None:
        self._scope = scope
        self._faults = faults
        self.relative_urls: list[Route] = []

    def read(self, raw: Mapping[str, Any], route: Route, script_data: Collection[str]) -> Scenario | None:
        """The scenario, or None and at least one fault. ``script_data`` is what its script, if any, declares."""
        before = len(self._faults)
        flow, flow_data = self._read_body(raw, route)
        model = self._executor(raw, route)
        if model is None:
            refuse_unknown(raw, _ALL_KEYS, route, self._faults)
            return None
        known = keys_of(model)
        belongs = {
            key: f"{key} belongs to {', '.join(name for name, other in _MODELS.items() if key in keys_of(other))}"
            for key in _ALL_KEYS
            if key not in known
        }
        values = refuse_unknown(raw, known, route, self._faults, belongs)
        if flow is not None:
            values["flow"] = flow
        if "stages" in values:
            values["stages"] = self._read_stages(values["stages"], (*route, "stages"))
        used = {*flow_data, *script_data}
        uses = tuple(name for name in self._scope.data if name in used)
        scenario = build(model, {**values, "uses": uses}, route, self._faults)
        if scenario is not None:
            self._check(scenario, route)
        return scenario if len(self._faults) == before else None

    def _executor(
        self, raw: Mapping[str, Any], route: Route
    ) -> type[ConstantVus] | type[ConstantArrivalRate] | type[RampingArrivalRate] | None:
        supported = f"supported: {', '.join(EXECUTORS)}"
        if "executor" not in raw:
            self._faults.add((*route, "executor"), "the key 'executor' is missing", supported)
            return None
        kind = raw["executor"]
        model = _MODELS.get(kind) if isinstance(kind, str) else None
        if model is None:
            inner = (*route, "executor")
            if not isinstance(kind, str):
                self._faults.add(inner, f"must name an executor, and is {show(kind)}", supported)
            elif kind in _PLANNED_EXECUTORS:
                self._faults.add(inner, f"executor {kind!r} is not supported yet; {supported}")
            else:
                self._faults.add(inner, f"unknown executor {kind!r}", did_you_mean(kind, EXECUTORS))
        return model

    def _read_body(self, raw: Mapping[str, Any], route: Route) -> tuple[tuple[Step, ...] | None, set[str]]:
        """The steps of a flow and the data sets in them; None for a script."""
        if "flow" in raw and "script" in raw:
            what = "a scenario has a flow or a script, and this one has both"
            self._faults.add((*route, "script"), what, "remove one of them", at_key=True)
        elif "flow" not in raw and "script" not in raw:
            self._faults.add(
                route, "a scenario needs a flow or a script", "add flow: with a list of steps", at_key=True
            )
        if "function" in raw and "script" not in raw:
            what = "function names a function of a script, and there is no script"
            self._faults.add((*route, "function"), what, "add script: or remove function:", at_key=True)
        if "flow" not in raw:
            return None, set()
        reader = FlowReader(self._scope, self._faults)
        steps = reader.read(raw["flow"], (*route, "flow"))
        self.relative_urls += reader.relative_urls
        return steps, reader.uses

    def _read_stages(self, stages: Any, route: Route) -> Any:
        """The stages; what is not a list stays as it is, for the model to refuse."""
        if not isinstance(stages, list):
            return stages
        before = len(self._faults)
        read = []
        for i, raw in enumerate(stages):
            inner = (*route, i)
            if not isinstance(raw, dict):
                self._faults.add(
                    inner, f"must be a stage, and is {show(raw)}", "write { duration: 1m, target: 500 }"
                )
                continue
            stage = build(Stage, refuse_unknown(raw, keys_of(Stage), inner, self._faults), inner, self._faults)
            if stage is not None:
                read.append(stage)
        if read and not sum(stage.duration_ns for stage in read) and len(self._faults) == before:
            self._faults.add(route, "all stages together last 0s", "give them a duration")
        return tuple(read) if read or not stages else _PLACEHOLDER

    def _check(self, scenario: Scenario, route: Route) -> None:
        """What types and ranges do not say."""
        add = self._faults.add
        if not isinstance(scenario, RampingArrivalRate) and scenario.duration_ns == 0:
            add((*route, "duration"), "must be longer than 0s")
        if isinstance(scenario, ConstantVus):
            return
        if scenario.time_unit_ns == 0:
            add(
                (*route, "time_unit"),
                "must be longer than 0s",
                "rate is counted per time_unit; leave it out for 1s",
            )
        if scenario.pre_allocated_vus is not None and scenario.pre_allocated_vus > scenario.max_vus:
            what = (
                f"max_vus ({scenario.max_vus:,}) is less than pre_allocated_vus ({scenario.pre_allocated_vus:,})"
            )
            add((*route, "max_vus"), what, "raise max_vus or lower pre_allocated_vus")
        if isinstance(scenario, RampingArrivalRate) and not (
            scenario.start_rate or any(stage.target for stage in scenario.stages)
        ):
            add((*route, "stages"), "the rate is 0 all the time", "give start_rate or a target above 0")
