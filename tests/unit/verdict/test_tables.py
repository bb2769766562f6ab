import pytest

from loadr.metrics.delta import CounterDelta, RateDelta
from loadr.metrics.series import Kind, series
from loadr.verdict.tables import (
    check_lines,
    error_lines,
    metric_lines,
    request_lines,
    samples_needed,
)


def lines_of(run, *asked, duration_s: float = 10.0):
    metrics = run.record.metrics
    return {line.name: line for line in metric_lines(metrics, asked, metrics.timeline.points(), duration_s)}


@pytest.mark.parametrize(("q", "samples"), [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368), (0.999, 3688)])
def test_a_quantile_needs_so_many_samples_for_a_finite_bound(q: float, samples: int) -> None:
    assert samples_needed(q) == samples
    assert q**samples <= 0.025 < q ** (samples - 1)


@pytest.mark.parametrize("q", [0.0, 1.0])
def test_extremes_are_exact_whatever_the_count(q: float) -> None:
    assert samples_needed(q) == 1


def test_a_trend_has_k6s_values_in_milliseconds(new_run) -> None:
    run = new_run()
    run.second(0, [float(ms) for ms in range(1, 101)])
    values = lines_of(run)["http_req_duration"].values
    assert list(values) == ["avg", "min", "med", "max", "p(90)", "p(95)", "p(99)", "count"]
    assert (values["avg"], values["min"], values["max"], values["count"]) == (50.5, 1.0, 100.0, 100)
    for key, expected in (("med", 50), ("p(90)", 90), ("p(95)", 95), ("p(99)", 99)):
        assert values[key] == pytest.approx(expected, rel=1 / 1000)


def test_percentiles_of_few_samples_are_named_as_weak(new_run) -> None:
    run = new_run()
    run.second(0, [1.0] * 100)
    assert lines_of(run)["http_req_duration"].weak == ["p(99)"]
    run.second(1, [1.0] * 268)
    assert lines_of(run)["http_req_duration"].weak == []


def test_counters_and_rates_have_k6s_values(new_run) -> None:
    run = new_run()
    run.second(0, [1.0] * 30, failed_ms=[1.0] * 10)
    lines = lines_of(run)
    assert lines["http_reqs"].values == {"count": 40, "rate": 4.0}
    assert lines["http_req_failed"].values == {"value": 0.25, "passes": 10, "fails": 30}


def test_a_gauge_has_the_fleets_extremes_and_not_the_sum_of_each_agents(new_run) -> None:
    run = new_run()
    for second, (one, two) in enumerate([(5, 1), (1, 5)]):
        run.second(second, agent="a1", vus=one)
        run.second(second, agent="a2", vus=two)
    assert lines_of(run)["vus"].values == {"value": 6, "min": 0, "max": 6}


def test_successes_are_a_sub_metric_of_their_own(new_run) -> None:
    run = new_run()
    run.second(0, [10.0], failed_ms=[1.0])
    assert lines_of(run)["http_req_duration{expected_response:true}"].values["min"] == 10.0


def test_a_metric_of_a_threshold_has_a_line_under_its_parent_even_without_samples(new_run) -> None:
    run = new_run()
    run.second(0, [10.0])
    lines = lines_of(
        run,
        ("http_reqs{name:items}", "http_reqs", (("name", "items"),)),
        ("http_req_duration{name:typo}", "http_req_duration", (("name", "typo"),)),
        ("dropped_iterations", "dropped_iterations", ()),
    )
    names = list(lines)
    assert names.index("http_reqs{name:items}") == names.index("http_reqs") + 1
    assert lines["http_reqs{name:items}"].values["count"] == 1
    assert lines["http_req_duration{name:typo}"].values == {}
    assert lines["dropped_iterations"].values == {"count": 0, "rate": 0}


def test_a_run_of_no_length_has_no_rate_and_does_not_divide(new_run) -> None:
    run = new_run()
    run.second(0, [10.0])
    assert lines_of(run, duration_s=0.0)["http_reqs"].values == {"count": 1, "rate": 0.0}
    assert request_lines(run.record.metrics, 0.0)[0].rate_per_s == 0.0


def test_requests_are_grouped_by_scenario_name_and_method_and_outcomes_never_mix(new_run) -> None:
    run = new_run()
    run.second(0, [10.0, 20.0], failed_ms=[1.0], agent="a1")
    run.second(1, [30.0], agent="a2")
    run.second(1, [5.0], name="cart")
    items, cart = request_lines(run.record.metrics, 2.0)
    assert (items.scenario, items.name, items.method) == ("browse", "items", "GET")
    assert (items.count, items.rate_per_s, items.failed) == (4, 2.0, 1)
    assert (items.ok.count, items.ok.max_ms) == (3, 30.0)
    assert (items.bad.count, items.bad.max_ms) == (1, 1.0)
    assert (cart.count, cart.bad.count, cart.bad.p50_ms) == (1, 0, None)


def test_checks_of_all_agents_are_summed_by_scenario_and_name(new_run) -> None:
    run = new_run()
    check = series("checks", Kind.RATE, scenario="browse", check="ok")
    run.add(0, {check: RateDelta(3, 1)}, "a1")
    run.add(0, {check: RateDelta(5, 0)}, "a2")
    (line,) = check_lines(run.record.metrics)
    assert (line.scenario, line.name, line.passes, line.fails) == ("browse", "ok", 8, 1)


def test_errors_are_told_by_kind_with_the_place_where_they_are_most_frequent(new_run) -> None:
    run = new_run()
    run.second(0, failed_ms=[1.0] * 3, status=503)
    run.second(0, failed_ms=[1.0] * 4, status=503, name="cart")
    for name, n in (("items", 9), ("cart", 1)):
        key = series("http_req_errors", Kind.COUNTER, scenario="browse", name=name, error="timeout")
        run.add(0, {key: CounterDelta(n)})
    timeout, status = error_lines(run.record.metrics)
    assert (timeout.kind, timeout.count, timeout.example) == ("timeout", 10, "items (browse)")
    assert (status.kind, status.count, status.example) == ("status 503", 7, "GET cart (browse)")


def test_a_request_without_an_answer_is_not_told_twice(new_run) -> None:
    run = new_run()
    run.second(0, failed_ms=[1.0], status=0)
    assert error_lines(run.record.metrics) == []


def test_what_the_cap_on_series_folded_still_has_a_line(new_run) -> None:
    run = new_run()
    run.add(0, {series("http_reqs", Kind.COUNTER, other="true"): CounterDelta(5)})
    (line,) = request_lines(run.record.metrics, 1.0)
    assert (line.name, line.count) == ("(other)", 5)
