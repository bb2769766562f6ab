"""Numbered messages are taken once and in order; a bad one is rejected whole."""

from __future__ import annotations

import pytest

from loadr.coordination.intake import Intake, Order
from loadr.coordination.messages import Metrics, SeriesEntry, WireCounter, WireInterval
from loadr.coordination.wire import BadBatch
from loadr.metrics.delta import CounterDelta, IntervalDelta
from loadr.metrics.series import Kind, series

REQUESTS = series("http_reqs", Kind.COUNTER, scenario="s")
ENTRY = SeriesEntry(1, "http_reqs", Kind.COUNTER, (("scenario", "s"),))


def batch(seq: int, *totals: int, entries: tuple[SeriesEntry, ...] = ()) -> Metrics:
    intervals = tuple(WireInterval(at, at + 1, (WireCounter(1, total),)) for at, total in enumerate(totals))
    return Metrics("run", 1, seq, entries, intervals)


def test_the_next_number_is_taken_an_older_one_is_repeated_a_later_one_leaves_a_gap() -> None:
    intake = Intake()
    assert intake.order(1) is Order.NEXT
    intake.consume(1)
    assert [intake.order(seq) for seq in (0, 1, 2, 3)] == [Order.REPEATED, Order.REPEATED, Order.NEXT, Order.GAP]


def test_a_batch_becomes_intervals_and_is_summed_for_the_audit() -> None:
    intake = Intake()
    assert intake.take(batch(1, 5, 7, entries=(ENTRY,)), 10.0) == (
        IntervalDelta(0, 1, {REQUESTS: CounterDelta(5)}),
        IntervalDelta(1, 2, {REQUESTS: CounterDelta(7)}),
    )
    assert intake.sums.total("http_reqs") == 12 and intake.last_merged_s == 2


def test_a_name_holds_for_later_batches() -> None:
    intake = Intake()
    intake.take(batch(1, 5, entries=(ENTRY,)), 10.0)
    assert intake.take(batch(2, 6), 10.0)[0].values == {REQUESTS: CounterDelta(6)}


def test_nothing_of_a_bad_batch_counts() -> None:
    intake = Intake()
    with pytest.raises(BadBatch):
        intake.take(batch(1, 5, -1, entries=(ENTRY,)), 10.0)
    assert intake.sums.total("http_reqs") == 0 and intake.last_merged_s is None


def test_a_name_given_twice_a_changed_kind_and_a_series_twice_in_an_interval_are_faults() -> None:
    with pytest.raises(BadBatch, match="named twice"):
        Intake().take(batch(1, entries=(ENTRY, ENTRY)), 10.0)
    own = (SeriesEntry(1, "mine", Kind.COUNTER, ()), SeriesEntry(2, "mine", Kind.RATE, ()))
    with pytest.raises(BadBatch, match="mine changes its kind"):
        Intake().take(batch(1, entries=own), 10.0)
    twice = Metrics("run", 1, 1, (ENTRY,), (WireInterval(0, 1, (WireCounter(1, 1), WireCounter(1, 2))),))
    with pytest.raises(BadBatch, match="comes twice"):
        Intake().take(twice, 10.0)


def test_an_interval_may_reach_a_little_ahead_of_our_clock_and_no_further() -> None:
    late = Metrics("run", 1, 1, (ENTRY,), (WireInterval(14, 15, (WireCounter(1, 1),)),))
    assert Intake().take(late, 10.0)
    with pytest.raises(BadBatch, match="from 14 s to 15 s of a run of 9 s"):
        Intake().take(late, 9.0)
