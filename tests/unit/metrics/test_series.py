from __future__ import annotations

from loadr.metrics.series import BUILT_IN, Kind, SeriesKey, series


def test_tags_are_sorted_so_that_equal_tags_are_one_series() -> None:
    a = series("http_reqs", Kind.COUNTER, status="200", name="login")
    b = series("http_reqs", Kind.COUNTER, name="login", status="200")
    assert a == b
    assert hash(a) == hash(b)
    assert a.tags == (("name", "login"), ("status", "200"))


def test_another_metric_kind_or_tag_is_another_series() -> None:
    key = series("m", Kind.COUNTER, name="a")
    assert key not in {
        series("n", Kind.COUNTER, name="a"),
        series("m", Kind.RATE, name="a"),
        series("m", Kind.COUNTER),
    }


def test_a_series_belongs_to_every_sub_metric_whose_tags_it_has() -> None:
    key = series("http_reqs", Kind.COUNTER, name="login", status="200")
    assert key.matches("http_reqs", ())
    assert key.matches("http_reqs", (("name", "login"),))
    assert key.matches("http_reqs", (("status", "200"), ("name", "login")))
    assert not key.matches("http_reqs", (("name", "logout"),))
    assert not key.matches("http_reqs", (("name", "login"), ("scenario", "s")))
    assert not key.matches("http_req_failed", ())


def test_a_series_prints_as_k6_writes_sub_metrics() -> None:
    assert str(series("http_reqs", Kind.COUNTER)) == "http_reqs"
    assert str(series("http_reqs", Kind.COUNTER, b="2", a="1")) == "http_reqs{a:1,b:2}"


def test_series_sort_by_metric_then_kind_then_tags() -> None:
    keys = [
        series("b", Kind.COUNTER),
        series("a", Kind.TREND),
        series("a", Kind.COUNTER, x="1"),
        series("a", Kind.COUNTER),
    ]
    assert [str(key) for key in sorted(keys)] == ["a", "a{x:1}", "a", "b"]


def test_built_in_metrics_have_the_kinds_of_k6() -> None:
    k6 = {
        "http_reqs": Kind.COUNTER,
        "http_req_failed": Kind.RATE,
        "http_req_duration": Kind.TREND,
        "iterations": Kind.COUNTER,
        "iteration_duration": Kind.TREND,
        "dropped_iterations": Kind.COUNTER,
        "vus": Kind.GAUGE,
        "vus_max": Kind.GAUGE,
        "checks": Kind.RATE,
        "data_sent": Kind.COUNTER,
        "data_received": Kind.COUNTER,
    }
    assert {metric: BUILT_IN[metric] for metric in k6} == k6
    assert all(SeriesKey(metric, kind).matches(metric, ()) for metric, kind in BUILT_IN.items())
