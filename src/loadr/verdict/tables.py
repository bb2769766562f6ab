"""The tables of a summary, each read from merged deltas: metrics, checks, requests, errors.

Takes a `RunMetrics`, gives lists of lines (`loadr.verdict.model`). Percentiles come from merged histograms, and
those that rest on too few samples are named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, log
from typing import Literal

from loadr.metrics.delta import CounterDelta, Delta, GaugeDelta, RateDelta, TrendDelta
from loadr.metrics.histogram import Histogram
from loadr.metrics.merge import RunMetrics
from loadr.metrics.series import BUILT_IN, Kind, Tags
from loadr.metrics.timeline import TimelinePoint
from loadr.units import NS_PER_MS
from loadr.verdict.model import CheckLine, ErrorLine, MetricLine, RequestLine, Spread

MetricKind = Literal["counter", "rate", "trend", "gauge"]
_KINDS: dict[Kind, MetricKind] = {
    Kind.COUNTER: "counter",
    Kind.RATE: "rate",
    Kind.TREND: "trend",
    Kind.GAUGE: "gauge",
}
_TREND_QUANTILES = {"med": 0.5, "p(90)": 0.9, "p(95)": 0.95, "p(99)": 0.99}
_SPREAD_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
OTHERS = "(other)"  # what the cap on series folded together
SUCCESSES: Tags = (("expected_response", "true"),)


def samples_needed(q: float) -> int:
    """Samples from which on the 95 % interval of quantile ``q`` has a finite upper end (order statistics,
    honest-load R8): the least n with qⁿ ≤ 2.5 %; 368 for p99, 3,688 for p99.9."""
    return ceil(log(0.025) / log(q)) if 0 < q < 1 else 1


def weak_quantiles(histogram: Histogram, quantiles: Mapping[str, float]) -> list[str]:
    """The names of those quantiles for which the histogram has too few samples."""
    return [name for name, q in quantiles.items() if histogram.count < samples_needed(q)]


# --- metrics ---------------------------------------------------------------------------------------------


def metric_lines(
    metrics: RunMetrics,
    asked: Sequence[tuple[str, str, Tags]],
    points: Sequence[TimelinePoint],
    duration_s: float,
) -> list[MetricLine]:
    """Every metric with samples, in the order of `BUILT_IN`, each followed by its sub-metrics.

    ``asked`` are the metrics of the thresholds (text as written, metric, tags): these have a line even without
    samples. The successes of `http_req_duration` are always added, as k6 does.
    """
    sub_metrics = {(metric, tags): text for text, metric, tags in asked}
    names = {key.metric for key in metrics.totals} | {metric for metric, _ in sub_metrics}
    if metrics.select("http_req_duration", SUCCESSES) is not None:
        sub_metrics.setdefault(("http_req_duration", SUCCESSES), "http_req_duration{expected_response:true}")
    order = [name for name in BUILT_IN if name in names] + sorted(names - BUILT_IN.keys())
    out = []
    for name in order:
        whole = metrics.select(name)
        if whole is not None or (name, ()) in sub_metrics:
            out.append(metric_line(name, metrics.kind_of(name), _over_time(name, whole, points), duration_s))
        for (metric, tags), text in sub_metrics.items():
            if metric == name and tags:
                delta = metrics.select(metric, tags)
                out.append(metric_line(text, metrics.kind_of(name), delta, duration_s))
    return out


def _over_time(metric: str, delta: Delta | None, points: Sequence[TimelinePoint]) -> Delta | None:
    """A gauge with the extremes of the fleet's own course; the total's are sums of each agent's, and so wider."""
    course = [value for point in points if isinstance(value := point.get(metric), GaugeDelta)]
    if not isinstance(delta, GaugeDelta) or not course:
        return delta
    return GaugeDelta(course[-1].last, min(g.min for g in course), max(g.max for g in course), course[-1].at_s)


def metric_line(name: str, kind: Kind | None, delta: Delta | None, duration_s: float) -> MetricLine:
    """The values of one metric under k6's keys. Without samples a counter is 0, anything else has no values."""
    match delta:
        case TrendDelta(histogram) if histogram.count:
            return MetricLine(
                name=name,
                kind="trend",
                values=_trend_values(histogram),
                weak=weak_quantiles(histogram, _TREND_QUANTILES),
            )
        case RateDelta(passes, fails) if passes + fails:
            values = {"value": passes / (passes + fails), "passes": float(passes), "fails": float(fails)}
            return MetricLine(name=name, kind="rate", values=values)
        case GaugeDelta(last, low, high):
            values = {"value": float(last), "min": float(low), "max": float(high)}
            return MetricLine(name=name, kind="gauge", values=values)
        case CounterDelta(total):
            return MetricLine(name=name, kind="counter", values=_counter_values(total, duration_s))
    if kind is Kind.COUNTER:
        return MetricLine(name=name, kind="counter", values=_counter_values(0, duration_s))
    return MetricLine(name=name, kind=_KINDS[kind] if kind is not None else "counter", values={})


def _counter_values(total: int, duration_s: float) -> dict[str, float]:
    return {"count": float(total), "rate": total / duration_s if duration_s > 0 else 0.0}


def _trend_values(histogram: Histogram) -> dict[str, float]:
    med, p90, p95, p99 = (ns / NS_PER_MS for ns in histogram.quantiles_ns(_TREND_QUANTILES.values()))
    return {
        "avg": histogram.mean_ns() / NS_PER_MS,
        "min": histogram.min_ns / NS_PER_MS,
        "med": med,
        "max": histogram.max_ns / NS_PER_MS,
        "p(90)": p90,
        "p(95)": p95,
        "p(99)": p99,
        "count": float(histogram.count),
    }


# --- requests, checks, errors ----------------------------------------------------------------------------


def check_lines(metrics: RunMetrics) -> list[CheckLine]:
    """One line for each check of each scenario, in order of first appearance."""
    sums: dict[tuple[str, str], RateDelta] = {}
    for key, delta in metrics.totals.items():
        if key.metric == "checks" and isinstance(delta, RateDelta):
            tags = dict(key.tags)
            sums.setdefault((tags.get("scenario", ""), tags.get("check", OTHERS)), RateDelta()).merge(delta)
    return [
        CheckLine(scenario=scenario, name=name, passes=rate.passes, fails=rate.fails)
        for (scenario, name), rate in sums.items()
    ]


def request_lines(metrics: RunMetrics, duration_s: float) -> list[RequestLine]:
    """One line for each scenario, name and method, in order of first appearance."""
    groups: dict[tuple[str, str, str], _Request] = {}
    for key, delta in metrics.totals.items():
        if key.metric not in ("http_reqs", "http_req_failed", "http_req_duration"):
            continue
        tags = dict(key.tags)
        name = tags.get("scenario", ""), tags.get("name", OTHERS), tags.get("method", "")
        groups.setdefault(name, _Request()).add(delta, ok=tags.get("expected_response") != "false")
    return [
        RequestLine(
            scenario=scenario,
            name=name,
            method=method,
            count=group.count,
            rate_per_s=group.count / duration_s if duration_s > 0 else 0.0,
            failed=group.failed,
            ok=_spread(group.ok),
            bad=_spread(group.bad),
        )
        for (scenario, name, method), group in groups.items()
    ]


@dataclass(slots=True)
class _Request:
    count: int = 0
    failed: int = 0
    ok: Histogram = field(default_factory=Histogram)
    bad: Histogram = field(default_factory=Histogram)

    def add(self, delta: Delta, *, ok: bool) -> None:
        match delta:
            case CounterDelta(total):
                self.count += total
            case RateDelta(passes, _):
                self.failed += passes
            case TrendDelta(histogram):
                (self.ok if ok else self.bad).merge(histogram)


def _spread(histogram: Histogram) -> Spread:
    if not histogram.count:
        return Spread(count=0)
    p50, p95, p99 = (ns / NS_PER_MS for ns in histogram.quantiles_ns(_SPREAD_QUANTILES.values()))
    return Spread(
        count=histogram.count,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        max_ms=histogram.max_ns / NS_PER_MS,
        weak=weak_quantiles(histogram, _SPREAD_QUANTILES),
    )


def error_lines(metrics: RunMetrics) -> list[ErrorLine]:
    """The kinds of failure, most frequent first: those without an answer under their own name, answers that were
    not expected as ``status 503``. The example is where each happened most often."""
    places: dict[str, Counter[str]] = {}
    for key, delta in metrics.totals.items():
        tags = dict(key.tags)
        kind = _error_kind(key.metric, tags)
        if kind and isinstance(delta, CounterDelta) and delta.total:
            where = " ".join(part for part in (tags.get("method"), tags.get("name")) if part)
            scenario = tags.get("scenario", "")
            place = f"{where} ({scenario})" if where and scenario else where or scenario or OTHERS
            places.setdefault(kind, Counter())[place] += delta.total
    lines = [
        ErrorLine(kind=kind, count=counts.total(), example=counts.most_common(1)[0][0])
        for kind, counts in places.items()
    ]
    return sorted(lines, key=lambda line: (-line.count, line.kind))


def _error_kind(metric: str, tags: dict[str, str]) -> str:
    if metric == "http_req_errors":
        return tags.get("error", OTHERS)
    status = tags.get("status", "0")
    if metric == "http_reqs" and tags.get("expected_response") == "false" and status != "0":
        return f"status {status}"
    return ""
