from __future__ import annotations

from loadr.metrics import series
from loadr.plan.metric_names import BUILT_IN, Kind


def test_the_rooms_above_see_the_same_names_and_kinds():
    assert series.BUILT_IN is BUILT_IN
    assert series.Kind is Kind


def test_kinds_are_the_numbers_of_the_wire():
    assert {kind.name: kind.value for kind in Kind} == {"COUNTER": 1, "RATE": 2, "TREND": 3, "GAUGE": 4}


def test_times_are_trends_and_k6_names_are_there():
    for name in ("http_req_duration", "http_req_waiting", "iteration_duration", "iteration_lag"):
        assert BUILT_IN[name] is Kind.TREND
    assert BUILT_IN["http_req_failed"] is BUILT_IN["checks"] is Kind.RATE
    assert BUILT_IN["http_reqs"] is BUILT_IN["data_sent"] is Kind.COUNTER
    assert BUILT_IN["vus"] is Kind.GAUGE
