import pytest

from loadr.metrics.delta import CounterDelta
from loadr.metrics.series import Kind, series

SAMPLES_MS = [10.0, 20.0, 30.0, 40.0]


def one_second(new_run, metric: str, rule: str):
    """The result of one rule after a second with four good requests and one failure of 50 ms."""
    run = new_run(thresholds={metric: [rule]})
    run.second(0, SAMPLES_MS, failed_ms=[50.0], vus=3)
    return run.evaluate(2.0)[0]


@pytest.mark.parametrize(
    ("metric", "rule", "passed", "observed"),
    [
        ("http_req_duration", "avg<=30", True, 30.0),
        ("http_req_duration", "avg<30", False, 30.0),
        ("http_req_duration", "min>=10", True, 10.0),
        ("http_req_duration", "max<50", False, 50.0),
        ("http_req_duration", "max==50", True, 50.0),
        ("http_req_duration", "max===50", True, 50.0),
        ("http_req_duration", "max!=50", False, 50.0),
        ("http_req_duration", "p(100)>49", True, 50.0),
        ("http_req_duration{expected_response:true}", "max<=40", True, 40.0),
        ("http_reqs", "count>4", True, 5.0),
        ("http_reqs", "rate>=2.5", True, 2.5),
        ("http_reqs", "rate>2.5", False, 2.5),
        ("http_req_failed", "rate<0.2", False, 0.2),
        ("http_req_failed", "rate<=0.2", True, 0.2),
        ("http_req_failed{status:200}", "rate==0", True, 0.0),
        ("vus", "value<4", True, 3.0),
    ],
)
def test_a_rule_holds_or_fails_as_in_k6(new_run, metric: str, rule: str, passed: bool, observed: float) -> None:
    result = one_second(new_run, metric, rule)
    assert (result.passed, result.observed) == (passed, observed)


def test_the_median_is_within_one_bucket_of_the_middle_sample(new_run) -> None:
    result = one_second(new_run, "http_req_duration", "med<31")
    assert result.passed and result.observed == pytest.approx(30.0, rel=1 / 1024)


@pytest.mark.parametrize(
    ("metric", "rule", "unit"),
    [
        ("http_req_duration", "p(95)<1", "ms"),
        ("http_req_failed", "rate<1", "fraction"),
        ("http_reqs", "count>1", "count"),
        ("http_reqs", "rate>1", "per_s"),
        ("vus", "value>1", "value"),
    ],
)
def test_a_result_says_its_unit(new_run, metric: str, rule: str, unit: str) -> None:
    assert one_second(new_run, metric, rule).unit == unit


@pytest.mark.parametrize(
    ("metric", "rule"),
    [
        ("http_req_duration{name:typo}", "p(95)<400"),
        ("http_req_failed{name:typo}", "rate<0.01"),
        ("checks", "rate>0.9"),
        ("vus{scenario:typo}", "value<10"),
    ],
)
def test_without_samples_there_is_nothing_to_judge(new_run, metric: str, rule: str) -> None:
    result = one_second(new_run, metric, rule)
    assert result.passed is None and result.observed is None


@pytest.mark.parametrize(("rule", "passed"), [("count<1", True), ("count>0", False), ("rate==0", True)])
def test_a_counter_that_nobody_counted_is_zero(new_run, rule: str, passed: bool) -> None:
    result = one_second(new_run, "dropped_iterations", rule)
    assert (result.passed, result.observed) == (passed, 0.0)


def test_a_rate_per_second_before_the_first_instant_is_zero(new_run) -> None:
    run = new_run(thresholds={"http_reqs": ["rate>1"]})
    assert run.evaluate(0.0)[0].observed == 0.0


def test_a_percentile_is_of_the_merged_samples_of_all_agents(new_run) -> None:
    run = new_run(thresholds={"http_req_duration": ["p(99)<50"]})
    run.second(0, [1.0] * 98, agent="a1")
    run.second(0, [100.0] * 2, agent="a2")
    # Of a1 alone it is 1 ms, of a2 alone 100 ms, their mean 50.5 ms.
    assert run.evaluate(2.0)[0].observed == pytest.approx(100.0, rel=1 / 1024)


def test_a_window_forgets_what_is_older(new_run) -> None:
    run = new_run(thresholds={"http_req_duration": ["max<50 over 5s", "max<50"]})
    run.second(0, [90.0])
    for second in range(1, 20):
        run.second(second, [10.0])
    early, _ = run.evaluate(3.0)
    late, whole = run.evaluate(15.0)
    assert not early.passed and early.observed == 90.0
    assert late.passed and late.observed == 10.0
    assert not whole.passed


def test_a_window_of_a_sub_metric_sees_that_sub_metric_alone(new_run) -> None:
    run = new_run(thresholds={"http_req_duration{name:slow}": ["max<50 over 5s"]})
    run.second(3, [10.0])
    run.second(3, [70.0], name="slow")
    assert run.evaluate(6.0)[0].observed == 70.0


def test_while_the_run_goes_on_a_window_ends_with_the_last_settled_second(new_run) -> None:
    run = new_run(thresholds={"http_reqs": ["count>0 over 2s"]})
    for second in range(10):
        run.second(second, [1.0] * (second + 1))
    assert run.evaluate(8.5)[0].observed == 6 + 7  # seconds 5 and 6; second 7 may still be on its way


def test_at_the_end_a_window_reaches_to_the_end_of_the_timeline(new_run) -> None:
    run = new_run(thresholds={"http_reqs": ["count>0 over 2s", "rate>0 over 2s"]})
    for second in range(10):
        run.second(second, [1.0] * (second + 1))
    count, rate = run.evaluate(10.0, final=True)
    assert count.observed == 9 + 10
    assert rate.observed == (9 + 10) / 2


def test_a_window_longer_than_the_run_covers_the_run(new_run) -> None:
    run = new_run(thresholds={"http_reqs": ["rate>0 over 1m"]})
    for second in range(4):
        run.second(second, [1.0] * 10)
    assert run.evaluate(4.0, final=True)[0].observed == 10.0


def test_a_final_window_of_a_run_without_a_single_delta_has_no_data(new_run) -> None:
    run = new_run(thresholds={"http_req_duration": ["p(95)<1 over 10s"]})
    assert run.evaluate(0.0, final=True)[0].passed is None


ABORTING = {"threshold": "max<50", "abort_on_fail": True, "delay_abort_eval": "10s"}


def test_a_failed_rule_ends_the_run_only_when_it_should_and_after_its_delay(new_run) -> None:
    run = new_run(thresholds={"http_req_duration": ["max<40", ABORTING]})
    run.second(0, [90.0])
    results = run.evaluate(2.0)
    assert [result.passed for result in results] == [False, False]
    assert run.watch.aborting(results, 9.99) == ""
    assert run.watch.aborting(results, 10.0) == "http_req_duration: max<50"


def test_a_rule_that_holds_ends_nothing(new_run) -> None:
    run = new_run(thresholds={"http_req_duration": [ABORTING]})
    run.second(0, [9.0])
    assert run.watch.aborting(run.evaluate(20.0), 20.0) == ""


def test_no_data_never_ends_a_run(new_run) -> None:
    run = new_run(thresholds={"http_req_duration": [ABORTING]})
    assert run.watch.aborting(run.evaluate(20.0), 20.0) == ""


def test_results_keep_the_order_and_the_words_of_the_plan(new_run) -> None:
    run = new_run(thresholds={"http_reqs": ["count > 1", "rate>1"], "http_req_failed": ["rate<1"]})
    run.add(0, {series("http_reqs", Kind.COUNTER, name="a"): CounterDelta(2)})
    texts = [result.text for result in run.evaluate(1.0)]
    assert texts == ["http_reqs: count > 1", "http_reqs: rate>1", "http_req_failed: rate<1"]
