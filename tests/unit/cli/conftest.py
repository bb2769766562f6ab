"""A plan on disk and views of a run, for tests of the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from loadr.verdict.model import LiveAgent, LiveView, Percentiles, ThresholdResult

PLAN = """\
name: checkout
seed: 7
scenarios:
  browse:
    executor: constant-vus
    vus: 2
    duration: 1s
    flow:
      - request: { get: "http://127.0.0.1:1/items", name: items }
thresholds:
  http_req_failed: [ "rate<0.01" ]
"""


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN)
    return path


@pytest.fixture
def view_at() -> Callable[..., LiveView]:
    """Makes a `LiveView` at an elapsed time, with any field replaced."""

    def make(elapsed_s: float, **changes: object) -> LiveView:
        facts: dict[str, object] = {
            "run_id": "r-1",
            "name": "checkout",
            "state": "running",
            "cause": "",
            "elapsed_s": elapsed_s,
            "planned_s": 30.0,
            "left_s": 30.0 - elapsed_s,
            "rate_per_s": 811.0,
            "iterations_per_s": 400.0,
            "open_iterations_per_s": 399.0,
            "target_per_s": 400.0,
            "percentiles": Percentiles(p50=12.3, p95=31.2, p99=56.0),
            "requests": 4932,
            "failed": 0,
            "failed_fraction": 0.0,
            "iterations": 2400,
            "vus": 12,
            "dropped": 0,
            "missed": 0,
            "agents": [agent("agent-1"), agent("agent-2")],
            "thresholds": [
                ThresholdResult(
                    metric="http_req_duration", expression="p(95)<400", passed=True, observed=31.2, unit="ms"
                )
            ],
        }
        return LiveView(**(facts | changes))  # type: ignore[arg-type]

    return make


@pytest.fixture
def agent_of() -> Callable[..., LiveAgent]:
    return agent


def agent(name: str, state: str = "online") -> LiveAgent:
    return LiveAgent(
        name=name,
        state=state,
        share=0.5,
        cpu_percent=12.0,
        lag_p99_ms=0.2,
        requests=2466,
        vus=6,
        clock_bound_ms=0.1,
        start_skew_ms=None,
    )
