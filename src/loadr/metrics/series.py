"""Series: one metric under one set of tags.

Gives the identity (`SeriesKey`) under which samples are kept in a worker, sent by an agent and merged by the
controller, and the names and kinds of the built-in metrics (k6's names where k6 has one).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Kind(IntEnum):
    """What a metric's samples are, and so how its deltas are merged. Values are those of the wire."""

    COUNTER = 1  # numeric sum
    RATE = 2  # passes and fails
    TREND = 3  # histogram with exact count, sum, min, max
    GAUGE = 4  # last, min, max; a fleet's gauge is the sum over agents


Tags = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """``tags`` are sorted by name; build with `series` to be sure of that."""

    metric: str
    kind: Kind
    tags: Tags = ()

    def __str__(self) -> str:
        inner = ",".join(f"{k}:{v}" for k, v in self.tags)
        return f"{self.metric}{{{inner}}}" if inner else self.metric

    def matches(self, metric: str, tags: Tags) -> bool:
        """Whether this series belongs to the sub-metric ``metric{tags}`` (every tag given is present)."""
        return self.metric == metric and set(tags) <= set(self.tags)


def series(metric: str, kind: Kind, **tags: str) -> SeriesKey:
    """A `SeriesKey` with its tags sorted."""
    return SeriesKey(metric, kind, tuple(sorted(tags.items())))


# Trends are durations in nanoseconds (`Histogram`); reports print milliseconds, as k6 does.
BUILT_IN: dict[str, Kind] = {
    "http_reqs": Kind.COUNTER,
    "http_req_failed": Kind.RATE,  # k6's meaning: `passes` counts requests that failed
    "http_req_duration": Kind.TREND,  # send + wait + receive
    "http_req_blocked": Kind.TREND,
    "http_req_connecting": Kind.TREND,
    "http_req_tls_handshaking": Kind.TREND,
    "http_req_sending": Kind.TREND,
    "http_req_waiting": Kind.TREND,
    "http_req_receiving": Kind.TREND,
    "http_req_total": Kind.TREND,  # DNS, connect, TLS and waiting for a connection included
    "http_req_response_time": Kind.TREND,  # from the intended start; first request of an open iteration
    "http_req_errors": Kind.COUNTER,  # tag `error`: the counted kinds of failure
    "iterations": Kind.COUNTER,
    "iteration_duration": Kind.TREND,
    "iteration_lag": Kind.TREND,  # intended start → actual start
    "dropped_iterations": Kind.COUNTER,
    "missed_iterations": Kind.COUNTER,
    "lost_iterations": Kind.COUNTER,
    "interrupted_iterations": Kind.COUNTER,
    "vus": Kind.GAUGE,
    "vus_max": Kind.GAUGE,
    "checks": Kind.RATE,
    "data_sent": Kind.COUNTER,
    "data_received": Kind.COUNTER,
}

MAX_SERIES_PER_RUN = 10_000
