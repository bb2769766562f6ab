"""Records of runs built by hand from samples, for the rooms that read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from loadr.metrics.delta import CounterDelta, GaugeDelta, IntervalDelta, RateDelta, TrendDelta
from loadr.metrics.histogram import Histogram
from loadr.metrics.series import Kind, SeriesKey, series
from loadr.plan.model import Plan
from loadr.units import NS_PER_MS
from loadr.verdict.model import Summary, ThresholdResult
from loadr.verdict.record import AgentRecord, RunRecord, ScenarioAccount
from loadr.verdict.summary import summarise
from loadr.verdict.thresholds import ThresholdWatch

FLOW = [{"request": {"method": "GET", "url": "/items", "name": "items"}}]


class RecordBuilder:
    """A run of a plan that is filled second by second. ``thresholds`` as in a plan."""

    def __init__(
        self,
        *,
        thresholds: Mapping[str, Sequence[object]] | None = None,
        scenarios: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        browse = {"executor": "constant-arrival-rate", "rate": 10, "duration": "30s", "max_vus": 5}
        rules = {
            metric: [rule if isinstance(rule, dict) else {"threshold": rule} for rule in given]
            for metric, given in (thresholds or {}).items()
        }
        plan = Plan.model_validate(
            {
                "name": "checkout",
                "seed": 7,
                "scenarios": {
                    name: {"flow": FLOW, **body} for name, body in (scenarios or {"browse": browse}).items()
                },
                "thresholds": rules,
            }
        )
        self.record = RunRecord(run_id="r-1", plan=plan, state="running", started_unix_ms=1_700_000_000_000)
        self.watch = ThresholdWatch(plan)
        self.watch.register(self.record.metrics)

    def agent(self, name: str = "a1", **facts: object) -> AgentRecord:
        """The agent of that name, made when first asked for."""
        found = self.record.agents.setdefault(name, AgentRecord(agent_id=name, name=name, share=1.0))
        for key, value in facts.items():
            setattr(found, key, value)
        return found

    def second(
        self,
        second: int,
        durations_ms: Sequence[float] = (),
        *,
        failed_ms: Sequence[float] = (),
        status: int = 500,
        agent: str = "a1",
        scenario: str = "browse",
        name: str = "items",
        vus: int = 2,
        dropped: int = 0,
    ) -> None:
        """Requests that one agent finished in [second, second + 1): good ones, and answers of ``status``."""
        values: dict[SeriesKey, object] = {}
        for samples, code, expected in ((durations_ms, "200", "true"), (failed_ms, str(status), "false")):
            if not samples:
                continue
            tags = {
                "scenario": scenario,
                "name": name,
                "method": "GET",
                "status": code,
                "expected_response": expected,
            }
            n = len(samples)
            values[series("http_reqs", Kind.COUNTER, **tags)] = CounterDelta(n)
            values[series("http_req_failed", Kind.RATE, **tags)] = (
                RateDelta(0, n) if expected == "true" else RateDelta(n, 0)
            )
            values[series("http_req_duration", Kind.TREND, **tags)] = trend(samples)
        iterations = len(durations_ms) + len(failed_ms)
        if iterations:
            values[series("iterations", Kind.COUNTER, scenario=scenario)] = CounterDelta(iterations)
        if dropped:
            values[series("dropped_iterations", Kind.COUNTER, scenario=scenario)] = CounterDelta(dropped)
        values[series("vus", Kind.GAUGE, scenario=scenario)] = GaugeDelta(vus, 0, vus)
        self.add(second, values, agent)

    def add(self, second: int, values: Mapping[SeriesKey, object], agent: str = "a1") -> None:
        """Any deltas of one agent in one second."""
        self.agent(agent)
        interval = IntervalDelta(second, second + 1, dict(values))  # type: ignore[arg-type]
        self.record.metrics.add(agent, interval)
        self.record.agents[agent].requests = self.record.metrics.agent_total(agent, "http_reqs")

    def account(self, scenario: str = "browse", **counts: int) -> ScenarioAccount:
        """The final account of one scenario."""
        found = self.record.accounts[scenario] = ScenarioAccount(scenario=scenario, **counts)
        return found

    def evaluate(self, elapsed_s: float, *, final: bool = False) -> list[ThresholdResult]:
        self.record.elapsed_s = elapsed_s
        return self.watch.evaluate(self.record.metrics, elapsed_s, final)

    def summary(self, duration_s: float = 30.0, state: str = "complete") -> Summary:
        """The run as it ends now."""
        self.record.state = state  # type: ignore[assignment]
        self.record.duration_s = self.record.elapsed_s = duration_s
        return summarise(self.record, self.evaluate(duration_s, final=True))


def trend(samples_ms: Sequence[float]) -> TrendDelta:
    """A histogram of these samples."""
    return TrendDelta(Histogram.of(np.array([round(ms * NS_PER_MS) for ms in samples_ms], dtype=np.int64)))


def _eventful() -> RecordBuilder:
    """Thirty seconds of two agents with failures, drops, a check and a threshold on either side."""
    builder = RecordBuilder(
        thresholds={
            "http_req_duration": ["p(95)<400"],
            "http_req_duration{name:items}": ["p(95)<20 over 10s"],
            "http_req_failed": ["rate<0.2"],
        }
    )
    for second in range(30):
        builder.second(second, [10 + second, 20, 30, 40], agent="a1", dropped=int(second == 20))
        builder.second(second, [12, 22, 32], failed_ms=[1.5], status=503, agent="a2")
        checks = {
            series("checks", Kind.RATE, scenario="browse", check="status is 200"): RateDelta(7, 1),
            series(
                "http_req_errors", Kind.COUNTER, scenario="browse", name="items", error="timeout"
            ): CounterDelta(second == 3),
        }
        builder.add(second, checks)
    builder.agent("a1", share=0.5, state="finished", start_skew_ns=120_000, clock_bound_ns=400_000)
    builder.agent(
        "a2", share=0.5, state="finished", ledger_requests=120, cpu_max_percent=55.0, lag_p99_ns=300_000
    )
    builder.agent("a1", ledger_requests=120)
    builder.account(planned=241, started=240, finished=240, dropped=1, requests=240, expected=241)
    return builder


@pytest.fixture
def new_run() -> Callable[..., RecordBuilder]:
    """Makes a `RecordBuilder`."""
    return RecordBuilder


@pytest.fixture
def eventful_run() -> RecordBuilder:
    return _eventful()


@pytest.fixture
def trend_of() -> Callable[[Sequence[float]], TrendDelta]:
    return trend
