"""The values that verdicts are told in: `LiveView` while a run goes on, `Summary` once it is over.

Both are plain msgspec structs of numbers, text and lists: they cross the HTTP API and rest in files as JSON, and
every page, panel and report is drawn from one of them alone. Times end in ``_s`` or ``_ms``; ``None`` means
"not known" or "no data", never zero. Fractions are 0–1, percent 0–100.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Verdict = Literal[
    "passed",
    "threshold failed",
    "aborted by threshold",
    "aborted by test",
    "script exception",
    "interrupted",
    "incomplete",
    "failed",
]


class ThresholdResult(msgspec.Struct, frozen=True, kw_only=True):
    """One threshold looked at once. ``metric`` is written as in the plan, sub-metric braces included.

    ``observed`` is in the unit of the expression: milliseconds for trends, a fraction for rates.
    ``passed`` is None where there was nothing to judge; in a final evaluation that counts as failed.
    """

    metric: str
    expression: str
    passed: bool | None
    observed: float | None
    aborts: bool = False
    unit: Literal["ms", "fraction", "count", "per_s", "value"] = "value"

    @property
    def text(self) -> str:
        """``http_req_duration: p(95)<400``."""
        return f"{self.metric}: {self.expression}"


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds, from merged histograms; None without samples."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class LiveAgent(msgspec.Struct, frozen=True, kw_only=True):
    """One agent as last heard of. ``share`` is the fraction of all slots that it owns."""

    name: str
    state: str
    share: float
    cpu_percent: float
    lag_p99_ms: float
    requests: int
    vus: int
    clock_bound_ms: float | None
    start_skew_ms: float | None


class LiveView(msgspec.Struct, frozen=True, kw_only=True):
    """What people watch while a run goes on.

    Rates are per second over the last full seconds of the timeline: ``rate_per_s`` of requests,
    ``iterations_per_s`` of all scenarios, ``open_iterations_per_s`` of those with an open model beside
    ``target_per_s``, what the schedule wants of them in the same seconds (both None without an open scenario).
    ``percentiles`` cover the last ten seconds; counts and ``failed_fraction`` the whole run.
    """

    run_id: str
    name: str
    state: str
    cause: str
    elapsed_s: float
    planned_s: float
    left_s: float
    rate_per_s: float
    iterations_per_s: float
    open_iterations_per_s: float | None
    target_per_s: float | None
    percentiles: Percentiles
    requests: int
    failed: int
    failed_fraction: float
    iterations: int
    vus: int
    dropped: int
    missed: int
    agents: list[LiveAgent]
    thresholds: list[ThresholdResult]


class ScenarioAccounting(msgspec.Struct, frozen=True, kw_only=True):
    """planned = started + dropped + missed, started = finished + interrupted + lost; ``expected`` is what the
    schedule says, None where it says nothing (closed model, or a run that was stopped early)."""

    scenario: str
    model: Literal["open", "closed"]
    planned: int
    started: int
    finished: int
    interrupted: int
    dropped: int
    missed: int
    lost: int
    requests: int
    expected: int | None
    balanced: bool


class Accounting(msgspec.Struct, frozen=True, kw_only=True):
    """``balanced``: every scenario's two equations hold. ``requests_ledger`` is the sum of the agents' own
    counts at dispatch, None while one of them is missing; ``requests_merged`` is what the metrics say. Those of
    setup and teardown are in neither: with them it is what the target has counted."""

    balanced: bool
    requests_merged: int
    requests_ledger: int | None
    scenarios: list[ScenarioAccounting]
    setup_requests: int = 0
    teardown_requests: int = 0


class Validity(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the generator itself bent the numbers; one sentence for each sign of it."""

    generator_limited: bool
    reasons: list[str]


class CheckLine(msgspec.Struct, frozen=True, kw_only=True):
    scenario: str
    name: str
    passes: int
    fails: int


class MetricLine(msgspec.Struct, frozen=True, kw_only=True):
    """One metric under k6's name (sub-metrics with k6's braces) and its values under k6's keys.

    trend: avg, min, med, max, p(90), p(95), p(99) in milliseconds, count; counter: count, rate;
    rate: passes, fails, value; gauge: value, min, max. ``weak`` lists percentiles that rest on too few samples.
    """

    name: str
    kind: Literal["counter", "rate", "trend", "gauge"]
    values: dict[str, float]
    weak: list[str] = []


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds of ``count`` requests, from one merged histogram. ``weak`` lists the keys (``p95``, ``p99``)
    that rest on too few samples for a finite bound."""

    count: int
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None
    weak: list[str] = []


class RequestLine(msgspec.Struct, frozen=True, kw_only=True):
    """One row per scenario, name and method. Durations of successes (``ok``) and of failures (``bad``) are never
    mixed; a request without a duration (no connection, say) is in ``count`` and ``failed`` only."""

    scenario: str
    name: str
    method: str
    count: int
    rate_per_s: float
    failed: int
    ok: Spread
    bad: Spread


class ErrorLine(msgspec.Struct, frozen=True, kw_only=True):
    """One counted kind of failure; ``example`` names the request that it hit most."""

    kind: str
    count: int
    example: str


class AgentLine(msgspec.Struct, frozen=True, kw_only=True):
    """One agent in the finished run. ``cpu`` is the highest percent seen, ``lag_p99_ms`` its worst second."""

    agent_id: str
    name: str
    state: str
    share: float
    workers: int
    requests: int
    requests_ledger: int | None
    start_skew_ms: float | None
    clock_bound_ms: float | None
    wall_error_ms: int | None
    cpu: float
    lag_p99_ms: float
    loop_lag_ms: float
    lost_at_s: float | None
    last_acked_s: int | None
    missing_at_most: int | None
    joined_at_s: float | None = None
    covered_at_s: float | None = None


class ChartPoint(msgspec.Struct, frozen=True, kw_only=True):
    """[t0_s, t1_s) of the run: requests per second, iterations of open scenarios per second beside what the
    schedule wants of them (both None without one), percentiles of `http_req_duration` in milliseconds, failed
    requests per second, VUs at its end, iterations dropped in it."""

    t0_s: int
    t1_s: int
    rate_per_s: float
    iterations_per_s: float
    open_iterations_per_s: float | None
    target_per_s: float | None
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    failed_per_s: float
    vus: int
    dropped: int
    paused: bool = False


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A finished run, complete. ``started_at`` is ISO 8601 in UTC, empty if the run never started."""

    schema: int = 1
    run_id: str
    name: str
    verdict: Verdict
    exit_code: int
    headline: str
    cause: str
    validity: Validity
    plan_digest: str
    seed: int
    tags: dict[str, str]
    started_at: str
    duration_s: float
    paused_s: float = 0.0
    planned_s: float
    accounting: Accounting
    thresholds: list[ThresholdResult]
    checks: list[CheckLine]
    metrics: list[MetricLine]
    requests: list[RequestLine]
    errors: list[ErrorLine]
    agents: list[AgentLine]
    series: int
    timeline: list[ChartPoint]
    notes: list[str]
    events: list[str] = []

    def metric(self, name: str) -> MetricLine | None:
        """The line of one metric, or None if it has none."""
        return next((line for line in self.metrics if line.name == name), None)
