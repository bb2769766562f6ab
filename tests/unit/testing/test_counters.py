"""Exact counts within bounds."""

from __future__ import annotations

import json

from loadr.testing import counters as module
from loadr.testing.counters import OTHER, TargetCounters
from loadr.units import NS_PER_S


def test_requests_are_counted_by_path_and_second() -> None:
    counters = TargetCounters(record_arrivals=10)
    for path, ns in [("GET /a", 1), ("GET /b", NS_PER_S - 1), ("GET /a", NS_PER_S), ("GET /a", 3 * NS_PER_S)]:
        counters.arrived(path, ns)
    seen = counters.to_json()
    assert seen["total"] == 4
    assert seen["by_path"] == {"GET /a": 3, "GET /b": 1}
    assert seen["per_second"] == {"0": 2, "1": 1, "3": 1}
    assert seen["arrivals_ns"] == [1, NS_PER_S - 1, NS_PER_S, 3 * NS_PER_S]
    assert seen["arrival_paths"] == ["GET /a", "GET /b", "GET /a", "GET /a"]
    assert json.loads(json.dumps(seen)) == seen


def test_the_last_arrivals_are_kept() -> None:
    counters = TargetCounters(record_arrivals=3)
    for ns in range(10):
        counters.arrived(f"GET /{ns}", ns)
    assert list(counters.arrivals_ns) == [7, 8, 9]
    assert list(counters.arrival_paths) == ["GET /7", "GET /8", "GET /9"]
    assert counters.total == 10


def test_no_arrivals_are_kept_unless_asked_for() -> None:
    counters = TargetCounters()
    counters.arrived("GET /", 1)
    assert counters.to_json()["arrivals_ns"] == []


def test_paths_beyond_the_limit_are_counted_together() -> None:
    counters = TargetCounters()
    for number in range(module.MAX_PATHS + 5):
        counters.arrived(f"GET /{number}", 1)
    counters.arrived("GET /0", 1)
    assert counters.by_path["GET /0"] == 2
    assert counters.by_path[OTHER] == 5
    assert sum(counters.by_path.values()) == counters.total


def test_only_the_last_seconds_are_kept() -> None:
    counters = TargetCounters()
    for second in range(module.MAX_SECONDS + 5):
        counters.arrived("GET /", second * NS_PER_S)
    assert len(counters.per_second) == module.MAX_SECONDS
    assert min(counters.per_second) == 5
    assert counters.total == module.MAX_SECONDS + 5
