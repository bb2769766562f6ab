"""Samples into seconds of the run and histograms, in numpy.

Takes rows of instants from the recorder; gives the `SecondSlice`s of the control channel.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from loadr.engine.channel import SecondSlice, Trend
from loadr.engine.rows import Rows, Samples
from loadr.metrics.histogram import Histogram
from loadr.units import NS_PER_S


class Slices:
    """Everything of one take. ``latest`` is the second that gets what has no instant of its own.

    With ``hold_later`` rows that completed after ``latest`` are left where they are; without it they are given
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

    def split(self, rows: Rows) -> Iterator[tuple[int, Samples]]:
        """Take all rows; gives each second once, with its rows.

        The last number of a row is the instant by which it is put into a second.
        """
        taken = rows.take()
        if not len(taken):
            return
        seconds = np.maximum((taken[:, -1] - self._start_ns) // NS_PER_S, 0)
        if self._hold_later and int(seconds.max()) > self.latest:
            later = seconds > self.latest
            rows.give_back(taken[later])
            taken, seconds = taken[~later], seconds[~later]
            if not len(taken):
                return
        if int(seconds.min()) == int(seconds.max()):
            yield int(seconds[0]), taken
            return
        for second in np.unique(seconds).tolist():
            yield second, taken[seconds == second]

    def count(self, series: int, rows: Rows) -> None:
        """Add one to a counter for each row."""
        for second, taken in self.split(rows):
            self.add(second, series, len(taken))

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
