"""HDR V2 payloads: a histogram's buckets as bytes, and back, trusting nobody.

`encode` takes a `Histogram` and gives bytes; `decode` takes bytes of a peer and gives sparse buckets or raises
`BadHistogram`, within memory bounded by ``max_bytes``; `decode_trend` adds the exact fields that travel beside.

The format is HdrHistogram's "V2" (AbstractHistogram.encodeIntoByteBuffer and ZigZagEncoding of the public Java
implementation): a header of 40 bytes, big-endian

    cookie 0x1c849313 · payload length · normalizing offset 0 · digits 3 · lowest 1 · highest 86.4e9 · ratio 1.0

and then the counters in ascending order, each a ZigZag LEB128 number of 1 to 9 bytes (the ninth carries 8 bits,
unlike standard LEB128): n ≥ 0 is a count, n < 0 stands for -n zeros. Deflated: cookie 0x1c849314, length, and
the same in a zlib stream. Implementations differ in how they write zeros and in zlib settings, so compare decoded
counts and never bytes.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

from loadr.errors import PeerFault
from loadr.metrics.histogram import (
    BUCKETS,
    HIGHEST_US,
    LOWEST_US,
    SIGNIFICANT_DIGITS,
    Counts,
    Histogram,
    Indices,
)

_PLAIN_COOKIE = 0x1C849303 | 0x10
_DEFLATED_COOKIE = 0x1C849304 | 0x10
_HEADER = struct.Struct(">IIIIqqd")
_OUTER = struct.Struct(">II")
_GEOMETRY = (0, SIGNIFICANT_DIGITS, LOWEST_US, HIGHEST_US, 1.0)
_PLAIN_GEOMETRY = _HEADER.pack(0, 0, *_GEOMETRY)[_OUTER.size :]

COUNTERS = 28_672  # length of the counts array of other implementations: trailing zeros may reach so far
_VARINT_BYTES = 9

HEADER_BYTES = _HEADER.size
MAX_TREND_BYTES = 2**18  # what an agent may send in a second

# 10 million samples a second for 325 days. What a peer claims beyond it is no measurement, and a sum over peers
# stays far from the end of int64.
MAX_TREND_COUNT = 2**48

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]

_NO_WORDS: Words = np.empty(0, np.uint64)


class BadHistogram(PeerFault):
    """A histogram's payload, or the exact fields beside it, can not be what a recorder wrote."""


def encode(histogram: Histogram, deflate: bool = False) -> bytes:
    """The V2 payload of a histogram, plain or in a zlib stream. Exact fields are not part of the format."""
    body = _write_varints(_lay_out(*histogram.nonzero()))
    plain = _HEADER.pack(_PLAIN_COOKIE, len(body), *_GEOMETRY) + body
    if not deflate:
        return plain
    deflated = zlib.compress(plain)
    return _OUTER.pack(_DEFLATED_COOKIE, len(deflated)) + deflated


def decode(payload: bytes, *, max_bytes: int) -> tuple[Indices, Counts]:
    """The buckets with samples, ascending, and their counts (> 0), of a plain or deflated payload.

    Raises `BadHistogram`, and nothing else, on whatever is not exactly one well-formed payload of our geometry,
    or is longer than ``max_bytes``, before or after inflation. Never inflates more than that.
    """
    if len(payload) > max_bytes:
        raise BadHistogram(f"a histogram of {len(payload)} bytes is over the limit of {max_bytes}")
    if len(payload) >= _OUTER.size and _OUTER.unpack_from(payload)[0] == _DEFLATED_COOKIE:
        payload = _inflate(payload, max_bytes)
    body_bytes = _check_header(payload, max_bytes)
    if len(payload) != _HEADER.size + body_bytes:
        raise BadHistogram(
            f"a histogram's header announces {body_bytes} bytes, but {len(payload) - _HEADER.size} follow"
        )
    return _place(_read_varints(np.frombuffer(payload, np.uint8, offset=_HEADER.size)))


def decode_trend(
    hdr: bytes,
    count: int,
    sum_ns: int,
    min_ns: int,
    max_ns: int,
    clipped: int,
    *,
    max_bytes: int = MAX_TREND_BYTES,
) -> Histogram:
    """A peer's histogram with its exact fields. Raises `BadHistogram` if these contradict each other.

    They do unless the buckets sum to ``count``, which is at most `MAX_TREND_COUNT`, and `Histogram.from_sparse`
    finds nothing wrong.
    """
    indices, counts = decode(hdr, max_bytes=max_bytes)
    if not 0 <= count <= MAX_TREND_COUNT:
        raise BadHistogram(f"a histogram claims {count} samples")
    try:
        histogram = Histogram.from_sparse(indices, counts, sum_ns, min_ns, max_ns, clipped)
    except ValueError as error:
        raise BadHistogram(f"a histogram contradicts itself: {error}") from None
    if histogram.count != count:
        raise BadHistogram(f"a histogram claims {count} samples, but its buckets hold {histogram.count}")
    return histogram


def announces(payload: bytes, size: int) -> bool:
    """Whether it is a plain payload of our geometry that says it has ``size`` bytes, some of them of a body."""
    return (
        HEADER_BYTES < size <= MAX_TREND_BYTES
        and payload[8:HEADER_BYTES] == _PLAIN_GEOMETRY
        and payload[:8] == _OUTER.pack(_PLAIN_COOKIE, size - HEADER_BYTES)
    )


def _check_header(plain: bytes, max_bytes: int) -> int:
    """The length of the body that the header announces, if the geometry is ours and the length within bounds."""
    if len(plain) < _HEADER.size:
        raise BadHistogram(f"a histogram of {len(plain)} bytes is shorter than its header")
    cookie, body_bytes, *geometry = _HEADER.unpack_from(plain)
    if cookie != _PLAIN_COOKIE:
        raise BadHistogram(f"{cookie:#010x} is not the cookie of an HDR V2 histogram")
    if tuple(geometry) != _GEOMETRY:
        raise BadHistogram(
            f"a histogram must be of {SIGNIFICANT_DIGITS} digits from {LOWEST_US} to {HIGHEST_US} µs, without "
            f"offset or ratio; this one says offset, digits, lowest, highest, ratio = {geometry}"
        )
    limit = min(max_bytes - _HEADER.size, COUNTERS * _VARINT_BYTES)
    if body_bytes > limit:
        raise BadHistogram(f"a histogram announces {body_bytes} bytes; {limit} are the limit")
    return int(body_bytes)


def _inflate(payload: bytes, max_bytes: int) -> bytes:
    """The plain payload in a deflated one: first its header, then no more than that announces."""
    if _OUTER.unpack_from(payload)[1] != len(payload) - _OUTER.size:
        raise BadHistogram("a deflated histogram's length is not what its header says")
    stream = zlib.decompressobj()
    try:
        header = stream.decompress(payload[_OUTER.size :], _HEADER.size)
        body_bytes = _check_header(header, max_bytes)
        # One byte more than announced: reaches the end of a stream of the right length, and shows a longer one.
        body = stream.decompress(stream.unconsumed_tail, body_bytes + 1)
    except zlib.error as error:
        raise BadHistogram(f"a histogram can not be inflated: {error}") from None
    if not stream.eof or stream.unused_data:
        raise BadHistogram("a deflated histogram is cut off, or longer than it says")
    return header + body


def _distances(positions: npt.NDArray[np.signedinteger]) -> npt.NDArray[np.signedinteger]:
    """From each ascending position back to the one before it, from the first to -1.

    `np.diff` with ``prepend`` takes three times as long at a thousand positions.
    """
    distances = positions.copy()
    distances[1:] -= positions[:-1]
    distances[0] += 1
    return distances


def _lay_out(indices: Indices, counts: Counts) -> Words:
    """ZigZag numbers: 2 · count for each bucket, before it 2 · run - 1 if a run of zeros leads to it."""
    if not len(indices):
        return _NO_WORDS
    distances = _distances(indices)
    after_run = distances > 1
    at = np.arange(len(indices)) + after_run.cumsum()
    numbers: Words = np.empty(int(at[-1]) + 1, np.uint64)
    numbers[at] = counts
    numbers[at] <<= 1
    numbers[at[after_run] - 1] = 2 * distances[after_run] - 3  # run = distance - 1
    return numbers


def _place(numbers: Words) -> tuple[Indices, Counts]:
    """The inverse of `_lay_out`. A zero may also be written as the count 0; zeros may follow the last count."""
    if not len(numbers):
        return np.empty(0, np.int32), np.empty(0, np.int64)
    halves = (numbers >> 1).view(np.int64)
    skipped = halves * (numbers & 1).view(
        np.int64
    )  # zeros of a run, but for the one that its own place stands for
    values = halves - skipped
    # First the longest run and then the sum: it can not overflow.
    if int(skipped.max()) > COUNTERS or len(numbers) + int((skips := skipped.cumsum())[-1]) > COUNTERS:
        raise BadHistogram(f"a histogram has more than {COUNTERS} counters")
    filled = values.nonzero()[0]
    indices = (filled + skips[filled]).astype(np.int32)
    if len(indices) and int(indices[-1]) >= BUCKETS:
        raise BadHistogram(f"a histogram has samples beyond {HIGHEST_US} µs")
    return indices, values[filled]


def _write_varints(numbers: Words) -> bytes:
    """LEB128 of at most 9 bytes each."""
    if not len(numbers):
        return b""
    largest = int(numbers.max())
    if largest < 1 << 7:
        return numbers.astype(np.uint8).tobytes()
    widest = min(-(-largest.bit_length() // 7), _VARINT_BYTES)
    sizes = np.ones(len(numbers), np.intp)
    for size in range(1, widest):
        sizes += numbers >= 1 << (7 * size)
    ends = sizes.cumsum()
    out: Bytes = np.empty(int(ends[-1]), np.uint8)
    # The last byte has no continuation bit, and as the ninth it has 8 bits of its own.
    out[ends - 1] = numbers >> (7 * (sizes - 1)).astype(np.uint64)
    wide, size = sizes.nonzero()[0], 2
    while len(wide := wide[sizes[wide] >= size]):
        shifts = (7 * (sizes[wide] - size)).astype(np.uint64)
        out[ends[wide] - size] = (numbers[wide] >> shifts) & 0x7F | 0x80
        size += 1
    return out.tobytes()


def _read_varints(body: Bytes) -> Words:
    """The numbers of a body; each must be complete and as short as can be."""
    if len(body) and body[-1] >= 0x80:
        return _read_long_varints(body)
    ends = (body < 0x80).nonzero()[0]
    numbers = body[ends].astype(np.uint64)
    # Backwards from the last byte of each number, as long as the byte before belongs to it. Before the first one
    # stands, at index -1, the last byte of all: it ends a number, so nothing is read beyond.
    at = ends - 1
    before = body[at]
    wide = rows = (before >= 0x80).nonzero()[0]
    is_shortest = numbers[rows].all()
    for _ in range(_VARINT_BYTES - 2):
        if not len(rows):
            break
        numbers[rows] = numbers[rows] << 7 | before[wide] & 0x7F
        at = at[wide] - 1
        before = body[at]
        wide = (before >= 0x80).nonzero()[0]
        rows = rows[wide]
    if len(rows):
        return _read_long_varints(body)
    if not is_shortest:
        raise _overlong()
    return numbers


def _read_long_varints(body: Bytes) -> Words:
    """`_read_varints` one by one: where numbers may have nine bytes (counts from 2**55), a byte does not tell by
    itself whether it is the last."""
    numbers = []
    number = size = 0
    for byte in body.tolist():
        is_last = byte < 0x80 or size == _VARINT_BYTES - 1
        number |= (byte if is_last else byte & 0x7F) << 7 * size
        size += 1
        if is_last:
            if not byte and size > 1:
                raise _overlong()
            numbers.append(number)
            number = size = 0
    if size:
        raise BadHistogram("a histogram ends within a number")
    return np.array(numbers, np.uint64)


def _overlong() -> BadHistogram:
    return BadHistogram("a histogram holds a number that is longer than it needs to be")
