"""The names of the built-in metrics and what their samples are (k6's names where k6 has one).

Stands in the lowest room that needs it: thresholds are checked against this table when a plan is loaded;
`loadr.metrics.series` hands the same names on to the rooms above.
"""

from __future__ import annotations

from enum import IntEnum


class Kind(IntEnum):
    """What a metric's samples are, and so how its deltas are merged. Values are those of the wire."""

    COUNTER = 1  # numeric sum
    RATE = 2  # passes and fails
    TREND = 3  # histogram with exact count, sum, min, max
    GAUGE = 4  # last, min, max; a fleet's gauge is the sum over agents


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
