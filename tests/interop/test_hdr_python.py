"""Histograms against the PyPI package `hdrhistogram`, an independent implementation with its codec in C.

Compared on decoded counts and on values, never on bytes: the two write zeros and zlib streams differently.
"""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
import pytest
from hdrh.codec import HdrHistogramEncoder
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from loadr.metrics.hdr import decode, encode
from loadr.metrics.histogram import HIGHEST_NS, HIGHEST_US, Histogram

EDGES_US = [0, 1, 2, 1023, 1024, 2047, 2048, 2049, 4095, 4096, HIGHEST_US - 1, HIGHEST_US]
EDGES_US += [2**power + step for power in range(11, 37) for step in (-1, 0, 1)]

microseconds = st.one_of(st.sampled_from(EDGES_US), st.integers(0, 100_000), st.integers(0, HIGHEST_US))
values_us = st.lists(microseconds, max_size=60)

Counts = list[tuple[int, int]]


def ours(values: list[int]) -> Histogram:
    # 999 ns more are the same microsecond, and so the same bucket.
    spread = [min(us * 1000 + i * 333 % 1000, HIGHEST_NS) for i, us in enumerate(values)]
    return Histogram.of(np.array(spread, np.int64))


def theirs(values: list[int]) -> HdrHistogram:
    histogram = HdrHistogram(1, HIGHEST_US, 3)
    for us in values:
        assert histogram.record_value(us)
    return histogram


def our_counts(histogram: Histogram) -> Counts:
    indices, counts = histogram.nonzero()
    return list(zip(indices.tolist(), counts.tolist(), strict=True))


def their_counts(histogram: HdrHistogram) -> Counts:
    counts = np.frombuffer(histogram.counts, np.int64)
    return [(index, int(counts[index])) for index in counts.nonzero()[0].tolist()]


def our_decoded(payload: bytes) -> Counts:
    indices, counts = decode(payload, max_bytes=2**18)
    return list(zip(indices.tolist(), counts.tolist(), strict=True))


@settings(max_examples=40, deadline=None)
@given(values_us)
def test_both_put_each_value_into_the_same_bucket(values: list[int]) -> None:
    assert our_counts(ours(values)) == their_counts(theirs(values))


def test_both_put_every_edge_into_the_same_bucket() -> None:
    assert our_counts(ours(EDGES_US)) == their_counts(theirs(EDGES_US))


@settings(max_examples=40, deadline=None)
@given(values_us)
def test_they_read_what_we_deflated(values: list[int]) -> None:
    histogram = ours(values)
    read = HdrHistogram.decode(base64.b64encode(encode(histogram, deflate=True)))
    assert their_counts(read) == our_counts(histogram)
    assert read.get_total_count() == histogram.count


@settings(max_examples=40, deadline=None)
@given(values_us)
def test_they_read_what_we_wrote_plain(values: list[int]) -> None:
    histogram = ours(values)
    # Their reader only takes a plain payload out of a zlib stream.
    payload = HdrHistogramEncoder.decode(zlib.compress(encode(histogram)), b64_wrap=False)
    read = HdrHistogram(1, HIGHEST_US, 3, hdr_payload=payload)
    assert their_counts(read) == our_counts(histogram)


@settings(max_examples=40, deadline=None)
@given(values_us)
def test_we_read_what_they_deflated(values: list[int]) -> None:
    written = theirs(values)
    assert our_decoded(base64.b64decode(written.encode())) == their_counts(written)


@settings(max_examples=40, deadline=None)
@given(values_us)
def test_we_read_what_they_wrote_plain(values: list[int]) -> None:
    written = theirs(values)
    stream = base64.b64decode(written.encode())[struct.calcsize(">II") :]
    assert our_decoded(zlib.decompress(stream)) == their_counts(written)


@pytest.mark.parametrize("bits", [6, 7, 13, 14, 20, 27, 34, 41, 48, 54, 55, 56, 62])
def test_counts_of_every_width_pass_both_ways(bits: int) -> None:
    count = 2**bits - 1
    histogram = Histogram()
    histogram.record_many(5_000, count)
    histogram.record_many(7_000_000, 1)
    written = HdrHistogram(1, HIGHEST_US, 3)
    written.record_value(5, count)
    written.record_value(7_000, 1)
    expected = our_counts(histogram)
    assert expected[0] == (5, count)
    assert their_counts(HdrHistogram.decode(base64.b64encode(encode(histogram, deflate=True)))) == expected
    assert our_decoded(base64.b64decode(written.encode())) == expected


def test_merging_theirs_equals_merging_ours() -> None:
    parts = [[10, 20, 30_000], [20, 5_000_000], [HIGHEST_US]]
    merged, their_merged = Histogram(), HdrHistogram(1, HIGHEST_US, 3)
    for part in parts:
        merged.merge(ours(part))
        their_merged.add(theirs(part))
    assert our_counts(merged) == their_counts(their_merged)


@settings(max_examples=25, deadline=None)
@given(st.lists(microseconds, min_size=1, max_size=5))
def test_quantiles_are_theirs_in_microseconds_cut_at_the_exact_maximum(base: list[int]) -> None:
    # Where q · count is whole, both mean the same rank (they round to the nearest, we take the ceiling).
    values = base * 100
    histogram, reference = ours(values), theirs(values)
    for percent in (1, 10, 25, 50, 75, 90, 95, 99, 100):
        expected_us = min(reference.get_value_at_percentile(percent), histogram.max_ns // 1000)
        assert histogram.quantile_ns(percent / 100) // 1000 == expected_us
