"""What every simulated agent delivers each second, the same for whoever computes it from the seed.

Five trends of 1,000 samples, five of 100, and twenty counters. There are `VARIANTS` different seconds, so that
making them does not cost the benchmark the machine; agent a delivers variant (a + second) mod `VARIANTS`.
"""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np

from loadr.metrics.delta import CounterDelta, Delta, TrendDelta
from loadr.metrics.histogram import Histogram
from loadr.metrics.series import Kind, SeriesKey, series

VARIANTS = 64
COUNTERS = 20
REQUESTS = 50  # of each counter
TRENDS = {
    "http_req_duration": 1_000,
    "http_req_total": 1_000,
    "http_req_response_time": 1_000,
    "http_req_waiting": 1_000,
    "http_req_receiving": 1_000,
    "iteration_duration": 100,
    "iteration_lag": 100,
    "http_req_blocked": 100,
    "http_req_connecting": 100,
    "http_req_sending": 100,
}
PLAN = """
scenarios:
  model:
    executor: constant-arrival-rate
    rate: 1
    duration: {seconds}s
    max_vus: {agents}
    flow: [ {{ request: {{ get: "http://127.0.0.1:9/" }} }} ]
"""

Values = dict[SeriesKey, Delta]


@cache
def variant(number: int) -> Values:
    """One second of one agent: log-normal, median 9 ms, sigma 0.6. To be copied, not changed."""
    values: Values = {}
    for at, (name, samples) in enumerate(TRENDS.items()):
        draws = np.random.default_rng([number, at]).lognormal(16, 0.6, samples).astype(np.int64)
        values[series(name, Kind.TREND, scenario="model")] = TrendDelta(Histogram.of(draws))
    for at in range(COUNTERS):
        key = series("http_reqs", Kind.COUNTER, scenario="model", name=f"endpoint {at}")
        values[key] = CounterDelta(REQUESTS)
    return values


def expected(agents: int, seconds: int) -> Values:
    """What one recorder would hold in the end: every variant as often as it was delivered."""
    times = Counter((agent + second) % VARIANTS for agent in range(agents) for second in range(seconds))
    totals: Values = {}
    for key, delta in variant(0).items():
        parts = [(variant(number)[key], count) for number, count in times.items()]
        if isinstance(delta, TrendDelta):
            merged = Histogram()
            for part, count in parts:
                if isinstance(part, TrendDelta):
                    merged.merge(_multiplied(part.histogram, count))
            totals[key] = TrendDelta(merged)
        else:
            totals[key] = CounterDelta(sum(part.total * n for part, n in parts if isinstance(part, CounterDelta)))
    return totals


def _multiplied(histogram: Histogram, times: int) -> Histogram:
    indices, counts = histogram.nonzero()
    return Histogram.from_sparse(
        indices, counts * times, histogram.sum_ns * times, histogram.min_ns, histogram.max_ns, 0
    )
