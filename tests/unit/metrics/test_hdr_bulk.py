"""Many payloads at once are judged exactly as one by one, whatever stands beside them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadr.metrics import hdr_bulk
from loadr.metrics.hdr import BadHistogram, decode_trend, encode
from loadr.metrics.hdr_bulk import PackedTrend, decode_trends
from loadr.metrics.histogram import HIGHEST_NS, Histogram

Verdict = Histogram | str


def packed(histogram: Histogram, *, deflate: bool = False) -> PackedTrend:
    h = histogram
    return PackedTrend(encode(h, deflate=deflate), h.count, h.sum_ns, h.min_ns, h.max_ns, h.clipped)


def recorded(parts: list[tuple[int, int]]) -> Histogram:
    histogram = Histogram()
    for value_ns, times in parts:
        histogram.record_many(value_ns, times)
    return histogram


def one_by_one(trend: PackedTrend) -> Verdict:
    try:
        return decode_trend(*trend)
    except BadHistogram as bad:
        return bad.message


def at_once(trends: list[PackedTrend]) -> list[Verdict]:
    return [opened.message if isinstance(opened, BadHistogram) else opened for opened in decode_trends(trends)]


values = st.one_of(st.integers(0, 3_000_000), st.integers(0, HIGHEST_NS + 1000), st.just(0))
times = st.one_of(st.integers(1, 3), st.integers(1, 100_000), st.integers(1, 2**40))
histograms = st.lists(st.tuples(values, times), max_size=40).map(recorded)
sound = st.builds(
    lambda h, deflate: packed(h, deflate=deflate), histograms, st.sampled_from([False] * 7 + [True])
)


@st.composite
def tampered(draw: st.DrawFn) -> PackedTrend:
    """A sound trend of which bytes, the length or an exact field were changed."""
    trend = draw(sound)
    data = bytearray(trend.hdr)
    how = draw(st.sampled_from(["byte", "cut", "longer", "field", "body"]))
    if how == "byte":
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    elif how == "cut":
        del data[draw(st.integers(0, len(data))) :]
    elif how == "longer":
        data += draw(st.binary(min_size=1, max_size=4))
    elif how == "body" and len(data) > 40:
        body = draw(st.binary(max_size=60))
        data = data[:4] + len(body).to_bytes(4, "big") + data[8:40] + body
    else:
        field = draw(st.sampled_from(["samples", "sum_ns", "min_ns", "max_ns", "clipped"]))
        changed = draw(st.integers(-2, 2) | st.integers(-(2**63), 2**63))
        return trend._replace(**{field: getattr(trend, field) + changed})
    return trend._replace(hdr=bytes(data))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(sound, sound, tampered()), max_size=12))
def test_each_trend_is_judged_as_it_would_be_alone(trends: list[PackedTrend]) -> None:
    assert at_once(trends) == [one_by_one(trend) for trend in trends]


@given(st.lists(histograms, max_size=12))
def test_what_was_recorded_comes_back_bit_equal(recorded: list[Histogram]) -> None:
    assert at_once([packed(histogram) for histogram in recorded]) == recorded


def test_a_number_cut_off_at_the_end_of_a_payload_does_not_take_from_the_next() -> None:
    whole = packed(Histogram.of(np.array([5_000, 5_000_000_000])))
    cut = whole._replace(hdr=whole.hdr[:4] + (1).to_bytes(4, "big") + whole.hdr[8:40] + b"\x82")
    opened = decode_trends([cut, whole])
    assert isinstance(opened[0], BadHistogram) and opened[0].message == "a histogram ends within a number"
    assert isinstance(opened[1], Histogram) and opened[1] == decode_trend(*whole)


@pytest.mark.parametrize("zero_times", [1, 63, 64, 8_191, 8_192, 2**20, 2**26 - 1])
def test_what_agents_usually_send_is_decoded_without_a_second_look(
    monkeypatch: pytest.MonkeyPatch, zero_times: int
) -> None:
    draws = np.random.default_rng(7)
    trends = [packed(Histogram.of(draws.lognormal(16, 1, count).astype(np.int64))) for count in (1, 100, 1000)]
    trends.append(packed(recorded([(0, zero_times), (7_000_000, 2)])))
    wanted = [one_by_one(trend) for trend in trends]

    def look_again(trend: PackedTrend) -> Histogram:
        raise AssertionError("decoded one by one")

    monkeypatch.setattr(hdr_bulk, "_one", look_again)
    assert at_once(trends) == wanted


def test_more_than_one_group_of_payloads_keeps_its_order() -> None:
    draws = np.random.default_rng(8)
    recorded = [Histogram.of(draws.integers(0, 10**10, 3_000)) for _ in range(60)]
    trends = [packed(histogram) for histogram in recorded]
    assert sum(len(trend.hdr) for trend in trends) > 3 * hdr_bulk._GROUP_BYTES
    assert at_once(trends) == recorded


def test_a_payload_longer_than_a_group_is_decoded_too() -> None:
    histogram = Histogram()
    for shift in range(17):
        low_us = 1024 << shift
        histogram.record(np.repeat(np.arange(low_us, 2 * low_us, 1 << shift) * 1000, 70))
    assert len(encode(histogram)) > hdr_bulk._GROUP_BYTES
    assert at_once([packed(histogram)]) == [histogram]
