from __future__ import annotations

from loadr.metrics.cap import OTHER, SeriesCap
from loadr.metrics.delta import CounterDelta, GaugeDelta, IntervalDelta
from loadr.metrics.series import MAX_TAG_CHARACTERS, Kind, SeriesKey, series

OTHER_REQS = SeriesKey("http_reqs", Kind.COUNTER, OTHER)


def reqs(name: int) -> SeriesKey:
    return series("http_reqs", Kind.COUNTER, name=str(name))


def test_series_up_to_the_cap_keep_their_key_and_stay() -> None:
    cap = SeriesCap(limit=3)
    keys = [reqs(n) for n in range(3)]
    assert [cap.admit(key) for key in keys] == keys
    cap.admit(reqs(4))
    assert [cap.admit(key) for key in keys] == keys
    assert cap.folded.total() == 1


def test_series_over_the_cap_fold_into_other_of_their_metric() -> None:
    cap = SeriesCap(limit=2)
    cap.admit(reqs(0))
    cap.admit(reqs(1))
    assert cap.admit(reqs(2)) == OTHER_REQS
    assert cap.admit(OTHER_REQS) == OTHER_REQS


def test_a_metric_first_seen_over_the_cap_folds_by_kind() -> None:
    cap = SeriesCap(limit=1)
    cap.admit(reqs(0))
    invented = {cap.admit(SeriesKey(f"m{n}", kind, OTHER)) for n in range(100) for kind in Kind}
    assert {str(key) for key in invented} == {
        "other_counter{other:true}",
        "other_rate{other:true}",
        "other_trend{other:true}",
        "other_gauge{other:true}",
    }


def test_an_interval_within_the_cap_passes_untouched() -> None:
    interval = IntervalDelta(0, 1, {reqs(0): CounterDelta(1), reqs(1): CounterDelta(2)})
    assert SeriesCap(limit=2).fold(interval) is interval


def test_a_folded_interval_has_the_same_sums_and_leaves_the_original_alone() -> None:
    interval = IntervalDelta(3, 4, {reqs(n): CounterDelta(10**n) for n in range(5)})
    gauges = [series("vus", Kind.GAUGE, scenario=name) for name in "abc"]
    interval.values.update({key: GaugeDelta(2, 1, 3, at_s=3) for key in gauges})
    cap = SeriesCap(limit=2)
    assert cap.fold(interval) == IntervalDelta(
        3,
        4,
        {
            reqs(0): CounterDelta(1),
            reqs(1): CounterDelta(10),
            OTHER_REQS: CounterDelta(11_100),
            SeriesKey("other_gauge", Kind.GAUGE, OTHER): GaugeDelta(6, 3, 9, at_s=3),
        },
    )
    assert interval.values[reqs(2)] == CounterDelta(100)
    assert dict(cap.folded) == {"http_reqs": 3, "other_gauge": 3}


def test_a_tag_that_is_too_long_for_a_message_is_cut_and_what_becomes_one_is_added_up() -> None:
    long = "https://shop.example/" + "x" * MAX_TAG_CHARACTERS
    keys = [series("http_reqs", Kind.COUNTER, name=long + end) for end in "ab"]
    cap = SeriesCap()
    (kept,) = {cap.admit(key) for key in keys}
    assert kept.tags == (("name", long[: MAX_TAG_CHARACTERS - 1] + "…"),)
    interval = IntervalDelta(0, 1, {key: CounterDelta(2) for key in keys})
    assert cap.fold(interval).values == {kept: CounterDelta(4)}
    assert cap.folded.total() == 0
    fits = series("http_reqs", Kind.COUNTER, name="x" * MAX_TAG_CHARACTERS)
    assert cap.admit(fits) == fits
