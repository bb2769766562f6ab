import msgspec
import numpy as np
import pytest

from loadr.metrics.histogram import Histogram
from loadr.report.figures import (
    MEANINGS,
    apart_from_load,
    clean,
    clip,
    count,
    meanings,
    metric_pieces,
    ms,
    observed,
    percent,
    rate,
    seconds,
    vus,
    whole_seconds,
)
from loadr.units import NS_PER_MS
from loadr.verdict.model import Accounting, MetricLine, ThresholdResult


def test_control_characters_never_reach_a_terminal() -> None:
    assert clean("a\x1b[2Jb\r\nc\td\x00") == "a?[2Jb  c d?"


@pytest.mark.parametrize(("text", "width", "clipped"), [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("abcd", 0, "…")])
def test_long_text_is_clipped_and_marked(text: str, width: int, clipped: str) -> None:
    assert clip(text, width) == clipped


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.0, "0s"), (0.25, "250µs"), (12.345, "12.3ms"), (65_000, "1m05s")]
)
def test_milliseconds_are_told_with_three_digits(value, text: str) -> None:
    assert ms(value) == text


def test_a_weak_percentile_is_marked() -> None:
    assert ms(12.0, weak=True) == "~12.0ms"


def test_what_histograms_can_not_tell_apart_gets_no_digits() -> None:
    lowest = (
        Histogram.of(np.full(1000, 450)).quantile_ns(0.99),
        Histogram.of(np.array([450, 5000])).quantile_ns(0.5),
    )
    assert [ms(ns / NS_PER_MS) for ns in lowest] == ["<1µs", "<1µs"]
    assert ms(0.000999, weak=True) == "~<1µs"
    assert ms(0.001) == "1.00µs"


def test_a_duration_that_was_always_zero_is_one_phrase() -> None:
    names = ("avg", "min", "med", "max", "p(90)", "p(95)", "p(99)")
    line = MetricLine(
        name="http_req_receiving", kind="trend", values={**dict.fromkeys(names, 0.0), "count": 8536.0}
    )
    assert metric_pieces(line) == ["0s in all 8,536"]


def test_every_meaning_fits_a_line_of_the_console() -> None:
    assert max(map(len, meanings(MEANINGS))) <= 76


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (1234567, "1,234,567"), (0.123456, "0.123")])
def test_counts_are_grouped(value: float, text: str) -> None:
    assert count(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0, "0/s"), (1.234, "1.23/s"), (99.9, "99.9/s"), (1234.5, "1,234/s")]
)
def test_rates_have_about_three_digits(value, text: str) -> None:
    assert rate(value) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0, "0.00%"), (1, "100.00%"), (0.1234, "12.34%"), (0.00001, "<0.01%"), (0.99999, ">99.99%")],
)
def test_none_and_all_are_only_said_of_none_and_all(fraction: float, text: str) -> None:
    assert percent(fraction) == text


def test_seconds_and_vus_are_told_as_people_say_them() -> None:
    assert (vus(0), vus(1), vus(1200)) == ("0 VUs", "1 VU", "1,200 VUs")
    assert (whole_seconds(12.9), whole_seconds(65)) == ("12s", "1m5s")
    assert (seconds(0), seconds(30), seconds(65)) == ("0s", "30.0s", "1m05s")


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("ms", 12.0, "12.0ms"),
        ("fraction", 0.5, "50.00%"),
        ("per_s", 3.0, "3.00/s"),
        ("count", 3.0, "3"),
        ("value", 1e4, "10,000"),
        ("ms", None, "no data"),
    ],
)
def test_what_a_threshold_saw_is_told_in_its_unit(unit, value, text: str) -> None:
    result = ThresholdResult(metric="m", expression="e", passed=None, observed=value, unit=unit)
    assert observed(result) == text


def test_a_duration_says_between_which_instants_it_is_measured() -> None:
    assert meanings(["vus", "iteration_lag"]) == ["iteration_lag: from the intended to the actual start"]


def test_the_pieces_of_a_metric_are_k6s() -> None:
    trend = MetricLine(name="t", kind="trend", values={"avg": 1.0, "p(99)": 2.0, "count": 3.0}, weak=["p(99)"])
    assert metric_pieces(trend) == ["avg=1.00ms", "p(99)=~2.00ms"]
    counter = MetricLine(name="http_reqs", kind="counter", values={"count": 12.0, "rate": 3.0})
    assert metric_pieces(counter) == ["12", "3.00/s"]
    traffic = MetricLine(name="data_sent{scenario:a}", kind="counter", values={"count": 1.5e6, "rate": 1e3})
    assert metric_pieces(traffic) == ["1.5 MB", "1 kB/s"]
    checks = MetricLine(name="checks", kind="rate", values={"value": 0.5, "passes": 2.0, "fails": 2.0})
    assert metric_pieces(checks) == ["50.00%", "2 out of 4"]
    vus = MetricLine(name="vus", kind="gauge", values={"value": 2.0, "min": 0.0, "max": 5.0})
    assert metric_pieces(vus) == ["2", "min=0", "max=5"]
    assert metric_pieces(MetricLine(name="checks", kind="rate", values={})) == ["no data"]


def test_requests_of_setup_and_teardown_are_said_apart() -> None:
    accounting = Accounting(balanced=True, requests_merged=0, requests_ledger=0, scenarios=[])
    assert apart_from_load(accounting) == ""
    both = msgspec.structs.replace(accounting, setup_requests=1, teardown_requests=1200)
    assert apart_from_load(both) == "apart from the load: setup 1 request, teardown 1,200 requests"
