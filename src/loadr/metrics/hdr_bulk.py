"""Many HDR V2 payloads at once: what `hdr.decode_trend` gives of each, for a fifth of the time.

A batch brings tens of short histograms, and one by one numpy spends its time on calls. Here the bodies of all are
laid end to end and every step runs over the whole; only what is unusual goes back to `hdr`, one by one: deflated
payloads, counts of more than four bytes, zeros written as counts, and everything that is wrong. So `hdr` is the
only judge of what is refused, and why; this module only ever agrees to what it has checked itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from loadr.metrics.hdr import (
    COUNTERS,
    HEADER_BYTES,
    MAX_TREND_COUNT,
    BadHistogram,
    announces,
    decode_trend,
)
from loadr.metrics.histogram import BUCKETS, Histogram

_GROUP_BYTES = 32 * 1024
"""Of bodies in one go: what is made of them stays in a core's cache. Ten times as much takes twice the time."""
_SHORT_VARINT_BYTES = 4


class PackedTrend(NamedTuple):
    """A histogram as it travels: payload and exact fields, in the order of `hdr.decode_trend`."""

    hdr: bytes
    samples: int
    sum_ns: int
    min_ns: int
    max_ns: int
    clipped: int


def decode_trends(trends: Sequence[PackedTrend]) -> list[Histogram | BadHistogram]:
    """For each trend, in order, its histogram or what is wrong with it; see `hdr.decode_trend`."""
    out: list[Histogram | BadHistogram] = []
    for group in _groups(trends):
        opened = _open(group)
        out += [_one(trend) for trend in group] if opened is None else opened
    return out


def _one(trend: PackedTrend) -> Histogram | BadHistogram:
    try:
        return decode_trend(*trend)
    except BadHistogram as bad:
        return bad


def _groups(trends: Sequence[PackedTrend]) -> Iterator[list[PackedTrend]]:
    group: list[PackedTrend] = []
    size = 0
    for trend in trends:
        if group and size + len(trend.hdr) > _GROUP_BYTES:
            yield group
            group, size = [], 0
        group.append(trend)
        size += len(trend.hdr)
    if group:
        yield group


def _open(group: Sequence[PackedTrend]) -> list[Histogram | BadHistogram] | None:
    """The group's histograms; None if any of its payloads is not of the usual form."""
    if len(group) == 1 and len(group[0].hdr) > _GROUP_BYTES:
        return None  # so that sums of a group's counters fit 32 bits
    if not all(announces(trend.hdr, len(trend.hdr)) and trend.hdr[-1] < 0x80 for trend in group):
        return None
    bodies = [trend.hdr[HEADER_BYTES:] for trend in group]
    body = np.frombuffer(b"".join(bodies), np.uint8)
    ends = (body < 0x80).nonzero()[0]
    numbers = _read_short_varints(body, ends)
    if numbers is None:
        return None
    # Counters that a number stands for: one, or as many as the run of zeros is long.
    is_run = numbers & 1
    widths = (numbers >> 1) * is_run
    widths += 1
    if int(widths.max()) > COUNTERS:
        return None
    after = widths.cumsum(dtype=np.int32)
    filled = (is_run == 0).nonzero()[0]
    counts = numbers.take(filled)
    counts >>= 1
    # Where each payload stops: among the numbers, among the counters, among the counts.
    stops = ends.searchsorted(np.array([len(each) for each in bodies]).cumsum() - 1) + 1
    bases = np.concatenate((_ZERO, after.take(stops - 1)))
    cuts = np.concatenate((_ZERO, filled.searchsorted(stops)))
    sizes = cuts[1:] - cuts[:-1]
    if int((bases[1:] - bases[:-1]).max()) > COUNTERS or int(sizes.min()) == 0 or int(counts.min()) == 0:
        return None
    indices = after.take(filled)
    indices -= np.repeat(bases[:-1] + 1, sizes).astype(np.int32)
    if int(indices.take(cuts[1:] - 1).max()) >= BUCKETS:
        return None
    wide_counts = counts.astype(np.int64)
    totals = np.add.reduceat(wide_counts, cuts[:-1]).tolist()
    at = cuts.tolist()
    return [
        _checked(trend, indices[start:stop], wide_counts[start:stop], total)
        for trend, start, stop, total in zip(group, at, at[1:], totals, strict=False)
    ]


_ZERO = np.zeros(1, np.intp)


def _read_short_varints(body: npt.NDArray[np.uint8], ends: npt.NDArray[np.intp]) -> npt.NDArray[np.int32] | None:
    """The numbers that end at ``ends``; None if one is over four bytes, or longer than it needs to be."""
    numbers = body.take(ends).astype(np.int32)
    if len(ends) == len(body):
        return numbers
    lengths = ends.copy()
    lengths[1:] -= ends[:-1]
    lengths[0] += 1
    if int(lengths.max()) > _SHORT_VARINT_BYTES:
        return None
    rows = (lengths > 1).nonzero()[0]
    if not numbers.take(rows).all():
        return None
    length = 1
    while len(rows):
        numbers[rows] = numbers.take(rows) << 7 | body.take(ends.take(rows) - length) & 0x7F
        length += 1
        rows = rows[lengths.take(rows) > length]
    return numbers


def _checked(
    trend: PackedTrend, indices: npt.NDArray[np.int32], counts: npt.NDArray[np.int64], total: int
) -> Histogram | BadHistogram:
    """As `hdr.decode_trend` does, of buckets that are known to be sound."""
    if total == trend.samples <= MAX_TREND_COUNT:
        try:
            return Histogram.from_counted(
                indices, counts, total, trend.sum_ns, trend.min_ns, trend.max_ns, trend.clipped
            )
        except ValueError:
            pass
    return _one(trend)
