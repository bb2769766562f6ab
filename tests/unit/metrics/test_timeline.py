from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadr.errors import InternalFault
from loadr.metrics.delta import CounterDelta, GaugeDelta, IntervalDelta, RateDelta, TrendDelta
from loadr.metrics.histogram import Histogram
from loadr.metrics.series import Kind, series
from loadr.metrics.timeline import MAX_LATE_S, TRACKED, Timeline, TimelinePoint

REQS = series("http_reqs", Kind.COUNTER, name="a")
DURATION = series("http_req_duration", Kind.TREND, name="a")
VUS = series("vus", Kind.GAUGE)


def trend(*values_ns: int) -> TrendDelta:
    return TrendDelta(Histogram.of(np.array(values_ns, np.int64)))


def requests(t0_s: int, total: int, t1_s: int | None = None) -> IntervalDelta:
    return IntervalDelta(t0_s, t0_s + 1 if t1_s is None else t1_s, {REQS: CounterDelta(total)})


def vus(t0_s: int, value: int, t1_s: int | None = None) -> IntervalDelta:
    return IntervalDelta(t0_s, t0_s + 1 if t1_s is None else t1_s, {VUS: GaugeDelta(value, value, value)})


def total(point: TimelinePoint) -> int:
    delta = point.get("http_reqs")
    assert isinstance(delta, CounterDelta)
    return delta.total


def spans(timeline: Timeline) -> list[tuple[int, int, int]]:
    return [(point.t0_s, point.t1_s, total(point)) for point in timeline.points()]


def window_total(timeline: Timeline, seconds: int, up_to_s: int) -> int | None:
    delta = timeline.window("http_reqs", (), seconds, up_to_s)
    assert delta is None or isinstance(delta, CounterDelta)
    return None if delta is None else delta.total


def test_a_second_is_the_merge_of_all_agents_and_series() -> None:
    timeline = Timeline()
    timeline.add(IntervalDelta(3, 4, {REQS: CounterDelta(2), DURATION: trend(1_000, 2_000)}))
    other_name = series("http_req_duration", Kind.TREND, name="b")
    timeline.add(IntervalDelta(3, 4, {REQS: CounterDelta(3), DURATION: trend(7_000), other_name: trend(9_000)}))
    (point,) = timeline.points()
    assert (point.t0_s, point.t1_s) == (3, 4)
    assert point.get("http_reqs") == CounterDelta(5)
    assert point.get("http_req_duration") == trend(1_000, 2_000, 7_000, 9_000)
    assert point.get("checks") is None


def test_the_quantile_of_a_window_is_that_of_all_its_samples() -> None:
    timeline = Timeline()
    slow, fast = [9_000_000] * 3, [1_000_000] * 97
    timeline.add(IntervalDelta(0, 1, {DURATION: trend(*slow)}))
    timeline.add(IntervalDelta(1, 2, {DURATION: trend(*fast)}))
    assert timeline.window("http_req_duration", (), 2, 2) == trend(*slow, *fast)


def test_sub_metrics_with_tags_are_kept_when_tracked() -> None:
    timeline = Timeline()
    timeline.track("http_reqs", (("name", "a"),))
    timeline.add(IntervalDelta(0, 1, {REQS: CounterDelta(2), series("http_reqs", Kind.COUNTER): CounterDelta(5)}))
    (point,) = timeline.points()
    assert point.get("http_reqs", (("name", "a"),)) == CounterDelta(2)
    assert point.get("http_reqs") == CounterDelta(7)


def test_metrics_that_are_not_tracked_take_no_memory() -> None:
    timeline = Timeline()
    timeline.add(IntervalDelta(0, 1, {series("http_req_sending", Kind.TREND): trend(5_000)}))
    assert timeline.points() == []
    timeline.track("http_req_sending")
    timeline.add(IntervalDelta(1, 2, {series("http_req_sending", Kind.TREND): trend(6_000)}))
    assert [point.get("http_req_sending") for point in timeline.points()] == [trend(6_000)]


def test_gauges_sum_over_agents_within_a_second_and_the_later_second_stays() -> None:
    timeline = Timeline()
    for interval in (vus(0, 5), vus(1, 6), vus(0, 7), vus(1, 1)):
        timeline.add(interval)
    assert [point.get("vus") for point in timeline.points()] == [
        GaugeDelta(12, 12, 12, at_s=0),
        GaugeDelta(7, 7, 7, at_s=1),
    ]
    assert timeline.window("vus", (), 2, 2) == GaugeDelta(7, 7, 12, at_s=1)


@given(st.permutations(range(60)), st.integers(3, 20), st.integers(1, 10))
def test_totals_do_not_depend_on_order_nor_on_coarsening(
    order: list[int], max_points: int, keep_fine_s: int
) -> None:
    timeline = Timeline(max_points, keep_fine_s)
    for second in order:
        timeline.add(requests(second, 2**second))
    timeline.add(requests(60, 2**60))
    out = spans(timeline)
    assert len(out) <= max_points
    assert [t0 for t0, _, _ in out] == list(range(0, 61, timeline.step_s))
    assert all(count == sum(2**second for second in range(t0, t1)) for t0, t1, count in out)


def test_a_long_run_takes_no_more_points_and_no_more_memory() -> None:
    timeline = Timeline(max_points=20, keep_fine_s=10)
    wide = np.array([0, 86_400_000_000_000], np.int64)
    for second in range(1000):
        timeline.add(IntervalDelta(second, second + 1, {DURATION: TrendDelta(Histogram.of(wide))}))
    points = timeline.points()
    assert timeline.step_s == 64
    assert [(point.t0_s, point.t1_s) for point in points] == [(t, min(t + 64, 1000)) for t in range(0, 1000, 64)]
    cells = [*timeline._fine.values(), *timeline._coarse.values()]
    histograms = [delta.histogram for cell in cells for delta in cell.values.values()]  # type: ignore[union-attr]
    assert len(cells) <= 30
    assert sum(histogram._counts.nbytes > 1000 for histogram in histograms) <= 8
    merged = Histogram()
    for histogram in histograms:
        merged.merge(histogram)
    assert merged.count == 2000


def test_windows_stay_exact_to_the_second_while_points_get_coarse() -> None:
    timeline = Timeline(max_points=10, keep_fine_s=30)
    for second in range(100):
        timeline.add(requests(second, second))
    assert timeline.step_s > 1
    assert window_total(timeline, 1, 100) == 99
    assert window_total(timeline, 7, 95) == sum(range(88, 95))
    assert window_total(timeline, 30, 100) == sum(range(70, 100))


def test_a_window_that_begins_before_the_fine_seconds_is_not_answered() -> None:
    timeline = Timeline(keep_fine_s=30)
    for second in range(100):
        timeline.add(requests(second, 1))
    assert window_total(timeline, 30, 99) is None
    assert window_total(timeline, 30, 100) == 30


def test_a_window_at_the_start_of_the_run_is_as_long_as_the_run() -> None:
    timeline = Timeline()
    timeline.add(requests(0, 4))
    assert window_total(timeline, 10, 1) == 4
    assert window_total(timeline, 10, 0) is None


def test_tracking_with_a_window_keeps_that_many_seconds_and_some_for_late_agents() -> None:
    timeline = Timeline(keep_fine_s=10)
    timeline.track("http_reqs", window_s=300)
    for second in range(500):
        timeline.add(requests(second, 1))
    assert window_total(timeline, 300, 500 - MAX_LATE_S) == 300


@pytest.mark.parametrize(("metric", "seconds"), [("http_req_sending", 5), ("http_reqs", 121)])
def test_a_window_that_nobody_asked_to_track_is_a_bug(metric: str, seconds: int) -> None:
    with pytest.raises(InternalFault, match="not tracked"):
        Timeline().window(metric, (), seconds, 10)


def test_late_deltas_land_in_their_own_second_or_in_the_coarse_one_that_covers_it() -> None:
    timeline = Timeline(max_points=8, keep_fine_s=4)
    for second in range(32):
        timeline.add(requests(second, 1))
    before = timeline.points()
    timeline.add(requests(5, 100))
    timeline.add(requests(30, 1000))
    added = {new.t0_s: total(new) - total(old) for new, old in zip(timeline.points(), before, strict=True)}
    assert {t0: more for t0, more in added.items() if more} == {
        5 // timeline.step_s * timeline.step_s: 100,
        28: 1000,
    }
    assert window_total(timeline, 1, 31) == 1001


def test_a_coalesced_delta_makes_one_wide_point_with_the_right_rate() -> None:
    timeline = Timeline()
    for second in range(8):
        timeline.add(requests(second, 10))
        timeline.add(vus(second, 5))
    timeline.add(IntervalDelta(2, 6, {REQS: CounterDelta(40), VUS: GaugeDelta(3, 1, 4)}))
    assert spans(timeline) == [(0, 1, 10), (1, 2, 10), (2, 6, 80), (6, 7, 10), (7, 8, 10)]
    assert [point.get("vus").last for point in timeline.points()] == [5, 5, 8, 5, 5]  # type: ignore[union-attr]
    # The others' seconds are still there for windows.
    assert window_total(timeline, 3, 6) == 30
    assert window_total(timeline, 4, 6) == 80


def test_a_coalesced_delta_of_long_ago_is_exact_too() -> None:
    timeline = Timeline(max_points=10, keep_fine_s=5)
    for second in range(40):
        timeline.add(requests(second, 1))
    timeline.add(requests(3, 1000, t1_s=38))
    out = spans(timeline)
    assert sum(count for _, _, count in out) == 1040
    assert all(before[1] <= after[0] for before, after in pairwise(out))
    assert next((t0, t1) for t0, t1, count in out if count > 1000) == (0, 40)


def test_the_last_point_ends_with_the_newest_interval() -> None:
    timeline = Timeline(max_points=4, keep_fine_s=2)
    for second in range(10):
        timeline.add(requests(second, 1))
    assert spans(timeline) == [(0, 4, 4), (4, 8, 4), (8, 10, 2)]


def test_a_coarse_point_is_as_wide_as_the_step_when_its_last_seconds_were_idle() -> None:
    timeline = Timeline(max_points=2, keep_fine_s=1)
    for second in (0, 2, 7):
        timeline.add(requests(second, 1))
    assert spans(timeline) == [(0, 4, 2), (4, 8, 1)]


def test_points_are_copies() -> None:
    timeline = Timeline()
    timeline.add(IntervalDelta(0, 1, {DURATION: trend(1_000)}))
    (before,) = timeline.points()
    timeline.add(IntervalDelta(0, 1, {DURATION: trend(2_000)}))
    assert before.get("http_req_duration") == trend(1_000)


def test_what_the_live_view_and_the_report_draw_is_tracked() -> None:
    timeline = Timeline()
    kinds = {"http_req_failed": RateDelta(1, 2), "http_reqs": CounterDelta(3)}
    timeline.add(IntervalDelta(0, 1, {series(metric, delta.kind): delta for metric, delta in kinds.items()}))
    (point,) = timeline.points()
    assert all(point.get(metric) == delta for metric, delta in kinds.items())
    assert {"http_req_duration", "http_req_response_time", "iteration_lag", "vus"} <= set(TRACKED)
