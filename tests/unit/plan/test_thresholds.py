from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadr.plan.metric_names import BUILT_IN, Kind
from loadr.plan.thresholds import AGGREGATES, ThresholdInvalid, parse_metric, parse_threshold


@pytest.mark.parametrize(
    ("metric", "text", "expected"),
    [
        ("http_req_duration", "p(95)<400", ("p", 95.0, "<", 400.0, None)),
        ("http_req_duration", " p( 99.9 ) <= 1.5e3 ", ("p", 99.9, "<=", 1500.0, None)),
        ("http_req_duration", "avg<200 over 30s", ("avg", None, "<", 200.0, 30_000_000_000)),
        ("http_req_duration", "max < .5 over 1m30s", ("max", None, "<", 0.5, 90_000_000_000)),
        ("http_req_duration", "med>=0", ("med", None, ">=", 0.0, None)),
        ("http_req_duration", "min>-1", ("min", None, ">", -1.0, None)),
        ("http_req_failed", "rate===0", ("rate", None, "==", 0.0, None)),
        ("http_req_failed", "rate!==0", ("rate", None, "!=", 0.0, None)),
        ("checks", "rate != 1", ("rate", None, "!=", 1.0, None)),
        ("http_reqs", "count>100", ("count", None, ">", 100.0, None)),
        ("http_reqs", "rate>100", ("rate", None, ">", 100.0, None)),
        ("vus", "value==5", ("value", None, "==", 5.0, None)),
    ],
)
def test_rules_are_read_as_k6_reads_them_and_over_is_ours(metric, text, expected):
    rule = parse_threshold(metric, text)
    assert (rule.aggregate, rule.argument, rule.operator, rule.value, rule.over_ns) == expected
    assert (rule.metric, rule.source, rule.tags) == (metric, text, ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http_reqs", ("http_reqs", ())),
        ("http_reqs{}", ("http_reqs", ())),
        ("http_reqs{name:items,method:GET}", ("http_reqs", (("method", "GET"), ("name", "items")))),
        (" http_reqs { name : a b } ", ("http_reqs", (("name", "a b"),))),
        ("http_reqs{name:'a,b'}", None),
        ("http_reqs{name:http://x/y?a=1}", ("http_reqs", (("name", "http://x/y?a=1"),))),
        ('http_reqs{name:"items"}', ("http_reqs", (("name", "items"),))),
        ("http_reqs{name:/items/${item}}", ("http_reqs", (("name", "/items/${item}"),))),
    ],
)
def test_a_metric_may_be_narrowed_by_tags(text, expected):
    if expected is None:
        with pytest.raises(ThresholdInvalid):
            parse_metric(text)
    else:
        assert parse_metric(text) == expected


@pytest.mark.parametrize(
    ("metric", "text", "message", "hint"),
    [
        ("http_req_durtion", "p(95)<1", "unknown metric 'http_req_durtion'", "did you mean 'http_req_duration'?"),
        ("my_metric", "avg<1", "unknown metric 'my_metric'", "metrics of a script's own are not"),
        ("", "avg<1", "'' does not name a metric", "write http_req_duration or "),
        ("http_reqs{a}", "count<1", "'a' does not select by a tag", "write {name:items,method:GET}"),
        ("http_reqs{a:1,a:2}", "count<1", "the tag 'a' is given twice", "a series has one value of a tag"),
        ("http_reqs", "p(95)<1", "http_reqs is a counter and has no 'p'", "it has count, rate"),
        ("http_req_failed", "avg<1", "http_req_failed is a rate and has no 'avg'", "it has rate"),
        ("http_req_duration", "p95<1", "'p95<1' is not a threshold", "write for example p(95)<400"),
        ("http_req_duration", "p<1", "p() is not a percentile", "write a number from 0 to 100"),
        ("http_req_duration", "p(101)<1", "p(101) is not a percentile", "write a number from 0 to 100"),
        ("http_req_duration", "p(nan)<1", "p(nan) is not a percentile", "write a number from 0 to 100"),
        ("http_req_duration", "avg(95)<1", "avg takes nothing in brackets", "write avg alone"),
        (
            "http_req_duration",
            "mean<1",
            "http_req_duration is a trend and has no 'mean'",
            "it has avg, min, max, med",
        ),
        ("http_req_duration", "avg=<1", "unknown operator '=<'", "write one of < <= > >= == !="),
        ("http_req_duration", "avg<x", "'avg<x' is not a threshold", "write for example"),
        ("http_req_duration", "avg<1s", "'avg<1s' is not a threshold", "write for example"),
        ("http_req_duration", "avg<1e999", "1e999 is too large a number", ""),
        ("http_req_duration", "avg<1 over soon", "'soon' is not a duration", ""),
        (
            "http_req_duration",
            "avg<1 over 1500ms",
            "over 1500ms is not a whole number of seconds",
            "write over 10s",
        ),
        ("http_req_duration", "avg<1 over 0s", "over 0s is not a whole number of seconds", "write over 10s"),
    ],
)
def test_a_wrong_threshold_is_refused_in_words(metric, text, message, hint):
    with pytest.raises(ThresholdInvalid) as caught:
        parse_threshold(metric, text)
    assert caught.value.message.startswith(message)
    assert caught.value.hint.startswith(hint)


def test_the_fault_says_whether_the_metric_or_the_rule_is_wrong():
    with pytest.raises(ThresholdInvalid) as in_metric:
        parse_threshold("nothing", "avg<1")
    with pytest.raises(ThresholdInvalid) as in_rule:
        parse_threshold("http_reqs", "avg<1")
    assert (in_metric.value.in_metric, in_rule.value.in_metric) == (True, False)


def test_every_built_in_metric_has_an_aggregate():
    for metric, kind in BUILT_IN.items():
        for aggregate in AGGREGATES[kind]:
            text = "p(50)<1" if aggregate == "p" else f"{aggregate}<1"
            assert parse_threshold(metric, text).aggregate == aggregate
    assert set(AGGREGATES) == set(Kind)


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_read_or_refused_in_words(metric, text):
    for name in (metric, "http_req_duration"):
        try:
            rule = parse_threshold(name, text)
        except ThresholdInvalid as error:
            assert error.message
        else:
            assert rule.source == text
