"""Deltas ⇄ wire values: what a batch carries, and what it means.

`to_wire` gives the wire value of a delta and how many bytes it takes at most. `from_wire` trusts nobody: it gives
a delta, or raises `BadBatch` in one line that says what can not be.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import assert_never

from loadr.coordination.messages import (
    Metrics,
    SeriesEntry,
    WireCounter,
    WireDelta,
    WireGauge,
    WireRate,
    WireTrend,
)
from loadr.errors import PeerFault
from loadr.metrics.delta import CounterDelta, Delta, GaugeDelta, RateDelta, TrendDelta
from loadr.metrics.hdr import BadHistogram, encode
from loadr.metrics.hdr_bulk import PackedTrend, decode_trends
from loadr.metrics.histogram import Histogram
from loadr.metrics.series import BUILT_IN, MAX_SERIES_PER_RUN, MAX_TAG_CHARACTERS, Kind, SeriesKey, Tags

MAX_BATCH_BYTES = (
    1024 * 1024
)  # a message above it is split by its sender; the transport's limit is four times that

MAX_TAGS = 32
MAX_COUNT = 2**53  # of anything within one interval: 10 million a second for 28 years

_ENVELOPE_BYTES = 64  # tags and lengths around a batch or an interval, generously
_FIELD_BYTES = 12  # a varint of 64 bits, its tag, and its part of the lengths around it


class BadBatch(PeerFault):
    """A batch that is rejected whole."""


def to_wire(series: int, delta: Delta) -> tuple[WireDelta, int]:
    """The wire value of a delta, and an upper bound of its bytes on the wire."""
    if isinstance(delta, CounterDelta):
        return WireCounter(series, delta.total), 3 * _FIELD_BYTES
    if isinstance(delta, RateDelta):
        return WireRate(series, delta.passes, delta.fails), 4 * _FIELD_BYTES
    if isinstance(delta, GaugeDelta):
        return WireGauge(series, delta.last, delta.min, delta.max), 5 * _FIELD_BYTES
    if isinstance(delta, TrendDelta):
        h = delta.histogram
        hdr = encode(h)
        wire = WireTrend(series, hdr, h.count, h.sum_ns, h.min_ns, h.max_ns, h.clipped)
        return wire, len(hdr) + 8 * _FIELD_BYTES
    assert_never(delta)


def entry_bytes(entry: SeriesEntry) -> int:
    """An upper bound of the bytes of a dictionary entry on the wire."""
    text = len(entry.metric.encode()) + sum(len(k.encode()) + len(v.encode()) for k, v in entry.tags)
    return text + _FIELD_BYTES * (4 + 3 * len(entry.tags))


def interval_bytes() -> int:
    """An upper bound of what an interval adds around its deltas."""
    return _ENVELOPE_BYTES


def series_of(entry: SeriesEntry) -> SeriesKey:
    """The series of a dictionary entry. Raises `BadBatch`."""
    try:
        kind = Kind(entry.kind)
    except ValueError:
        raise BadBatch(f"series {entry.id} is of the unknown kind {entry.kind}") from None
    if BUILT_IN.get(entry.metric, kind) is not kind:
        raise BadBatch(f"{entry.metric} is no {kind.name.lower()}")
    if not 0 < len(entry.metric) <= MAX_TAG_CHARACTERS:
        raise BadBatch(
            f"a metric's name has {len(entry.metric)} characters; 1 to {MAX_TAG_CHARACTERS} are allowed"
        )
    if len(entry.tags) > MAX_TAGS:
        raise BadBatch(f"a series of {entry.metric} has {len(entry.tags)} tags; {MAX_TAGS} are allowed")
    if any(len(name) > MAX_TAG_CHARACTERS or len(value) > MAX_TAG_CHARACTERS for name, value in entry.tags):
        raise BadBatch(f"a tag of {entry.metric} is longer than {MAX_TAG_CHARACTERS} characters")
    if len({name for name, _ in entry.tags}) != len(entry.tags):
        raise BadBatch(f"a series of {entry.metric} has the same tag twice")
    return _series_key(entry.metric, kind, tuple(sorted(entry.tags)))


@lru_cache(maxsize=2 * MAX_SERIES_PER_RUN)
def _series_key(metric: str, kind: Kind, tags: Tags) -> SeriesKey:
    """One and the same key for a series of all agents: looking it up then compares no texts."""
    return SeriesKey(metric, kind, tags)


Opened = Histogram | BadHistogram


def open_trends(batch: Metrics) -> Iterator[Opened]:
    """The histograms of a batch in the order of its deltas, all decoded at once."""
    return iter(
        decode_trends(
            [
                PackedTrend(wire.hdr, wire.count, wire.sum_ns, wire.min_ns, wire.max_ns, wire.clipped)
                for interval in batch.intervals
                for wire in interval.deltas
                if isinstance(wire, WireTrend)
            ]
        )
    )


def from_wire(key: SeriesKey, wire: WireDelta, t1_s: int, trends: Iterator[Opened]) -> Delta:
    """The delta of a series; a trend's is the next of ``trends``. Raises `BadBatch` on a kind that does not
    match, on counts that can not be, and on a histogram that no recorder wrote. A gauge's value is taken to be
    from the last second before ``t1_s``."""
    if isinstance(wire, WireCounter):
        _expect(key, Kind.COUNTER)
        return CounterDelta(_count(key, wire.total))
    if isinstance(wire, WireRate):
        _expect(key, Kind.RATE)
        return RateDelta(_count(key, wire.passes), _count(key, wire.fails))
    if isinstance(wire, WireGauge):
        _expect(key, Kind.GAUGE)
        if not -MAX_COUNT <= wire.min <= wire.last <= wire.max <= MAX_COUNT:
            raise BadBatch(f"{key}: last {wire.last} is not between min {wire.min} and max {wire.max}")
        return GaugeDelta(wire.last, wire.min, wire.max, t1_s - 1)
    if isinstance(wire, WireTrend):
        _expect(key, Kind.TREND)
        opened = next(trends)
        if isinstance(opened, BadHistogram):
            raise BadBatch(f"{key}: {opened.message}") from opened
        return TrendDelta(opened)
    assert_never(wire)


def _expect(key: SeriesKey, kind: Kind) -> None:
    if key.kind is not kind:
        raise BadBatch(f"{key} is a {key.kind.name.lower()}, not a {kind.name.lower()}")


def _count(key: SeriesKey, count: int) -> int:
    if not 0 <= count <= MAX_COUNT:
        raise BadBatch(f"{key}: {count} is no count")
    return count
