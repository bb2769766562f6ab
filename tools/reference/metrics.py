"""The built-in metrics: names and kinds from the code, with what they mean."""

from __future__ import annotations

from loadr.metrics.timeline import TRACKED
from loadr.plan.metric_names import BUILT_IN, Kind
from loadr.plan.thresholds import AGGREGATES
from loadr.report.figures import BYTE_METRICS
from reference.source import table, words_for

WORDS = {
    "http_reqs": "requests whose bytes were handed to the kernel, and those that never got a connection",
    "http_req_failed": "`passes` counts failed requests: no answer, or a status outside of 200–399",
    "http_req_duration": "service time: first byte written → last byte read",
    "http_req_blocked": "asking for a connection → having it: look-up, TCP and TLS; 0 on one that was there",
    "http_req_connecting": "look-up and TCP; 0 on a connection that was there",
    "http_req_tls_handshaking": "TLS handshake; 0 on one that was there, and without TLS",
    "http_req_sending": "writing the request",
    "http_req_waiting": "last byte written → first byte read",
    "http_req_receiving": "first → last read of the answer",
    "http_req_total": "asking for a connection → last byte read: `http_req_duration` and getting a connection",
    "http_req_response_time": "*intended* start → last byte; open models, first request of an iteration",
    "http_req_errors": "failures by kind, tag `error`; `interrupted` is our own doing and fails nothing",
    "iterations": "iterations that ran to their end",
    "iteration_duration": "actual start → end of an iteration that ran to its end",
    "iteration_lag": "intended → actual start; above 250 ms an arrival is dropped instead",
    "dropped_iterations": "planned, and not started: no VU was free, or the generator was more than 250 ms late",
    "missed_iterations": "planned, and not started: nobody held a lease for it at that time",
    "lost_iterations": "begun on an agent or worker that disappeared; nobody knows how they ended",
    "interrupted_iterations": "begun, and cut off by the end of the run, a stop, or the end of a lease",
    "vus": "VUs in an iteration (open) or looping (closed); the fleet's value is the sum",
    "vus_max": "VUs that exist; the fleet's value is the sum",
    "checks": "`passes` and `fails` of `check`; tag `check` is its name",
    "data_sent": "bytes written, heads included",
    "data_received": "bytes read, heads included",
}


def render() -> str:
    words_for("metrics", BUILT_IN, WORDS)
    rows = [
        (f"`{name}`", kind.name.lower(), _unit(name, kind), "yes" if name in TRACKED else "", WORDS[name])
        for name, kind in BUILT_IN.items()
    ]
    return table(("Metric", "Kind", "Unit in reports", "Over time", "Meaning"), rows)


def render_kinds() -> str:
    """What each kind is, and what a threshold may ask of it."""
    what = {
        Kind.COUNTER: "a sum",
        Kind.RATE: "`passes` and `fails`",
        Kind.TREND: "a histogram of durations with exact count, sum, min and max; nanoseconds inside",
        Kind.GAUGE: "last, min and max; the fleet's value is the sum over agents",
    }
    rows = [
        (
            kind.name.lower(),
            what[kind],
            ", ".join("`p(N)`" if one == "p" else f"`{one}`" for one in AGGREGATES[kind]),
        )
        for kind in Kind
    ]
    return table(("Kind", "Samples", "Thresholds may ask for"), rows)


def _unit(name: str, kind: Kind) -> str:
    if kind is Kind.TREND:
        return "ms"
    if name in BYTE_METRICS:
        return "bytes"
    return "fraction" if kind is Kind.RATE else "count"
