from __future__ import annotations

import numpy as np

from loadr.engine.rows import Rows
from loadr.engine.slices import Slices
from loadr.engine.sparse import histogram_of
from loadr.metrics.histogram import Histogram
from loadr.units import NS_PER_S


def rows_of(*instants_s: float) -> Rows:
    rows = Rows(1)
    for instant_s in instants_s:
        rows.append((round(instant_s * NS_PER_S),))
    return rows


def test_rows_are_split_by_second_in_the_order_of_time_whatever_order_they_came_in() -> None:
    slices = Slices(0, latest=9, hold_later=False)
    split = [(second, len(rows)) for second, rows in slices.split(rows_of(3.5, 1.0, 3.0, 1.999))]
    assert split == [(1, 2), (3, 2)]


def test_rows_of_later_seconds_are_left_for_the_next_take() -> None:
    rows = rows_of(0.5, 2.5, 1.5, 2.0)
    now = Slices(0, latest=1, hold_later=True)
    assert [second for second, _ in now.split(rows)] == [0, 1]
    assert list(now.split(rows)) == []
    later = Slices(0, latest=2, hold_later=True)
    assert [(second, len(taken)) for second, taken in later.split(rows)] == [(2, 2)]


def test_series_with_the_same_samples_share_one_histogram() -> None:
    slices = Slices(0, latest=0, hold_later=False)
    samples = np.array([1_000, 2_000_000], dtype=np.int64)
    slices.trend(0, samples, 1, 2)
    slices.zeros(0, 3, 4)
    slices.trend(0, samples[:0], 5)
    slices.zeros(0, 0, 6)
    (only,) = slices.encode()
    found = {trend.series: histogram_of(trend) for trend in only.trends}
    assert set(found) == {1, 2, 4}
    assert found[1] == found[2] == Histogram.of(samples)
    assert (found[4].count, found[4].max_ns) == (3, 0)


def test_slices_come_by_second_with_what_was_added_together() -> None:
    slices = Slices(0, latest=0, hold_later=False)
    slices.add(4, 1, 2)
    slices.add(4, 1, 3)
    slices.count(1, rows_of(2.5, 2.7))
    slices.rate(2, 7, 1, 0)
    slices.gauge(3, 8, 5, 4, 6)
    assert [(s.second, s.counters, s.rates, s.gauges) for s in slices.encode()] == [
        (2, [(1, 2)], [(7, 1, 0)], []),
        (3, [], [], [(8, 5, 4, 6)]),
        (4, [(1, 5)], [], []),
    ]
