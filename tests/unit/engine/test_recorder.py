from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadr.engine.channel import SecondSlice, Trend
from loadr.engine.recorder import Recorder, RequestSeries, ScenarioRecorder
from loadr.engine.sparse import histogram_of
from loadr.masking import Secrets
from loadr.metrics.histogram import Histogram
from loadr.units import NS_PER_MS, NS_PER_S

START = 1_000 * NS_PER_S


@dataclass
class Taken:
    """Everything that a recorder gave, by metric and tags."""

    recorder: Recorder
    names: dict[int, tuple[str, dict[str, str]]] = field(default_factory=dict)
    slices: list[SecondSlice] = field(default_factory=list)

    def take(self, now_s: float, *, whole: bool = False) -> list[int]:
        """Take once more; gives the seconds that came."""
        new_series, slices = self.recorder.take(START, START + round(now_s * NS_PER_S), whole=whole)
        for new in new_series:
            assert new.id not in self.names
            self.names[new.id] = (new.metric, dict(new.tags))
            assert new.tags == sorted(new.tags)
        self.slices += slices
        return [slice_.second for slice_ in slices]

    def _matches(self, number: int, metric: str, tags: dict[str, str]) -> bool:
        name, own = self.names[number]
        return name == metric and tags.items() <= own.items()

    def counter(self, metric: str, second: int | None = None, **tags: str) -> int:
        return sum(
            total
            for slice_ in self.slices
            if second in (None, slice_.second)
            for number, total in slice_.counters
            if self._matches(number, metric, tags)
        )

    def rate(self, metric: str, **tags: str) -> tuple[int, int]:
        found = [r for s in self.slices for r in s.rates if self._matches(r[0], metric, tags)]
        return sum(r[1] for r in found), sum(r[2] for r in found)

    def gauges(self, metric: str) -> list[tuple[int, int, int]]:
        return [g[1:] for s in self.slices for g in s.gauges if self._matches(g[0], metric, {})]

    def trends(self, metric: str, second: int | None = None, **tags: str) -> list[Trend]:
        return [
            trend
            for slice_ in self.slices
            if second in (None, slice_.second)
            for trend in slice_.trends
            if self._matches(trend.series, metric, tags)
        ]

    def histogram(self, metric: str, second: int | None = None, **tags: str) -> Histogram:
        together = Histogram()
        for trend in self.trends(metric, second, **tags):
            together.merge(histogram_of(trend))
        return together


@pytest.fixture
def recorder() -> Recorder:
    return Recorder(["browse", "buy"])


@pytest.fixture
def taken(recorder: Recorder) -> Taken:
    return Taken(recorder)


@pytest.fixture
def browse(recorder: Recorder) -> ScenarioRecorder:
    return recorder.scenario("browse")


def answered(series: RequestSeries, status: int, at_s: float, duration_ns: int = 7 * NS_PER_MS) -> None:
    """A request on a kept connection: 1 ms to send, 1 ms to receive, the rest waiting."""
    end = START + round(at_s * NS_PER_S)
    write = end - duration_ns
    series.rows(status).kept.append((write, write + NS_PER_MS, end - NS_PER_MS, end))


def test_a_request_counts_in_the_second_in_which_it_was_completed(taken: Taken, browse: ScenarioRecorder) -> None:
    items = browse.request("GET", "items")
    for at_s in (0.5, 0.999999999, 1.0, 3.25):
        answered(items, 200, at_s, duration_ns=NS_PER_S // 2)
    assert taken.take(4) == [0, 1, 3]
    assert [taken.counter("http_reqs", second) for second in range(4)] == [2, 1, 0, 1]
    assert [taken.histogram("http_req_duration", second).count for second in range(4)] == [2, 1, 0, 1]


def test_what_came_before_the_start_counts_into_the_first_second(taken: Taken, browse: ScenarioRecorder) -> None:
    answered(browse.request("GET", "items"), 200, -0.5)
    assert taken.take(1) == [0]


def test_a_second_is_given_once_when_whole_ones_are_asked_for(taken: Taken, browse: ScenarioRecorder) -> None:
    items = browse.request("GET", "items")
    answered(items, 200, 0.9)
    assert taken.take(0.95, whole=True) == []
    answered(items, 200, 1.1)
    browse.iteration_done(0, START, START + 11 * NS_PER_S // 10)
    assert taken.take(1.2, whole=True) == [0]
    assert taken.take(1.9, whole=True) == []
    answered(items, 200, 1.9)
    assert taken.take(2.0, whole=True) == [1]
    answered(items, 200, 2.5)
    assert taken.take(2.6, whole=False) == [2]
    assert taken.take(9.0, whole=False) == []
    assert taken.counter("http_reqs") == 4
    assert taken.counter("iterations", second=1) == 1


def test_an_answered_request_has_every_time_that_can_be_told(taken: Taken, browse: ScenarioRecorder) -> None:
    answered(browse.request("GET", "items"), 200, 0.5)
    taken.take(1)
    tags = {"scenario": "browse", "name": "items", "method": "GET", "status": "200", "expected_response": "true"}
    assert taken.counter("http_reqs", **tags) == 1
    assert taken.rate("http_req_failed", **tags) == (0, 1)
    for metric, ms in (("http_req_duration", 7), ("http_req_total", 7)):
        assert taken.histogram(metric, **tags) == Histogram.of(np.array([ms * NS_PER_MS]))
    for phase, ms in (("sending", 1), ("waiting", 5), ("receiving", 1)):
        histogram = taken.histogram(f"http_req_{phase}", scenario="browse")
        assert (histogram.count, histogram.sum_ns) == (1, ms * NS_PER_MS)
    for phase in ("blocked", "connecting", "tls_handshaking"):
        histogram = taken.histogram(f"http_req_{phase}", scenario="browse")
        assert (histogram.count, histogram.max_ns) == (1, 0)
    assert taken.trends("http_req_response_time") == []


def test_a_new_connection_is_part_of_the_total_and_not_of_the_duration(
    taken: Taken, browse: ScenarioRecorder
) -> None:
    items = browse.request("GET", "items")
    answered(items, 200, 0.5)
    ms = NS_PER_MS
    write = START + 600 * ms
    items.rows(200).opened.append((9 * ms, 3 * ms, 5 * ms, write, write + ms, write + 3 * ms, write + 4 * ms))
    taken.take(1)
    assert taken.histogram("http_req_duration") == Histogram.of(np.array([7 * ms, 4 * ms]))
    assert taken.histogram("http_req_total") == Histogram.of(np.array([7 * ms, 13 * ms]))
    assert taken.histogram("http_req_blocked") == Histogram.of(np.array([0, 9 * ms]))
    assert taken.histogram("http_req_connecting") == Histogram.of(np.array([0, 3 * ms]))
    assert taken.histogram("http_req_tls_handshaking") == Histogram.of(np.array([0, 5 * ms]))
    assert taken.histogram("http_req_waiting") == Histogram.of(np.array([5 * ms, 2 * ms]))
    assert taken.counter("http_reqs") == 2


@pytest.mark.parametrize(
    ("status", "failed"),
    [(200, False), (204, False), (302, False), (399, False), (400, True), (503, True), (0, True)],
)
def test_a_request_failed_unless_its_status_is_from_200_to_399(
    taken: Taken, browse: ScenarioRecorder, status: int, failed: bool
) -> None:
    answered(browse.request("GET", "items"), status, 0.5)
    taken.take(1)
    assert taken.rate("http_req_failed") == ((1, 0) if failed else (0, 1))
    expected = "false" if failed else "true"
    assert taken.histogram("http_req_duration", status=str(status), expected_response=expected).count == 1


def test_a_failure_never_improves_the_latency_of_successes(taken: Taken, browse: ScenarioRecorder) -> None:
    items = browse.request("GET", "items")
    answered(items, 200, 0.5)
    answered(items, 0, 0.6, duration_ns=3 * NS_PER_MS)
    items.rows(0).unsent.append((START, START + 2 * NS_PER_MS))
    items.error("reset", START)
    items.error("connect_refused", START)
    taken.take(1)
    assert taken.histogram("http_req_duration", expected_response="true") == Histogram.of(
        np.array([7 * NS_PER_MS])
    )
    assert (
        taken.histogram("http_req_duration", status="0").sum_ns == 3 * NS_PER_MS
    )  # nothing was sent of the other
    assert taken.histogram("http_req_total", status="0") == Histogram.of(np.array([3, 2]) * NS_PER_MS)
    assert taken.histogram("http_req_waiting").count == 1
    assert taken.rate("http_req_failed") == (2, 1)
    assert taken.counter("http_reqs") == 3
    assert taken.counter("http_req_errors", name="items", error="reset") == 1
    assert taken.counter("http_req_errors", error="connect_refused") == 1


def test_an_interrupted_request_was_seen_by_the_target_but_neither_passed_nor_failed(
    taken: Taken, browse: ScenarioRecorder
) -> None:
    browse.request("GET", "items").interrupted(START)
    taken.take(1)
    assert taken.counter("http_reqs", status="0") == 1
    assert taken.counter("http_req_errors", error="interrupted") == 1
    assert taken.rate("http_req_failed") == (0, 0)
    assert taken.trends("http_req_duration") == []


def test_response_time_counts_from_the_intended_start(taken: Taken, browse: ScenarioRecorder) -> None:
    items = browse.request("GET", "items")
    answered(items, 200, 0.5)
    items.rows(200).intended.append((START + 100 * NS_PER_MS, START + 500 * NS_PER_MS))
    taken.take(1)
    assert taken.histogram("http_req_response_time", status="200").sum_ns == 400 * NS_PER_MS


def test_iterations_have_a_duration_and_in_open_models_a_lag(taken: Taken, browse: ScenarioRecorder) -> None:
    ms = NS_PER_MS
    browse.iteration_done(START + 1 * ms, START + 3 * ms, START + 10 * ms)
    browse.iteration_done(0, START + 3 * ms, START + 9 * ms)
    browse.interrupted(START + 20 * ms)
    browse.dropped(START + 30 * ms)
    browse.dropped(START + NS_PER_S, n=4)
    browse.missed(START + 30 * ms, n=3)
    browse.error("script_exception", START)
    taken.take(2)
    assert taken.counter("iterations", scenario="browse") == 2
    assert taken.histogram("iteration_duration") == Histogram.of(np.array([7 * ms, 6 * ms]))
    assert taken.histogram("iteration_lag") == Histogram.of(np.array([2 * ms]))
    assert taken.counter("interrupted_iterations") == 1
    assert taken.counter("dropped_iterations", second=0) == 1
    assert taken.counter("dropped_iterations", second=1) == 4
    assert taken.counter("missed_iterations") == 3
    assert taken.counter("http_req_errors", error="script_exception") == 1


def test_what_has_no_instant_counts_into_the_latest_second_that_is_given(
    taken: Taken, browse: ScenarioRecorder
) -> None:
    browse.check("fine").passes += 2
    browse.check("fine").fails += 1
    browse.bytes_sent += 10
    browse.bytes_received += 20
    taken.take(2.1, whole=True)
    browse.bytes_sent += 1
    taken.take(2.2)
    assert taken.rate("checks", scenario="browse", check="fine") == (2, 1)
    assert (taken.counter("data_sent", second=1), taken.counter("data_sent", second=2)) == (10, 1)
    assert taken.counter("data_received") == 20


def test_the_vus_gauge_spans_what_was_seen_between_two_takes(taken: Taken, browse: ScenarioRecorder) -> None:
    browse.vus_max = 9
    for second, active in enumerate((4, 7, 0, 0), start=1):
        browse.vus_active = active
        taken.take(second, whole=True)
    assert taken.gauges("vus") == [(4, 0, 4), (7, 4, 7), (0, 0, 7)]
    assert taken.gauges("vus_max") == [(9, 9, 9)] * 4


def test_no_series_comes_twice_in_a_slice(taken: Taken, browse: ScenarioRecorder) -> None:
    for name in ("a", "b"):
        series = browse.request("GET", name)
        for status in (200, 201, 0):
            answered(series, status, 0.5)
            series.rows(status).unsent.append((START, START + 5))
            series.rows(status).opened.append((1, 1, 1, START, START, START, START))
    for _ in range(2):
        taken.take(1)
    for slice_ in taken.slices:
        numbers = [row[0] for row in (*slice_.counters, *slice_.rates, *slice_.gauges)]
        numbers += [trend.series for trend in slice_.trends]
        assert len(numbers) == len(set(numbers))


def test_too_many_names_are_counted_under_one() -> None:
    recorder = Recorder(["browse"], max_series=50)
    browse, taken = recorder.scenario("browse"), Taken(recorder)
    for number in range(500):
        answered(browse.request("GET", f"item {number}"), 200 + number % 300, 0.5)
    taken.take(1)
    assert taken.counter("http_reqs") == 500
    assert taken.rate("http_req_failed") == (100, 400)
    other = {tags["status"] for metric, tags in taken.names.values() if tags.get("name") == "other"}
    assert other == {"2xx", "3xx", "4xx"}
    assert taken.counter("http_reqs", name="other") == 490
    assert recorder.folded >= 490
    assert browse.request("GET", "item 0") is browse.request("GET", "item 0")


def test_too_many_statuses_of_one_name_are_counted_by_class() -> None:
    recorder = Recorder(["browse"], max_series=25)
    items, taken = recorder.scenario("browse").request("GET", "items"), Taken(recorder)
    for _ in range(2):
        for status in range(200, 600):
            answered(items, status, 0.5)
    taken.take(1)
    assert taken.counter("http_reqs") == 800
    assert taken.rate("http_req_failed") == (400, 400)
    assert len(taken.names) < 60


def test_too_many_checks_are_counted_under_one() -> None:
    recorder = Recorder(["browse"], max_series=3)
    browse, taken = recorder.scenario("browse"), Taken(recorder)
    for number in range(10):
        browse.check(f"check {number}").passes += 1
    taken.take(1)
    assert taken.rate("checks") == (10, 0)
    assert taken.rate("checks", check="other") == (7, 0)


def test_a_scenario_that_was_not_announced_is_unknown(recorder: Recorder) -> None:
    with pytest.raises(KeyError):
        recorder.scenario("other")


@given(
    st.lists(
        st.tuples(
            st.integers(0, 6 * NS_PER_S), st.integers(2 * NS_PER_MS, 10 * NS_PER_S), st.sampled_from([200, 500])
        ),
        max_size=200,
    ),
    st.lists(st.integers(0, 199), max_size=5),
)
def test_however_often_it_is_taken_the_histograms_together_are_those_of_all_samples(
    samples: list[tuple[int, int, int]], take_after: list[int]
) -> None:
    recorder = Recorder(["browse"])
    taken, series = Taken(recorder), recorder.scenario("browse").request("GET", "items")
    for number, (at, duration, status) in enumerate(samples):
        answered(series, status, at / NS_PER_S, duration)
        if number in take_after:
            recorder.pack()
            taken.take(at / NS_PER_S, whole=number % 2 == 0)
    taken.take(7)
    assert taken.histogram("http_req_duration") == Histogram.of(
        np.array([d for _, d, _ in samples], dtype=np.int64)
    )
    for status in (200, 500):
        expected = np.array([d for _, d, s in samples if s == status], dtype=np.int64)
        assert taken.histogram("http_req_total", status=str(status)) == Histogram.of(expected)
    assert taken.counter("http_reqs") == len(samples)


def test_secrets_in_names_are_masked_and_names_that_differ_in_them_only_are_one_series() -> None:
    recorder = Recorder(["browse"], mask=Secrets({"A": "hunter2", "B": "hunter3"}).mask)
    scenario = recorder.scenario("browse")
    series = [scenario.request("GET", f"/x?key={key}") for key in ("hunter2", "hunter3", "***")]
    assert {one.name for one in series} == {"/x?key=***"} and series[0] is series[1] is series[2]
    assert scenario.check("is hunter2") is scenario.check("is hunter3")
    series[0].error("reset", START)
    taken = Taken(recorder)
    taken.take(1.0)
    assert not [name for name in taken.names.values() if "hunter" in str(name)]
