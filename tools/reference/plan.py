"""The plan: every key of every model with its type and default from the code, and what it means."""

from __future__ import annotations

import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, MinLen
from pydantic.fields import FieldInfo

from loadr.plan import model as m
from loadr.plan.explain import keys_of
from loadr.units import format_duration_ns
from reference.source import table, words_for

SECTIONS: dict[str, tuple[str, type[m.Frozen]]] = {
    "The plan": ("", m.Plan),
    "defaults.http": ("", m.HttpDefaults),
    "data": ("One entry for each set, by name.", m.DataSet),
    "setup, teardown": ("A `flow` or a `script`.", m.Around),
    "Every scenario": ("One entry for each scenario, by name. It has a `flow` or a `script`.", m.ScenarioBase),
    "executor: constant-vus": ("", m.ConstantVus),
    "executor: constant-arrival-rate": ("", m.ConstantArrivalRate),
    "executor: ramping-arrival-rate": ("", m.RampingArrivalRate),
    "A stage": ("", m.Stage),
    "A request": ("The method is a key of the step, its value the url: `get: /items`.", m.RequestStep),
    "A rendezvous": ("A step of its own: `rendezvous: { name: door, users: 10 }`.", m.RendezvousStep),
    "An extract": ("By the name of the variable.", m.Extract),
    "A threshold": ("Text alone stands for `threshold`.", m.Threshold),
}

WORDS = {
    "Plan.name": "for people; the run's id begins with it",
    "Plan.seed": "of every draw: Poisson arrivals, think times, random rows; the same seed gives the same load",
    "Plan.defaults": "what every request starts from",
    "Plan.data": "sets of rows for flows and scripts",
    "Plan.setup": "done once for the whole fleet before the load; see the guide to values of the fleet",
    "Plan.teardown": "done once for the whole fleet after the load",
    "Plan.include": "patterns of extra files that travel with the plan; see the guide to files",
    "Plan.scenarios": "at least one; all run side by side",
    "Plan.thresholds": "what must hold, by metric (`http_req_duration`, `http_req_duration{name:items}`)",
    "Plan.on_agent_loss": "what becomes of the share of an agent that is lost; see the guide to fleets",
    "Plan.allowed_loss": "how many requests may be missing after losses: a number, or a part such as `0.1%`",
    "Plan.lease": "how long an agent may go on without a word from the controller; at least 1s",
    "HttpDefaults.base_url": "stands before every url that begins with `/`",
    "HttpDefaults.timeout": "from asking for a connection to the last byte of the answer",
    "HttpDefaults.headers": "of every request; a request's own go first",
    "HttpDefaults.tls_verify": "`false` trusts any certificate",
    "HttpDefaults.tls_ca": "PEM file beside the plan with the authorities to trust",
    "DataSet.file": "a CSV with a header line, beside the plan; travels to the agents (this, or `corpus`)",
    "DataSet.corpus": "the name of a file on the agents' disks; `loadr corpus` prints the whole entry",
    "DataSet.sha256": "the digest of the corpus; required with `corpus`",
    "DataSet.format": "of the corpus",
    "DataSet.columns": "the header of the corpus; required with `corpus`, of a file it is read",
    "DataSet.rows": "of the corpus; required with `mode: unique`, of a file they are counted",
    "DataSet.mode": "`unique`: no row twice in the fleet; `random`: drawn for each iteration",
    "DataSet.on_end": "unique rows used up: the scenario stops, or starts again with the first",
    "Around.flow": "steps, as in a scenario; `${setup.NAME}` is what setup extracted as NAME",
    "Around.script": "a Python file beside the plan with a `@setup` or `@teardown` function",
    "Around.function": "which function of the script",
    "Around.timeout": "a setup that takes longer fails the run; at most 1h",
    "ScenarioBase.flow": "steps: `request`, `think` or `rendezvous`",
    "ScenarioBase.script": "a Python file beside the plan with `@scenario` functions",
    "ScenarioBase.function": "which function of the script; needed if it has several",
    "ScenarioBase.start_time": "when it begins, after the start of the run",
    "ScenarioBase.graceful_stop": "how long iterations may go on after the end; then they are interrupted",
    "ConstantVus.executor": "closed model: each VU starts its next iteration when the last one ended",
    "ConstantVus.vus": "over the whole fleet",
    "ConstantVus.duration": "iterations start for so long",
    "ConstantArrivalRate.executor": "open model: iterations start on schedule, whatever the target does",
    "ConstantArrivalRate.rate": "iterations per `time_unit`, over the whole fleet",
    "ConstantArrivalRate.time_unit": "what `rate` counts by",
    "ConstantArrivalRate.duration": "iterations are planned for so long",
    "ConstantArrivalRate.pre_allocated_vus": "VUs made before the start; default: one second's worth of the rate",
    "ConstantArrivalRate.max_vus": "cap of VUs; an arrival that finds none free is dropped",
    "ConstantArrivalRate.arrivals": "`uniform`: evenly spaced; `poisson`: as independent users come",
    "RampingArrivalRate.executor": "open model: the rate moves along stages",
    "RampingArrivalRate.start_rate": "iterations per `time_unit` at the beginning",
    "RampingArrivalRate.stages": "one after another, at least one",
    "RampingArrivalRate.time_unit": "what `start_rate` and the targets count by",
    "RampingArrivalRate.pre_allocated_vus": "as above, of the highest rate",
    "RampingArrivalRate.max_vus": "as above",
    "RampingArrivalRate.arrivals": "as above",
    "Stage.duration": "how long the way to the target takes; `0s` is a jump",
    "Stage.target": "iterations per `time_unit` at its end",
    "RequestStep.name": "tag `name` in the results; default: the url as written",
    "RequestStep.headers": "values may hold `${…}`",
    "RequestStep.params": "the query, encoded; values may hold `${…}`",
    "RequestStep.json": "a body as JSON; texts in it may hold `${…}`",
    "RequestStep.form": "a body as a form",
    "RequestStep.body": "a body as text",
    "RequestStep.timeout": "instead of `defaults.http.timeout`",
    "RequestStep.extract": "variables from the answer; one that is missing ends the iteration, and is counted",
    "RequestStep.check": "name → what must hold: `status: 200`, `status: [200, 304]`, or one expression",
    "RendezvousStep.name": "where VUs meet; of all scenarios and agents",
    "RendezvousStep.users": "so many must have come; then so many go on",
    "RendezvousStep.timeout": "from the first on; then all go on, and the check `rendezvous NAME` fails",
    "Extract.jsonpath": "the first match in the body",
    "Threshold.threshold": "`p(95)<400`, `rate<0.01`, `count>100`; with `over 30s`: of the last 30 seconds only",
    "Threshold.abort_on_fail": "stop the run as soon as it does not hold",
    "Threshold.delay_abort_eval": "but not before so much of the run has passed",
}


DEFAULTS = {"Plan.name": "the file's name", "Plan.seed": "drawn, and shown in the summary"}
"""What the loader fills in where nothing is written."""


def render() -> str:
    fields = {name: _own_fields(cls) for name, (_, cls) in SECTIONS.items()}
    keys = {f"{cls.__name__}.{key}" for name, (_, cls) in SECTIONS.items() for key, _ in fields[name]}
    words_for("plans", keys, WORDS)
    parts = []
    for name, (lead, cls) in SECTIONS.items():
        hints = get_type_hints(cls, include_extras=False)
        attributes = {info.alias or field: field for field, info in cls.model_fields.items()}
        rows = [
            (
                f"`{key}`",
                _type(hints[attributes[key]], info),
                DEFAULTS.get(f"{cls.__name__}.{key}") or _default(key, info),
                WORDS[f"{cls.__name__}.{key}"],
            )
            for key, info in fields[name]
        ]
        parts += [f"## {name}", lead, table(("Key", "Type", "Default", "Meaning"), rows)]
    return "\n\n".join(part for part in parts if part)


def _own_fields(cls: type[m.Frozen]) -> list[tuple[str, FieldInfo]]:
    """Those that a person writes, and that no base has."""
    base = issubclass(cls, m.ScenarioBase) and cls is not m.ScenarioBase
    inherited = m.ScenarioBase.model_fields if base else {}
    named = {info.alias or name: info for name, info in cls.model_fields.items() if name not in inherited}
    return [(key, named[key]) for key in keys_of(cls) if key in named]


def _type(hint: Any, info: FieldInfo) -> str:
    if (info.alias or "") in _DURATIONS:
        return "duration"
    return _word(hint) + _bounds(info)


_DURATIONS = {"timeout", "duration", "start_time", "graceful_stop", "time_unit", "lease", "delay_abort_eval"}


def _word(hint: Any) -> str:
    args = get_args(hint)
    if get_origin(hint) is Literal:
        return " or ".join(f"`{arg}`" for arg in args)
    if get_origin(hint) in (Union, types.UnionType):
        words = [_word(arg) for arg in args if arg is not types.NoneType]
        return " or ".join(dict.fromkeys(words)) if len(words) < 4 else "value"
    if get_origin(hint) in (tuple, list):
        return f"list of {_word(args[0])}"
    if get_origin(hint) is dict:
        return "mapping"
    if hint is m.AllowedLoss:
        return "integer or percentage"
    if isinstance(hint, type) and issubclass(hint, m.Frozen):
        return "mapping" if hint is m.Defaults else f"{hint.__name__.lower()}s"
    return {str: "text", int: "integer", float: "number", bool: "boolean"}.get(hint, "value")


def _bounds(info: FieldInfo) -> str:
    said = []
    for one in info.metadata:
        match one:
            case Ge(ge=low):
                said.append(f"≥ {low}")
            case Gt(gt=low):
                said.append(f"> {low}")
            case Le(le=high) if isinstance(high, int) and high < 2**40:
                said.append(f"≤ {high:,}")
            case MinLen(min_length=length):
                said.append(f"at least {length}")
    return f" ({', '.join(said)})" if said else ""


def _default(key: str, info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True)
    if key in _DURATIONS and isinstance(value, int):
        return f"`{format_duration_ns(value)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{value}`" if isinstance(value, str | int) and value != "" else ""
