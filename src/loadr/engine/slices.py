"""Samples into seconds of the run and histograms, in numpy.

Takes flat lists of instants from the recorder; gives the `SecondSlice`s of the control channel.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from loadr.engine.channel import SecondSlice, Trend
from loadr.metrics.histogram import Histogram
from loadr.units import NS_PER_S

Samples = npt.NDArray[np.int64]


class Slices:
    """Everything of one take. ``latest`` is the second that gets what has no instant of its own.

    With ``hold_later`` rows that completed after ``latest`` are left in their lists; without it they are given
    too.
    """

    def __init__(self, start_boot_ns: int, *, latest: int, hold_later: bool) -> None:
        self.latest = latest
        self._start_ns = start_boot_ns
        self._hold_later = hold_later
        self._counters: dict[int, dict[int, int]] = {}
        self._rates: dict[int, list[tuple[int, int, int]]] = {}
        self._gauges: dict[int, list[tuple[int, int, int, int]]] = {}
        self._trends: dict[int, dict[tuple[int, ...], Histogram]] = {}

    def split(self, flat: list[int], width: int) -> Iterator[tuple[int, Samples]]:
        """Take rows of ``width`` out of a flat list; gives each second once, with its rows as (n, width) array.

        The last column is the instant by which a row is put into a second.
        """
        if not flat:
            return
        rows = np.array(flat, dtype=np.int64).reshape(-1, width)
        flat.clear()
        seconds = np.maximum((rows[:, -1] - self._start_ns) // NS_PER_S, 0)
        first, last = int(seconds.min()), int(seconds.max())
        if self._hold_later and last > self.latest:
            later = seconds > self.latest
            flat.extend(rows[later].ravel().tolist())
            rows, seconds = rows[~later], seconds[~later]
            if not len(rows):
                return
            last = int(seconds.max())
        if first == last:
            yield first, rows
            return
        for second in np.unique(seconds).tolist():
            yield second, rows[seconds == second]

    def count(self, series: int, instants: list[int]) -> None:
        """Add one to a counter for each instant."""
        for second, rows in self.split(instants, 1):
            self.add(second, series, len(rows))

    def add(self, second: int, series: int, total: int) -> None:
        """Add to a counter."""
        counters = self._counters.setdefault(second, {})
        counters[series] = counters.get(series, 0) + total

    def rate(self, second: int, series: int, passes: int, fails: int) -> None:
        """Once per second and series."""
        self._rates.setdefault(second, []).append((series, passes, fails))

    def gauge(self, second: int, series: int, last: int, low: int, high: int) -> None:
        """Once per second and series."""
        self._gauges.setdefault(second, []).append((series, last, low, high))

    def trend(self, second: int, samples_ns: Samples, *series: int) -> None:
        """Record samples into a trend; or into several that have all their samples of this second in common."""
        if len(samples_ns):
            self._histogram(second, series).record(samples_ns)

    def zeros(self, second: int, times: int, series: int) -> None:
        """Record the value 0 so many times."""
        if times:
            self._histogram(second, (series,)).record_many(0, times)

    def _histogram(self, second: int, series: tuple[int, ...]) -> Histogram:
        trends = self._trends.setdefault(second, {})
        histogram = trends.get(series)
        if histogram is None:
            histogram = trends[series] = Histogram()
        return histogram

    def encode(self) -> list[SecondSlice]:
        """The slices, by second."""
        seconds = self._counters.keys() | self._rates.keys() | self._gauges.keys() | self._trends.keys()
        return [
            SecondSlice(
                second,
                list(self._counters.get(second, {}).items()),
                self._rates.get(second, []),
                self._gauges.get(second, []),
                [
                    trend
                    for series, histogram in self._trends.get(second, {}).items()
                    for trend in _trends(series, histogram)
                ],
            )
            for second in sorted(seconds)
        ]


def _trends(series: tuple[int, ...], histogram: Histogram) -> Iterator[Trend]:
    indices, counts = histogram.nonzero()
    index_bytes, count_bytes = indices.astype("<i4").tobytes(), counts.astype("<i8").tobytes()
    for one in series:
        yield Trend(
            one,
            index_bytes,
            count_bytes,
            histogram.count,
            histogram.sum_ns,
            histogram.min_ns,
            histogram.max_ns,
            histogram.clipped,
        )
