from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadr.errors import InternalFault
from loadr.metrics.cap import OTHER
from loadr.metrics.delta import CounterDelta, Delta, GaugeDelta, IntervalDelta, RateDelta, TrendDelta
from loadr.metrics.histogram import Histogram
from loadr.metrics.merge import RunMetrics
from loadr.metrics.series import Kind, SeriesKey, series


def trend(*values_ns: int) -> TrendDelta:
    return TrendDelta(Histogram.of(np.array(values_ns, np.int64)))


def reqs(**tags: str) -> SeriesKey:
    return series("http_reqs", Kind.COUNTER, **tags)


def duration(**tags: str) -> SeriesKey:
    return series("http_req_duration", Kind.TREND, **tags)


VUS = series("vus", Kind.GAUGE)


def gauge_total(metrics: RunMetrics) -> GaugeDelta:
    total = metrics.totals[VUS]
    assert isinstance(total, GaugeDelta)
    return total


def add_vus(metrics: RunMetrics, agent_id: str, second: int, value: int) -> None:
    metrics.add(agent_id, IntervalDelta(second, second + 1, {VUS: GaugeDelta(value, value, value)}))


deliveries = st.lists(
    st.tuples(
        st.sampled_from(["agent-1", "agent-2", "agent-3"]),
        st.integers(0, 20),
        st.sampled_from(["login", "search"]),
        st.lists(st.integers(-5, 10**11), max_size=5),
    ),
    max_size=25,
)


@given(deliveries, st.randoms(use_true_random=False))
def test_totals_equal_one_recorder_fed_with_all_samples_in_any_order(deliveries, random) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(deliveries)
    random.shuffle(shuffled)
    metrics, again = RunMetrics(), RunMetrics()
    for target, order in ((metrics, deliveries), (again, shuffled)):
        for agent_id, second, name, values in order:
            interval = IntervalDelta(second, second + 1)
            interval.values[reqs(name=name)] = CounterDelta(len(values))
            interval.values[duration(name=name)] = trend(*values)
            target.add(agent_id, interval)
    assert metrics.totals == again.totals
    everything = [value for _, _, _, values in deliveries for value in values]
    if deliveries:
        assert metrics.select("http_req_duration") == trend(*everything)
        assert metrics.select("http_reqs") == CounterDelta(len(everything))
    for name, delta in metrics.by_tag("http_req_duration", "name").items():
        assert delta == trend(*(value for _, _, n, values in deliveries if n == name for value in values))
    for agent_id in ("agent-1", "agent-2", "agent-3"):
        own = [delivery for delivery in deliveries if delivery[0] == agent_id]
        assert metrics.agent_total(agent_id, "http_reqs") == sum(len(values) for *_, values in own)
        assert metrics.delivered(agent_id) == max((second + 1 for _, second, _, _ in own), default=0)


def test_a_sub_metric_is_the_merge_of_the_series_that_have_its_tags() -> None:
    metrics = RunMetrics()
    ok, failed = {"expected_response": "true"}, {"expected_response": "false"}
    metrics.add(
        "a",
        IntervalDelta(
            0,
            1,
            {
                duration(name="x", **ok): trend(1_000),
                duration(name="y", **ok): trend(2_000),
                duration(name="x", **failed): trend(9_000),
            },
        ),
    )
    assert metrics.select("http_req_duration", (("expected_response", "true"),)) == trend(1_000, 2_000)
    assert metrics.select("http_req_duration", (("expected_response", "false"), ("name", "x"))) == trend(9_000)
    assert metrics.select("http_req_duration", (("name", "z"),)) is None
    assert metrics.select("http_req_blocked") is None


def test_selections_are_copies() -> None:
    metrics = RunMetrics()
    metrics.add("a", IntervalDelta(0, 1, {duration(): trend(1_000)}))
    selected = metrics.select("http_req_duration")
    assert isinstance(selected, TrendDelta)
    selected.merge(trend(5_000))
    assert metrics.select("http_req_duration") == trend(1_000)


def test_what_was_added_is_copied() -> None:
    metrics = RunMetrics()
    interval = IntervalDelta(0, 1, {duration(): trend(1_000), reqs(): CounterDelta(1)})
    metrics.add("a", interval)
    metrics.add("b", interval)
    assert interval == IntervalDelta(0, 1, {duration(): trend(1_000), reqs(): CounterDelta(1)})
    assert metrics.totals == {duration(): trend(1_000, 1_000), reqs(): CounterDelta(2)}


def test_groups_by_tag_sum_to_the_whole() -> None:
    metrics = RunMetrics()
    values: dict[SeriesKey, Delta] = {
        reqs(name="x", status="200"): CounterDelta(1),
        reqs(name="x", status="500"): CounterDelta(2),
        reqs(name="y"): CounterDelta(4),
        reqs(): CounterDelta(8),
    }
    metrics.add("a", IntervalDelta(0, 1, values))
    assert metrics.by_tag("http_reqs", "name") == {
        "x": CounterDelta(3),
        "y": CounterDelta(4),
        "": CounterDelta(8),
    }
    assert metrics.by_tag("iterations", "name") == {}


def test_rates_sum_passes_and_fails() -> None:
    metrics = RunMetrics()
    for agent_id, delta in (("a", RateDelta(3, 1)), ("b", RateDelta(2, 5))):
        metrics.add(agent_id, IntervalDelta(0, 1, {series("checks", Kind.RATE): delta}))
    assert metrics.select("checks") == RateDelta(5, 6)


def test_a_fleets_gauge_is_the_sum_of_the_agents_last_values_however_late_they_come() -> None:
    metrics = RunMetrics()
    add_vus(metrics, "a", 0, 10)
    add_vus(metrics, "b", 0, 5)
    assert gauge_total(metrics).last == 15
    add_vus(metrics, "a", 3, 2)
    assert gauge_total(metrics) == GaugeDelta(7, 7, 15, at_s=3)
    add_vus(metrics, "a", 1, 50)
    assert gauge_total(metrics) == GaugeDelta(7, 7, 55, at_s=3)
    assert metrics.select("vus") == gauge_total(metrics)


def test_counters_are_kept_by_agent_and_series() -> None:
    metrics = RunMetrics()
    metrics.add("a", IntervalDelta(0, 1, {reqs(name="x"): CounterDelta(3), reqs(name="y"): CounterDelta(4)}))
    metrics.add("b", IntervalDelta(0, 1, {reqs(name="x"): CounterDelta(10)}))
    assert metrics.agent_total("a", "http_reqs") == 7
    assert metrics.agent_total("a", "iterations") == 0
    assert metrics.agent_total("nobody", "http_reqs") == 0


def test_the_watermark_is_what_all_given_agents_have_delivered() -> None:
    metrics = RunMetrics()
    metrics.add("a", IntervalDelta(0, 5))
    metrics.add("b", IntervalDelta(2, 3))
    metrics.add("a", IntervalDelta(1, 2))
    assert metrics.watermark(["a"]) == 5
    assert metrics.watermark(["a", "b"]) == 3
    assert metrics.watermark(["a", "b", "late"]) == 0
    assert metrics.watermark([]) == 0


def test_the_timeline_sees_every_interval() -> None:
    metrics = RunMetrics()
    metrics.add("a", IntervalDelta(4, 5, {reqs(name="x"): CounterDelta(3)}))
    metrics.add("b", IntervalDelta(4, 5, {reqs(name="y"): CounterDelta(4)}))
    assert [(p.t0_s, p.get("http_reqs")) for p in metrics.timeline.points()] == [(4, CounterDelta(7))]


@pytest.mark.parametrize(
    "values",
    [
        {reqs(): RateDelta(1, 1)},
        {series("http_reqs", Kind.RATE): RateDelta(1, 1)},
        {reqs(): CounterDelta(1), series("custom", Kind.TREND): CounterDelta(1)},
        {
            reqs(): CounterDelta(1),
            series("custom", Kind.TREND): trend(1),
            series("custom", Kind.RATE): RateDelta(1),
        },
    ],
)
def test_a_delta_of_the_wrong_kind_is_refused_and_nothing_of_it_merged(values: dict[SeriesKey, Delta]) -> None:
    metrics = RunMetrics()
    with pytest.raises(InternalFault, match="delta in a"):
        metrics.add("a", IntervalDelta(0, 1, values))
    assert metrics.totals == {}
    assert metrics.delivered("a") == 0


def test_the_kind_of_a_metric_is_built_in_or_as_first_seen() -> None:
    metrics = RunMetrics()
    assert metrics.kind_of("http_reqs") is Kind.COUNTER
    assert metrics.kind_of("cart_size") is None
    metrics.add("a", IntervalDelta(0, 1, {series("cart_size", Kind.TREND): trend(1)}))
    assert metrics.kind_of("cart_size") is Kind.TREND


def test_series_over_the_cap_fold_into_other_and_the_totals_stay_exact() -> None:
    metrics = RunMetrics(max_series=10)
    for n in range(1000):
        metrics.add(f"agent-{n % 3}", IntervalDelta(n, n + 1, {reqs(name=f"/item/{n}"): CounterDelta(n)}))
    assert len(metrics.totals) == 11
    assert metrics.folded == 990
    assert metrics.select("http_reqs") == CounterDelta(sum(range(1000)))
    assert metrics.select("http_reqs", OTHER) == CounterDelta(sum(range(10, 1000)))
    assert metrics.by_tag("http_reqs", "name")[""] == CounterDelta(sum(range(10, 1000)))
    (note,) = metrics.notes()
    assert "more than 10 series" in note
    assert "http_reqs" in note


def test_clipped_samples_are_noted_and_a_clean_run_has_no_notes() -> None:
    metrics = RunMetrics()
    metrics.add("a", IntervalDelta(0, 1, {duration(name="x"): trend(1_000)}))
    assert metrics.notes() == []
    metrics.add("a", IntervalDelta(0, 1, {duration(name="x"): trend(-1), duration(name="y"): trend(-1, 2**60)}))
    assert metrics.notes() == ["http_req_duration: 3 samples were outside of 0 to 24 h and count as its edge"]
