from __future__ import annotations

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadr.errors import PeerFault
from loadr.metrics.hdr import MAX_TREND_COUNT, BadHistogram, decode, decode_trend, encode
from loadr.metrics.histogram import BUCKETS, HIGHEST_NS, HIGHEST_US, Histogram

LIMIT = 2**18
PLAIN = 0x1C849313
DEFLATED = 0x1C849314


def header(
    body_bytes: int,
    cookie: int = PLAIN,
    offset: int = 0,
    digits: int = 3,
    lowest: int = 1,
    highest: int = HIGHEST_US,
    ratio: float = 1.0,
) -> bytes:
    return struct.pack(">IIIIqqd", cookie, body_bytes, offset, digits, lowest, highest, ratio)


def plain(body: bytes) -> bytes:
    return header(len(body)) + body


def deflated(content: bytes) -> bytes:
    stream = zlib.compress(content)
    return struct.pack(">II", DEFLATED, len(stream)) + stream


def varint(number: int) -> bytes:
    """ZigZag LEB128-64b9B, written from its definition and not as the room does it."""
    rest = number << 1 if number >= 0 else -number * 2 - 1
    out = bytearray()
    while rest >= 0x80 and len(out) < 8:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])


def decoded(payload: bytes) -> list[tuple[int, int]]:
    indices, counts = decode(payload, max_bytes=LIMIT)
    assert (indices.dtype, counts.dtype) == (np.int32, np.int64)
    return list(zip(indices.tolist(), counts.tolist(), strict=True))


buckets = st.dictionaries(
    st.one_of(st.integers(0, 300), st.integers(0, BUCKETS - 1)),
    st.one_of(st.integers(1, 200), st.integers(1, 2**56), st.integers(1, 2**63 - 1)),
    max_size=60,
).map(lambda counts: sorted(counts.items()))


class Buckets(Histogram):
    """Only buckets, for the encoder: counts near 2**63 can not come together in one valid histogram."""

    def __init__(self, content: list[tuple[int, int]]) -> None:
        super().__init__()
        self._indices = np.array([index for index, _ in content], np.int32)
        self._counts = np.array([count for _, count in content], np.int64)


@given(buckets, st.booleans())
@example([(0, 2**63 - 1), (BUCKETS - 1, 2**63 - 1)], True)
@example([(i, 2**k - 1) for i, k in enumerate(range(1, 64))], False)
@example([(3 * i, 2**k) for i, k in enumerate(range(63))], False)
def test_what_was_encoded_is_decoded(content: list[tuple[int, int]], deflate: bool) -> None:
    assert decoded(encode(Buckets(content), deflate)) == content


@given(buckets)
def test_the_encoding_is_that_of_the_definition(content: list[tuple[int, int]]) -> None:
    body, following = b"", 0
    for index, count in content:
        if index > following:
            body += varint(following - index)
        body += varint(count)
        following = index + 1
    assert encode(Buckets(content)) == plain(body)


def test_an_empty_histogram_is_a_header() -> None:
    assert encode(Histogram()) == header(0)
    assert decoded(header(0)) == []
    assert decoded(encode(Histogram(), deflate=True)) == []


def test_zeros_may_be_written_one_by_one_and_after_the_last_count() -> None:
    body = varint(0) + varint(0) + varint(7) + varint(-2) + varint(-1) + varint(0) + varint(300) + varint(-5)
    assert decoded(plain(body)) == [(2, 7), (7, 300)]
    assert decoded(plain(varint(0))) == []
    assert decoded(plain(varint(-28_672))) == []


def test_a_number_of_nine_bytes_ends_with_the_ninth() -> None:
    assert varint(2**63 - 1) == b"\xfe" + b"\xff" * 8
    assert decoded(plain(varint(2**63 - 1) + varint(1) + varint(2**55))) == [(0, 2**63 - 1), (1, 1), (2, 2**55)]
    assert decoded(plain(varint(2**63 - 1) + varint(0) + varint(5))) == [(0, 2**63 - 1), (2, 5)]
    assert decoded(plain(varint(0) + varint(2**62))) == [(1, 2**62)]


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "shorter than its header"),
        (plain(b"")[:-1], "shorter than its header"),
        (b"\0" * 40, "0x00000000 is not the cookie"),
        (header(0, cookie=0x1C849303), "cookie"),
        (header(0, cookie=0x1C849301), "cookie"),
        (header(0, offset=1), "without offset or ratio"),
        (header(0, digits=2), "3 digits"),
        (header(0, lowest=2), "from 1 to"),
        (header(0, highest=3_600_000_000), "86400000000"),
        (header(0, ratio=2.0), "ratio"),
        (header(0, ratio=float("nan")), "ratio"),
        (header(1), "announces 1 bytes, but 0 follow"),
        (header(0) + b"\x02", "announces 0 bytes, but 1 follow"),
        (header(2**32 - 1), "announces 4294967295 bytes"),
        (plain(b"\x82"), "ends within a number"),
        (plain(b"\x02\x82"), "ends within a number"),
        (plain(b"\x80" * 8), "ends within a number"),
        (plain(b"\x82\x00"), "longer than it needs"),
        (plain(b"\x80" * 8 + b"\x00"), "longer than it needs"),
        (plain(b"\x82\x00" + varint(2**63 - 1)), "longer than it needs"),
        (plain(b"\x82\x00" + varint(2**63 - 1) + varint(1)), "longer than it needs"),
        (plain(varint(-28_673)), "more than 28672 counters"),
        (plain(varint(-(2**63)) + varint(1)), "more than 28672 counters"),
        (plain((varint(-28_000)) * 2), "more than 28672 counters"),
        (plain(varint(-(2**62)) * 4), "more than 28672 counters"),
        (plain(b"\x02" * 28_673), "more than 28672 counters"),
        (plain(varint(-BUCKETS) + varint(1)), "samples beyond 86400000000"),
        (plain(b"\x02" * LIMIT), "over the limit"),
        (struct.pack(">I", DEFLATED), "shorter than its header"),
        (struct.pack(">II", DEFLATED, 0), "cut off|shorter"),
        (struct.pack(">II", DEFLATED, 5) + b"\0" * 4, "length is not what"),
        (struct.pack(">II", DEFLATED, 4) + b"\0" * 4, "can not be inflated"),
        (deflated(b"short"), "shorter than its header"),
        (deflated(header(0, digits=5)), "3 digits"),
        (deflated(deflated(header(0))), "shorter than its header"),
        (deflated(header(0) + b"\x02"), "cut off, or longer|0 bytes, but 1"),
        (deflated(header(0) + b"\x02" * 9), "cut off, or longer"),
        (deflated(header(2) + b"\x02"), "announces 2 bytes, but 1 follow"),
    ],
)
def test_a_malformed_payload_is_refused_in_words(payload: bytes, words: str) -> None:
    with pytest.raises(BadHistogram, match=words):
        decode(payload, max_bytes=LIMIT)


def test_a_deflated_payload_must_end_with_its_stream() -> None:
    stream = zlib.compress(plain(b"\x02\x02"))
    for wrong in (stream[:-1], stream[:-5], stream + b"\0", stream[:-1] + bytes([stream[-1] ^ 1])):
        with pytest.raises(BadHistogram):
            decode(struct.pack(">II", DEFLATED, len(wrong)) + wrong, max_bytes=LIMIT)


def test_a_bad_histogram_is_the_fault_of_a_peer() -> None:
    assert issubclass(BadHistogram, PeerFault)


def tampered() -> st.SearchStrategy[bytes]:
    """Valid payloads with some bytes changed, cut or added; and plain headers before random bodies."""

    def tamper(payload: bytes, changes: list[tuple[int, int]], cut: int, tail: bytes) -> bytes:
        out = bytearray(payload)
        for at, byte in changes:
            out[at % len(out)] = byte
        return bytes(out[: len(out) - cut]) + tail

    valid = st.builds(lambda content, deflate: encode(Buckets(content), deflate), buckets, st.booleans())
    change = st.tuples(st.integers(0, 10_000), st.integers(0, 255))
    return st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=200).map(plain),
        st.binary(max_size=200).map(plain).map(deflated),
        st.builds(tamper, valid, st.lists(change, max_size=4), st.integers(0, 8), st.binary(max_size=8)),
    )


@given(tampered())
def test_fuzzed_bytes_decode_to_valid_buckets_or_to_a_bad_histogram(payload: bytes) -> None:
    try:
        content = decoded(payload)
    except BadHistogram:
        return
    indices = [index for index, _ in content]
    assert indices == sorted(set(indices))
    assert all(0 <= index < BUCKETS and 0 < count < 2**63 for index, count in content)


@given(tampered(), st.tuples(*[st.integers(-(2**70), 2**70) | st.integers(-1, 2)] * 5))
def test_fuzzed_trends_raise_only_a_bad_histogram(payload: bytes, exact: tuple[int, int, int, int, int]) -> None:
    try:
        histogram = decode_trend(payload, *exact)
    except BadHistogram:
        return
    assert 0 <= histogram.count <= MAX_TREND_COUNT


@pytest.mark.parametrize("announced", [0, 100, 200_000, 2**32 - 1])
def test_an_inflate_bomb_costs_no_memory(announced: int) -> None:
    bomb = deflated(header(announced) + b"\x02" * 20_000_000)
    assert len(bomb) < LIMIT
    tracemalloc.start()
    try:
        with pytest.raises(BadHistogram):
            decode(bomb, max_bytes=LIMIT)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 * LIMIT


def trend() -> Histogram:
    return Histogram.of(np.array([1_500, 2_500, 2_600, 9_000_000, HIGHEST_NS + 1], np.int64))


@pytest.mark.parametrize("deflate", [False, True])
def test_a_trend_comes_back_bit_equal(deflate: bool) -> None:
    h = trend()
    back = decode_trend(encode(h, deflate), h.count, h.sum_ns, h.min_ns, h.max_ns, h.clipped)
    assert back == h


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"count": 4}, "claims 4 samples, but its buckets hold 5"),
        ({"count": -1}, "claims -1 samples"),
        ({"count": MAX_TREND_COUNT + 1}, "claims 281474976710657 samples"),
        ({"sum_ns": 0}, "contradicts itself"),
        ({"min_ns": 2_500}, "contradicts itself"),
        ({"max_ns": HIGHEST_NS + 1}, "contradicts itself"),
        ({"clipped": 6}, "contradicts itself"),
    ],
)
def test_exact_fields_that_contradict_the_buckets_are_refused(change: dict[str, int], words: str) -> None:
    h = trend()
    fields = {
        "count": h.count,
        "sum_ns": h.sum_ns,
        "min_ns": h.min_ns,
        "max_ns": h.max_ns,
        "clipped": h.clipped,
    } | change
    with pytest.raises(BadHistogram, match=words):
        decode_trend(encode(h), **fields)


def test_more_samples_than_any_run_can_have_are_refused() -> None:
    count = MAX_TREND_COUNT + 1
    with pytest.raises(BadHistogram, match="claims"):
        decode_trend(plain(varint(count)), count, 0, 0, 0, 0)
