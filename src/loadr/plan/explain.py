"""Build one model of a plan, and say in plain words why it can not be built.

`build` takes a mapping with the keys of YAML; unknown keys get a hint, and the faults that pydantic finds are
translated: nobody should have to know what a "tuple_type" is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from loadr.plan.faults import FaultList, Route
from loadr.plan.model import Around, Plan, RequestStep, ScenarioBase
from loadr.plan.scope import did_you_mean

M = TypeVar("M", bound=BaseModel)

_OURS: Mapping[type[BaseModel], frozenset[str]] = {
    Plan: frozenset(("env", "tags", "files")),
    Around: frozenset(("extracts",)),
    ScenarioBase: frozenset(("uses",)),
    RequestStep: frozenset(("method", "url")),
}
_NOUNS = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "finite_number": "a finite number",
}
_LIMITS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys that a person may write for this model, in order."""
    ours = frozenset[str]().union(*(keys for owner, keys in _OURS.items() if issubclass(model, owner)))
    return [info.alias or name for name, info in model.model_fields.items() if name not in ours]


def build(model: type[M], values: Mapping[str, Any], route: Route, faults: FaultList) -> M | None:
    """A model of ``values``, or None and at least one fault. Unknown keys are for `refuse_unknown` to tell."""
    try:
        return model.model_validate(values, strict=True)
    except ValidationError as error:
        grouped: dict[Route, list[ErrorDetails]] = {}
        for detail in error.errors(include_url=False):
            grouped.setdefault(_place_of(detail, values), []).append(detail)
        for inner, details in grouped.items():
            faults.add((*route, *inner), *_explain(details))
        return None


def refuse_unknown(
    values: Mapping[str, Any],
    known: list[str],
    route: Route,
    faults: FaultList,
    hints: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The part of ``values`` whose keys are known; each other key is a fault. ``hints`` go before our guess."""
    for key in values:
        if key not in known:
            hint = (hints or {}).get(key) or did_you_mean(key, known)
            faults.add((*route, key), f"unknown key {key!r}", hint, at_key=True)
    return {key: value for key, value in values.items() if key in known}


def is_mapping(value: Any, route: Route, faults: FaultList, hint: str = "") -> bool:
    """Whether the value is a mapping; a fault if not."""
    if not isinstance(value, dict):
        faults.add(route, f"must be a mapping (key: value), and is {show(value)}", hint)
        return False
    return True


def show(value: Any) -> str:
    """A value as the author would recognise it, short."""
    match value:
        case None:
            return "empty"
        case bool():
            return str(value).lower()
        case int() if abs(value) >= 10**18:
            return "a very large number"
        case int() | float():
            return str(value)
        case str():
            return f"the text {value[:40] + ('…' if len(value) > 40 else '')!r}"
        case list() | tuple():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return f"a {type(value).__name__}"


def _count(limit: float) -> str:
    return f"{int(limit) if limit == int(limit) else limit:,}"


def _place_of(detail: ErrorDetails, values: Mapping[str, Any]) -> Route:
    """The part of pydantic's ``loc`` that stands in the plan: without the tags of unions and what is missing."""
    value: Any = values
    route: Route = ()
    for step in detail["loc"]:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            break
        route = (*route, step)
    if detail["type"] == "missing":  # several missing keys of one mapping are several faults
        return (*route, detail["loc"][-1])
    return route


def _explain(details: list[ErrorDetails]) -> tuple[str, str]:
    """Message and hint of what is wrong with one value; several details are the branches of a union."""
    nouns = list(dict.fromkeys(_NOUNS[d["type"]] for d in details if d["type"] in _NOUNS))
    first = details[0]
    context = first.get("ctx", {})
    value = first["input"]
    if first["type"] == "missing":
        return f"the key {str(first['loc'][-1])!r} is missing", ""
    if nouns:
        if "a number" in nouns and "a whole number" in nouns:
            nouns.remove("a whole number")
        wanted = " or ".join(nouns)
        hint = ""
        if "text" in nouns and isinstance(value, int | float):
            hint = f'put it in quotes: "{show(value)}"'
        elif isinstance(value, str) and "number" in wanted:
            hint = "write it without quotes" if value.strip().isdigit() else ""
        return f"must be {wanted}, and is {show(value)}", hint
    if first["type"] in _LIMITS:
        name, words = _LIMITS[first["type"]]
        return f"must be {words} {_count(context[name])}, and is {show(value)}", ""
    match first["type"]:
        case "literal_error":
            return f"must be one of {context['expected']}, and is {show(value)}", ""
        case "value_error":
            return str(context["error"]), ""
        case "string_pattern_mismatch":
            return f"{show(value)} is not a name", "a name is of letters, digits, _ and -, at most 64"
        case "too_short":
            return "must not be empty", "write at least one"
        case _:
            return f"{show(value)} can not be used here", ""
