"""Thresholds: the plan's rules held against merged metrics, while the run goes on and at its end.

Takes rules in k6's syntax and a `RunMetrics`, gives one `ThresholdResult` per rule, in the plan's order. Meanings
are k6's: trends in milliseconds, a counter's ``rate`` per second of the run, a rate's as a fraction. Ours is
``over 30s``: the last 30 seconds of the timeline, percentiles from their merged histograms.

**No data.** In k6 a threshold on a metric without samples passes, so a mistyped tag is green for ever. Here a
counter that nobody counted is 0 and is judged as such; everything else without samples has no value:
``passed`` is None, which never aborts a run but fails it at the end.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from loadr.metrics.delta import CounterDelta, Delta, GaugeDelta, RateDelta, TrendDelta
from loadr.metrics.histogram import Histogram
from loadr.metrics.merge import RunMetrics
from loadr.metrics.series import BUILT_IN, Kind
from loadr.plan.model import Plan
from loadr.plan.thresholds import ThresholdRule, parse_threshold
from loadr.units import NS_PER_MS, NS_PER_S
from loadr.verdict.model import ThresholdResult
from loadr.verdict.target import Target

_HOLDS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
Unit = Literal["ms", "fraction", "count", "per_s", "value"]

# A second has surely been merged this long after its end: agents close it 200 ms later and spread their flushes.
SETTLED_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class _Watched:
    """One rule of the plan. ``metric_text`` is the plan's own key, so that reports show what was written."""

    metric_text: str
    rule: ThresholdRule
    abort_on_fail: bool
    delay_ns: int


class ThresholdWatch:
    """The thresholds of one plan. Call `register` once, before anything is merged."""

    def __init__(self, plan: Plan) -> None:
        self._target = Target(plan)
        self._watched = [
            _Watched(text, parse_threshold(text, one.threshold), one.abort_on_fail, one.delay_abort_eval_ns)
            for text, thresholds in plan.thresholds.items()
            for one in thresholds
        ]

    def register(self, metrics: RunMetrics) -> None:
        """Have the timeline keep all that verdicts ask it for: the windows (``over``) of these thresholds, and
        the iterations of open scenarios for the views that hold them against their target."""
        self._target.track(metrics)
        for watched in self._watched:
            if watched.rule.over_ns is not None:
                over_s = watched.rule.over_ns // NS_PER_S
                metrics.timeline.track(watched.rule.metric, watched.rule.tags, over_s)

    def evaluate(self, metrics: RunMetrics, elapsed_s: float, final: bool) -> list[ThresholdResult]:
        """Every rule against what is merged so far. ``final``: windows reach to the end of the timeline,
        otherwise to the last second that has surely arrived."""
        end_s = _timeline_end_s(metrics) if final else max(int(elapsed_s - SETTLED_AFTER_S), 0)
        return [_evaluate(watched, metrics, elapsed_s, end_s) for watched in self._watched]

    def aborting(self, results: Sequence[ThresholdResult], elapsed_s: float) -> str:
        """``metric: expression`` of the first failed rule that ends the run by now, or ""."""
        for watched, result in zip(self._watched, results, strict=True):
            if watched.abort_on_fail and result.passed is False and elapsed_s * NS_PER_S >= watched.delay_ns:
                return result.text
        return ""


def _evaluate(watched: _Watched, metrics: RunMetrics, elapsed_s: float, end_s: int) -> ThresholdResult:
    rule = watched.rule
    if rule.over_ns is None:
        delta, length_s = metrics.select(rule.metric, rule.tags), elapsed_s
    else:
        over_s = rule.over_ns // NS_PER_S
        delta, length_s = metrics.timeline.window(rule.metric, rule.tags, over_s, end_s), min(over_s, end_s)
    observed, unit = observe(rule, delta, length_s)
    return ThresholdResult(
        metric=watched.metric_text,
        expression=rule.source,
        passed=None if observed is None else _HOLDS[rule.operator](observed, rule.value),
        observed=observed,
        aborts=watched.abort_on_fail,
        unit=unit,
    )


def _timeline_end_s(metrics: RunMetrics) -> int:
    points = metrics.timeline.points()
    return points[-1].t1_s if points else 0


def observe(rule: ThresholdRule, delta: Delta | None, length_s: float) -> tuple[float | None, Unit]:
    """The value of the rule's aggregate and its unit; None where there is none. ``length_s`` is the time that
    the delta covers."""
    kind = BUILT_IN[rule.metric]
    if kind is Kind.COUNTER:
        total = delta.total if isinstance(delta, CounterDelta) else 0
        if rule.aggregate == "count":
            return float(total), "count"
        return (total / length_s if length_s > 0 else 0.0), "per_s"
    if isinstance(delta, RateDelta):
        samples = delta.passes + delta.fails
        return (delta.passes / samples if samples else None), "fraction"
    if isinstance(delta, GaugeDelta):
        return float(delta.last), "value"
    if isinstance(delta, TrendDelta) and delta.histogram.count:
        return _trend_ns(rule, delta.histogram) / NS_PER_MS, "ms"
    return None, "ms" if kind is Kind.TREND else "fraction" if kind is Kind.RATE else "value"


def _trend_ns(rule: ThresholdRule, histogram: Histogram) -> float:
    match rule.aggregate:
        case "avg":
            return histogram.mean_ns()
        case "min":
            return histogram.min_ns
        case "max":
            return histogram.max_ns
        case "med":
            return histogram.quantile_ns(0.5)
        case _:
            return histogram.quantile_ns(float(Fraction(str(rule.argument)) / 100))
