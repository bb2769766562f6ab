"""Thresholds in k6's syntax: ``http_req_duration{name:items}`` and ``p(95)<250 over 30s`` → `ThresholdRule`.

The grammar is k6's (``aggregate operator number``); ours is the optional `` over DURATION``, which looks at the
last seconds only. Values of trends are milliseconds, as in k6.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from loadr.plan.metric_names import BUILT_IN, Kind
from loadr.units import NS_PER_S, parse_duration_ns

Operator = Literal["<", "<=", ">", ">=", "==", "!="]
Aggregate = Literal["count", "rate", "value", "avg", "min", "max", "med", "p"]

AGGREGATES: dict[Kind, tuple[Aggregate, ...]] = {
    Kind.COUNTER: ("count", "rate"),
    Kind.GAUGE: ("value",),
    Kind.RATE: ("rate",),
    Kind.TREND: ("avg", "min", "max", "med", "p"),
}
_OPERATORS: dict[str, Operator] = {
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
    "==": "==",
    "===": "==",
    "!=": "!=",
    "!==": "!=",
}
_METRIC = re.compile(r"\s*([^\s{}]+)\s*(?:\{(.*)\})?\s*", re.DOTALL)
_RULE = re.compile(
    r"""\s* (?P<aggregate>[A-Za-z_]+) \s* (?:\( \s*(?P<argument>[^()]*?)\s* \))?
        \s* (?P<operator>[<>=!]+)
        \s* (?P<value>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
        (?: \s+ over \s+ (?P<over>\S.*?) )? \s*""",
    re.VERBOSE,
)
_EXAMPLE = "write for example p(95)<400, rate<0.01, count>100 or avg<200 over 30s"


class ThresholdInvalid(ValueError):
    """A threshold that can not be used. ``in_metric`` tells whether the fault is in the metric or in the rule."""

    def __init__(self, message: str, hint: str = "", *, in_metric: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.in_metric = in_metric


@dataclass(frozen=True, slots=True)
class ThresholdRule:
    """``metric{tags}``'s ``aggregate(argument)`` must be ``operator value``.

    ``tags`` are sorted by name. ``argument`` is the percentile 0–100 of ``p``, None for other aggregates.
    ``value`` is in milliseconds for trends, per second for a counter's ``rate``, 0–1 for a rate's. ``over_ns`` is
    a whole number of seconds; None means the whole run. ``source`` is the rule as written.
    """

    metric: str
    tags: tuple[tuple[str, str], ...]
    aggregate: Aggregate
    argument: float | None
    operator: Operator
    value: float
    over_ns: int | None
    source: str


def parse_metric(text: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """``name{key:value,…}`` → the metric's name and its tags, sorted. Raises `ThresholdInvalid`."""
    match = _METRIC.fullmatch(text)
    if match is None:
        hint = "write http_req_duration or http_req_duration{name:items}"
        raise ThresholdInvalid(f"{text!r} does not name a metric", hint, in_metric=True)
    name, selector = match[1], match[2]
    if name not in BUILT_IN:
        near = get_close_matches(name, BUILT_IN, n=1)
        own = (
            "metrics of a script's own are not supported yet; use one that is built in, such as http_req_duration"
        )
        hint = f"did you mean {near[0]!r}?" if near else own
        raise ThresholdInvalid(f"unknown metric {name!r}", hint, in_metric=True)
    tags: dict[str, str] = {}
    for part in selector.split(",") if selector and selector.strip() else ():
        key, colon, value = (piece.strip() for piece in part.partition(":"))
        if not key or not colon:
            hint = "write {name:items,method:GET}"
            raise ThresholdInvalid(f"{part.strip()!r} does not select by a tag", hint, in_metric=True)
        if key in tags:
            raise ThresholdInvalid(
                f"the tag {key!r} is given twice", "a series has one value of a tag", in_metric=True
            )
        quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""
        tags[key] = value[1:-1] if quoted else value
    return name, tuple(sorted(tags.items()))


def parse_threshold(metric_text: str, expression_text: str) -> ThresholdRule:
    """The rule of one line of ``thresholds``. Raises `ThresholdInvalid` in words for a person."""
    metric, tags = parse_metric(metric_text)
    match = _RULE.fullmatch(expression_text)
    if match is None:
        raise ThresholdInvalid(f"{expression_text!r} is not a threshold", _EXAMPLE)
    operator = _OPERATORS.get(match["operator"])
    if operator is None:
        raise ThresholdInvalid(f"unknown operator {match['operator']!r}", "write one of < <= > >= == !=")
    aggregate, argument = _read_aggregate(metric, match["aggregate"], match["argument"])
    return ThresholdRule(
        metric,
        tags,
        aggregate,
        argument,
        operator,
        _read_value(match["value"]),
        None if match["over"] is None else _read_over(match["over"]),
        expression_text,
    )


def _read_aggregate(metric: str, word: str, argument: str | None) -> tuple[Aggregate, float | None]:
    kind = BUILT_IN[metric]
    known = AGGREGATES[kind]
    aggregate = next((one for one in known if one == word), None)
    if aggregate is None:
        allowed = ", ".join("p(95)" if one == "p" else one for one in known)
        what = f"{metric} is a {kind.name.lower()} and has no {word!r}"
        raise ThresholdInvalid(what, f"it has {allowed}")
    if aggregate != "p":
        if argument is not None:
            raise ThresholdInvalid(f"{word} takes nothing in brackets", f"write {word} alone")
        return aggregate, None
    try:
        percent = float(argument or "")
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 100:
        raise ThresholdInvalid(
            f"p({argument or ''}) is not a percentile", "write a number from 0 to 100, as p(95)"
        )
    return aggregate, percent


def _read_value(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ThresholdInvalid(f"{text} is too large a number")
    return value


def _read_over(text: str) -> int:
    try:
        over_ns = parse_duration_ns(text)
    except ValueError as error:
        raise ThresholdInvalid(str(error)) from None
    if over_ns < NS_PER_S or over_ns % NS_PER_S:
        raise ThresholdInvalid(f"over {text} is not a whole number of seconds", "write over 10s, over 1m")
    return over_ns
