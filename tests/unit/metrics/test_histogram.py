from __future__ import annotations

from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadr.metrics.histogram import (
    BUCKETS,
    HIGHEST_NS,
    MAX_COUNT,
    Histogram,
    highest_ns,
    index_of_ns,
    lowest_ns,
)

in_range = st.one_of(
    st.integers(0, 3_000_000),
    st.integers(0, HIGHEST_NS),
    st.sampled_from([0, 999, 1_000, 2_047_999, 2_048_000, HIGHEST_NS - 1, HIGHEST_NS]),
)
anything = st.one_of(in_range, st.integers(-(2**63), 2**63 - 1))
in_range_samples = st.lists(in_range, min_size=1, max_size=40)
samples = st.lists(anything, max_size=40)


def histogram_of(values: list[int]) -> Histogram:
    return Histogram.of(np.array(values, np.int64))


def single_bucket(value_ns: int) -> int:
    indices, counts = histogram_of([value_ns]).nonzero()
    assert counts.tolist() == [1]
    return int(indices[0])


@pytest.mark.parametrize(
    ("value_us", "index"),
    [
        (0, 0),
        (1, 1),
        (1023, 1023),
        (1024, 1024),
        (2047, 2047),
        (2048, 2048),
        (2049, 2048),
        (2050, 2049),
        (4095, 3071),
        (4096, 3072),
        (4099, 3072),
        (4100, 3073),
        (86_400_000_000, BUCKETS - 1),
    ],
)
def test_microseconds_go_into_the_buckets_of_hdrhistogram(value_us: int, index: int) -> None:
    assert single_bucket(value_us * 1000) == index
    assert single_bucket(value_us * 1000 + 999 if index < BUCKETS - 1 else HIGHEST_NS) == index


def test_buckets_meet_without_gap_or_overlap() -> None:
    lows = [lowest_ns(index) for index in range(BUCKETS + 1)]
    assert lows == sorted(set(lows))
    assert [highest_ns(index) for index in range(BUCKETS)] == [low - 1 for low in lows[1:]]


@pytest.mark.parametrize("power", range(10, 37))
def test_each_power_of_two_begins_a_bucket(power: int) -> None:
    edge_ns = 2**power * 1000
    assert single_bucket(edge_ns - 1) == single_bucket(edge_ns) - 1
    assert lowest_ns(single_bucket(edge_ns)) == edge_ns


@given(in_range)
def test_a_sample_lies_in_its_bucket_which_is_narrow(value: int) -> None:
    index = single_bucket(value)
    assert index == index_of_ns(value)
    assert lowest_ns(index) <= value <= highest_ns(index)
    assert highest_ns(index) - value < max(1000, value / 1024)


@given(in_range_samples)
def test_count_sum_min_and_max_are_exact(values: list[int]) -> None:
    histogram = histogram_of(values)
    assert (histogram.count, histogram.sum_ns) == (len(values), sum(values))
    assert (histogram.min_ns, histogram.max_ns) == (min(values), max(values))
    assert histogram.mean_ns() == sum(values) / len(values)
    assert histogram.clipped == 0


@given(samples)
def test_values_out_of_range_count_at_the_edge_and_as_clipped(values: list[int]) -> None:
    at_edge = [min(max(value, 0), HIGHEST_NS) for value in values]
    histogram = histogram_of(values)
    assert histogram.clipped == sum(a != b for a, b in zip(values, at_edge, strict=True))
    histogram.clipped = 0
    assert histogram == histogram_of(at_edge)


def test_the_sum_of_many_long_samples_is_exact_beyond_int64() -> None:
    count = 200_000
    histogram = Histogram.of(np.full(count, HIGHEST_NS, np.int64))
    assert histogram.sum_ns == count * HIGHEST_NS > 2**63


def test_an_empty_batch_changes_nothing() -> None:
    histogram = histogram_of([5_000])
    histogram.record(np.array([]))
    histogram.record(np.array([], np.int64))
    histogram.record_many(7, 0)
    assert histogram == histogram_of([5_000])


def test_narrower_integers_are_recorded_and_floats_are_refused() -> None:
    assert Histogram.of(np.array([70_000, 80_000], np.uint32)) == histogram_of([70_000, 80_000])
    with pytest.raises(TypeError):
        Histogram.of(np.array([1.5]))  # type: ignore[arg-type]


@given(anything, st.integers(1, 30), samples)
def test_recording_one_value_many_times_equals_a_batch(value: int, times: int, before: list[int]) -> None:
    one_by_one = histogram_of(before + [value] * times)
    at_once = histogram_of(before)
    at_once.record_many(value, times)
    assert at_once == one_by_one


@given(samples, st.data())
def test_samples_split_over_recorders_in_any_order_merge_to_one_recorder(
    values: list[int], data: st.DataObject
) -> None:
    recorders = data.draw(st.integers(1, 5))
    owners = data.draw(st.lists(st.integers(0, recorders - 1), min_size=len(values), max_size=len(values)))
    parts = [histogram_of([v for v, o in zip(values, owners, strict=True) if o == i]) for i in range(recorders)]
    merged = Histogram()
    for part in data.draw(st.permutations(parts)):
        if data.draw(st.booleans()):
            part.compact()
        merged.merge(part)
    assert merged == histogram_of(values)


@given(samples, samples, samples)
def test_merge_is_commutative_and_associative(a: list[int], b: list[int], c: list[int]) -> None:
    def merged(left: Histogram, right: Histogram) -> Histogram:
        out = left.copy()
        out.merge(right)
        return out

    x, y, z = map(histogram_of, (a, b, c))
    assert merged(x, y) == merged(y, x)
    assert merged(merged(x, y), z) == merged(x, merged(y, z))


@given(samples, samples)
def test_a_copy_is_independent(values: list[int], more: list[int]) -> None:
    for compact in (False, True):
        original = histogram_of(values)
        if compact:
            original.compact()
        twin = original.copy()
        assert twin == original
        twin.record(np.array(more, np.int64))
        assert original == histogram_of(values)
        assert twin == histogram_of(values + more)


def test_histograms_differ_by_bucket_and_by_exact_field() -> None:
    assert histogram_of([1_000, 3_000]) != histogram_of([2_000, 2_000])
    assert histogram_of([1_000, 1_999]) != histogram_of([1_001, 1_998]), "same sum and bucket, other min"
    assert histogram_of([0, 0]) != histogram_of([-1, 0]), "clipped"
    # Same exact fields, other buckets in between.
    assert histogram_of([0, 2_000, 4_000, 8_000]) != histogram_of([0, 3_000, 3_000, 8_000])
    assert Histogram() != 0


def test_memory_follows_the_buckets_in_use() -> None:
    near = histogram_of([5_000_000] * 1000)
    assert near._counts.nbytes <= 256 * 8
    wide = histogram_of([0, HIGHEST_NS])
    wide.compact()
    assert wide._indices is not None and wide._indices.nbytes + wide._counts.nbytes == 2 * 3


@given(samples)
def test_sparse_buckets_and_exact_fields_make_an_equal_histogram(values: list[int]) -> None:
    h = histogram_of(values)
    assert Histogram.from_sparse(*h.nonzero(), h.sum_ns, h.min_ns, h.max_ns, h.clipped) == h


@pytest.mark.parametrize(
    ("indices", "counts", "sum_ns", "min_ns", "max_ns", "clipped", "words"),
    [
        ([1, 2], [1], 3_000, 1_000, 2_000, 0, "2 indices for 1 counts"),
        ([], [], 1, 0, 0, 0, "empty"),
        ([2, 1], [1, 1], 3_000, 1_000, 2_000, 0, "ascend"),
        ([1, 1], [1, 1], 2_000, 1_000, 1_000, 0, "ascend"),
        ([-1], [1], 0, 0, 0, 0, "ascend"),
        ([BUCKETS], [1], HIGHEST_NS, HIGHEST_NS, HIGHEST_NS, 0, "ascend"),
        ([1, 2], [1, 0], 3_000, 1_000, 2_000, 0, "positive"),
        ([1, 2], [2**62, 2**62], 0, 1_000, 2_000, 0, "int64"),
        ([1, 2], [1, 1], 3_000, 2_000, 1_000, 0, "ascend"),
        ([0], [1], -1, -1, -1, 0, "ascend"),
        ([BUCKETS - 1], [1], HIGHEST_NS + 1, HIGHEST_NS + 1, HIGHEST_NS + 1, 0, "ascend"),
        ([1, 2], [1, 1], 2_500, 500, 2_000, 0, "first or last"),
        ([1, 2], [1, 1], 4_000, 1_000, 3_000, 0, "first or last"),
        ([1], [1], 1_500, 1_400, 1_600, 0, "sum"),
        ([1, 2], [1, 1], 2_999, 1_000, 2_000, 0, "sum"),
        ([1, 2], [2, 1], 5_001, 1_000, 2_000, 0, "sum"),
        ([0], [1], 0, 0, 0, 2, "clipped"),
        ([0], [1], 0, 0, 0, -1, "clipped"),
        ([1], [1], 1_000, 1_000, 1_000, 1, "clipped"),
    ],
)
def test_sparse_buckets_that_no_recorder_can_have_are_refused(
    indices: list[int], counts: list[int], sum_ns: int, min_ns: int, max_ns: int, clipped: int, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Histogram.from_sparse(
            np.array(indices, np.int32), np.array(counts, np.int64), sum_ns, min_ns, max_ns, clipped
        )


def test_more_samples_than_int64_counts_are_refused_and_nothing_changes() -> None:
    full = Histogram()
    full.record_many(1_000, MAX_COUNT)
    before = full.copy()
    with pytest.raises(OverflowError):
        full.merge(histogram_of([1]))
    with pytest.raises(OverflowError):
        full.record_many(1, 1)
    assert full == before


@given(in_range_samples, st.floats(0, 1))
def test_a_quantile_covers_its_share_and_stays_between_min_and_max(values: list[int], q: float) -> None:
    histogram = histogram_of(values)
    value = histogram.quantile_ns(q)
    rank = max(ceil(q * len(values)), 1)
    wanted = sorted(values)[min(rank, len(values)) - 1]
    assert min(values) <= wanted <= value <= max(values)
    assert value == min(highest_ns(index_of_ns(wanted)), max(values))


@given(in_range_samples)
def test_quantiles_ascend_and_end_at_the_exact_maximum(values: list[int]) -> None:
    quantiles = histogram_of(values).quantiles_ns([0, 0.25, 0.5, 0.9, 0.999, 1])
    assert quantiles == sorted(quantiles)
    assert quantiles[-1] == max(values)


def test_the_rank_is_that_of_the_decimal_number() -> None:
    histogram = histogram_of([n * 1_000 for n in range(1, 101)])
    # In binary floating point 0.07 · 100 is a little over 7, and its ceiling 8.
    assert histogram.quantiles_ns([0.07, 0.07001, 0.5, 0.99]) == [7_999, 8_999, 50_999, 99_999]


def test_an_empty_histogram_has_zeros() -> None:
    empty = Histogram()
    assert empty.quantiles_ns([0, 0.5, 1]) == [0, 0, 0]
    assert (empty.mean_ns(), empty.count_at_or_below_ns(10)) == (0.0, 0)
    assert [len(part) for part in empty.nonzero()] == [0, 0]


@pytest.mark.parametrize("q", [-0.01, 1.01])
def test_a_quantile_outside_of_0_to_1_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        histogram_of([1]).quantile_ns(q)


@given(in_range_samples, in_range)
def test_samples_at_or_below_are_counted_to_the_end_of_the_bucket(values: list[int], value: int) -> None:
    bucket_end = highest_ns(index_of_ns(value))
    counted = histogram_of(values).count_at_or_below_ns(value)
    assert sum(v <= value for v in values) <= counted <= sum(v <= bucket_end for v in values)


def test_the_text_of_a_histogram_says_what_is_in_it() -> None:
    assert repr(histogram_of([1_000, -5])) == "Histogram(count=2, sum_ns=1000, min_ns=0, max_ns=1000, clipped=1)"
