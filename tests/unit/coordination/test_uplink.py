"""Exactly once: numbered, frozen, kept until acknowledged; bounded in any outage; totals exact."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from loadr.coordination.intake import Intake, Order
from loadr.coordination.messages import Metrics, RunEvent, RunEventKind
from loadr.coordination.uplink import BUDGET_BYTES, MAX_EVENTS, TAIL_INTERVALS, Uplink
from loadr.coordination.wire import MAX_BATCH_BYTES
from loadr.metrics.delta import CounterDelta, GaugeDelta, IntervalDelta, TrendDelta
from loadr.metrics.histogram import Histogram
from loadr.metrics.series import MAX_SERIES_PER_RUN, Kind, SeriesKey, series
from loadr.transport.codec import MAX_MESSAGE_BYTES, encode_agent
from support.conversation import MS, REQUESTS, S, ledger, second

VUS = series("vus", Kind.GAUGE, scenario="s")
CLOSES_AFTER = 300 * MS


def begun(frozen_limit: int = 8) -> Uplink:
    uplink = Uplink("run", 1, CLOSES_AFTER, frozen_limit)
    uplink.begin(0)
    return uplink


def closes(number: int) -> int:
    """When a second is closed."""
    return (number + 1) * S + CLOSES_AFTER


def taken(messages: list[Metrics | RunEvent]) -> list[IntervalDelta]:
    """What an intake makes of them."""
    intake = Intake()
    out = []
    for message in messages:
        intake.consume(message.seq)
        if isinstance(message, Metrics):
            out += intake.take(message, 1e6)
    return out


def total(intervals: list[IntervalDelta]) -> int:
    return sum(i.values[REQUESTS].total for i in intervals if REQUESTS in i.values)  # type: ignore[union-attr]


def test_a_second_is_frozen_when_it_is_closed_and_not_before() -> None:
    uplink = begun()
    uplink.add_interval(second(0, 5))
    assert uplink.deadline_ns() == closes(0)
    assert uplink.pump(closes(0) - 1, online=True) == []
    (batch,) = uplink.pump(closes(0), online=True)
    assert isinstance(batch, Metrics) and batch.seq == 1
    assert total(taken([batch])) == 5
    assert uplink.deadline_ns() == closes(1)


def test_workers_of_one_second_are_one_interval_and_their_gauges_sum() -> None:
    uplink = begun()
    for vus in (2, 3):
        one = second(0, 5)
        one.values[VUS] = GaugeDelta(vus, 0, vus, 0)
        uplink.add_interval(one)
    (interval,) = taken(uplink.pump(closes(0), online=True))
    assert interval.values[REQUESTS] == CounterDelta(10)
    assert interval.values[VUS] == GaugeDelta(5, 0, 5, 0)


def test_what_comes_late_rides_in_the_next_batch_under_its_own_interval() -> None:
    uplink = begun()
    uplink.add_interval(second(0, 5))
    uplink.pump(closes(0), online=True)
    uplink.add_interval(second(0, 2))
    uplink.add_interval(second(1, 7))
    assert uplink.pump(closes(0) + 1, online=True) == []
    (batch,) = uplink.pump(closes(1), online=True)
    assert isinstance(batch, Metrics)
    assert [(i.t0_s, i.t1_s) for i in batch.intervals] == [(0, 1), (1, 2)]


def test_a_name_travels_once_in_the_first_batch_that_uses_it() -> None:
    uplink = begun()
    entries = []
    for number in range(3):
        uplink.add_interval(second(number, 1))
        (batch,) = uplink.pump(closes(number), online=True)
        assert isinstance(batch, Metrics)
        entries.append(len(batch.new_series))
    assert entries == [2, 0, 0]


def test_what_is_frozen_is_kept_as_the_same_object_until_it_is_acknowledged() -> None:
    uplink = begun()
    sent = []
    for number in range(3):
        uplink.add_interval(second(number, 1))
        sent += uplink.pump(closes(number), online=True)
    assert all(one is other for one, other in zip(uplink.replay(), sent, strict=True))
    assert uplink.acknowledge(2)
    assert uplink.replay() == [sent[2]] and uplink.replay()[0] is sent[2]
    assert uplink.acknowledge(1), "an older acknowledgement does nothing"
    assert not uplink.acknowledge(99), "nobody can have that"


def test_nothing_is_frozen_while_the_link_is_away() -> None:
    uplink = begun()
    uplink.add_interval(second(0, 5))
    assert uplink.pump(closes(0), online=False) == [] and uplink.next_seq == 1
    (batch,) = uplink.pump(closes(0) + 1, online=True)
    assert batch.seq == 1


def test_a_full_window_holds_the_rest_back_until_an_acknowledgement() -> None:
    uplink = begun(frozen_limit=2)
    for number in range(5):
        uplink.add_interval(second(number, 1))
        uplink.pump(closes(number), online=True)
    assert len(uplink.replay()) == 2
    uplink.acknowledge(2)
    (tail,) = uplink.pump(closes(4) + 1, online=True)
    assert isinstance(tail, Metrics) and len(tail.intervals) == 3


def test_in_a_long_outage_neighbours_coalesce_totals_stay_and_memory_is_bounded() -> None:
    uplink = begun()
    for number in range(10_000):
        one = second(number, 1)
        one.values[VUS] = GaugeDelta(number, number, number, number)
        uplink.add_interval(one)
        assert uplink.pump(closes(number), online=False) == []
        assert len(uplink._tail) <= TAIL_INTERVALS + 2
    intervals = taken(uplink.pump(closes(10_000), online=True))
    assert total(intervals) == 10_000
    assert intervals[0].t0_s == 0 and intervals[-1].t1_s == 10_000
    assert all(one.t1_s == other.t0_s for one, other in pairwise(intervals))
    assert intervals[-1].values[VUS].last == 9_999  # type: ignore[union-attr]


def test_events_share_the_numbers_and_do_not_wait_for_a_second() -> None:
    uplink = begun()
    uplink.add_event(RunEventKind.STARTED, start_mono_ns=7, error_ns=8, bound_ns=9)
    (event,) = uplink.pump(1, online=True)
    assert event == RunEvent("run", 1, 1, RunEventKind.STARTED, "", 7, 8, (), 9)
    uplink.add_interval(second(0, 1))
    assert [m.seq for m in uplink.pump(closes(0), online=True)] == [2]


def test_the_last_message_carries_the_ledgers_and_nothing_follows() -> None:
    uplink = begun()
    uplink.add_interval(second(0, 5))
    uplink.finish((ledger(5),), "")
    batch, last = uplink.pump(1, online=True)
    assert isinstance(batch, Metrics) and isinstance(last, RunEvent)
    assert (last.kind, last.ledgers, last.seq) == (RunEventKind.FINISHED, (ledger(5),), 2)
    uplink.add_interval(second(1, 5))
    uplink.add_event(RunEventKind.ORPHANED)
    uplink.finish((), "again")
    assert uplink.pump(closes(9), online=True) == [] and uplink.deadline_ns() is None
    assert not uplink.is_drained
    uplink.acknowledge(2)
    assert uplink.is_drained


def test_the_last_message_waits_for_room_behind_the_rest() -> None:
    uplink = begun(frozen_limit=1)
    uplink.add_interval(second(0, 5))
    uplink.finish((), "")
    (batch,) = uplink.pump(1, online=True)
    assert isinstance(batch, Metrics)
    uplink.acknowledge(1)
    (last,) = uplink.pump(2, online=True)
    assert isinstance(last, RunEvent) and last.kind is RunEventKind.FINISHED


def test_a_test_that_shouts_is_bounded() -> None:
    uplink = begun()
    for number in range(1000):
        uplink.add_event(RunEventKind.SCRIPT_EXCEPTION, str(number))
    uplink.finish((), "")
    messages = []
    while not uplink.is_drained:
        messages += uplink.pump(1, online=True)
        uplink.acknowledge(messages[-1].seq)
    assert len(messages) == MAX_EVENTS + 1 and messages[-1].kind is RunEventKind.FINISHED  # type: ignore[union-attr]


def test_what_is_too_large_for_one_message_is_split() -> None:
    uplink = begun()
    interval = IntervalDelta(0, 20)  # of an outage, and so with the budget of twenty seconds
    samples = np.arange(1, 4_000_000_000, 400_000, dtype=np.int64)
    for number in range(300):
        key = series("http_req_duration", Kind.TREND, name=f"{number:03d}" * 30)
        interval.values[key] = TrendDelta(Histogram.of(samples))
    uplink.add_interval(interval)
    messages = uplink.pump(closes(19), online=True)
    assert len(messages) > 1
    for message in messages:
        assert isinstance(message, Metrics)
        size = sum(len(d.hdr) for i in message.intervals for d in i.deltas)  # type: ignore[union-attr]
        assert 0 < size <= MAX_BATCH_BYTES
    assert sum(len(i.values) for i in taken(messages)) == 300


def test_series_beyond_the_cap_fold_and_totals_stay() -> None:
    uplink = begun()
    values = {
        series("http_reqs", Kind.COUNTER, n=str(n)): CounterDelta(1) for n in range(MAX_SERIES_PER_RUN + 50)
    }
    uplink.add_interval(IntervalDelta(0, 1, dict(values)))
    intervals = taken(uplink.pump(closes(0), online=True))
    merged: dict[SeriesKey, int] = {}
    for interval in intervals:
        for key, delta in interval.values.items():
            merged[key] = merged.get(key, 0) + delta.total  # type: ignore[union-attr]
    assert sum(merged.values()) == MAX_SERIES_PER_RUN + 50 and len(merged) == MAX_SERIES_PER_RUN + 1


weather = st.lists(st.sampled_from(["second", "late", "cut", "back", "ack", "event"]), max_size=80)


@settings(max_examples=150, deadline=None)
@given(weather, st.integers(1, 4))
def test_whatever_the_weather_each_number_is_merged_once_and_totals_are_exact(
    steps: list[str], limit: int
) -> None:
    uplink, intake = begun(limit), Intake()
    merged: list[IntervalDelta] = []
    wire: list[Metrics | RunEvent] = []  # sent on this stream, not yet read
    online, number, made = True, 0, 0

    def read() -> None:
        for message in wire:
            order = intake.order(message.seq)
            assert order is not Order.GAP
            if order is Order.NEXT:
                intake.consume(message.seq)
                if isinstance(message, Metrics):
                    merged.extend(intake.take(message, 1e6))
        wire.clear()

    for step in [*steps, "back"]:
        if step == "second":
            uplink.add_interval(second(number, number))
            made += number
            number += 1
        elif step == "late" and number > 3:
            uplink.add_interval(second(number - 3, 1))
            made += 1
        elif step == "event":
            uplink.add_event(RunEventKind.SCRIPT_EXCEPTION, "x")
        elif step == "cut":
            del wire[len(wire) // 2 :]  # a prefix arrives
            read()
            online = False
        elif step == "back":
            online = True
            assert uplink.acknowledge(intake.acked_seq)
            wire.extend(uplink.replay())
        elif step == "ack" and online:
            read()
            assert uplink.acknowledge(intake.acked_seq)
        sent = uplink.pump(closes(number - 1), online=online)
        wire.extend(sent)
    uplink.finish((), "")
    for _ in range(200):
        wire.extend(uplink.pump(closes(number), online=True))
        read()
        uplink.acknowledge(intake.acked_seq)
    assert uplink.is_drained
    assert total(merged) == made
    assert intake.acked_seq == uplink.next_seq - 1


def test_no_text_of_a_script_makes_a_message_that_can_not_be_sent() -> None:
    """Neither a name, nor the words of an exception: frozen, it would be sent again for ever."""
    endless = "x" * (2 * MAX_MESSAGE_BYTES)
    uplink = begun()
    uplink.add_interval(IntervalDelta(0, 1, {series("http_reqs", Kind.COUNTER, name=endless): CounterDelta(7)}))
    uplink.add_event(RunEventKind.SCRIPT_EXCEPTION, endless)
    messages = uplink.pump(closes(0), online=True)
    uplink.finish((), endless)
    messages += uplink.pump(closes(1), online=True)
    assert [type(message) for message in messages] == [RunEvent, Metrics, RunEvent]
    assert all(len(encode_agent(message)) < MAX_BATCH_BYTES for message in messages)
    intake = Intake()
    ((interval,),) = [intake.take(message, 9.0) for message in messages if isinstance(message, Metrics)]
    assert [delta.total for delta in interval.values.values()] == [7]  # type: ignore[union-attr]


def test_a_second_has_a_budget_and_what_is_over_folds_into_other_for_good_with_exact_totals() -> None:
    uplink, rng = begun(64), np.random.default_rng(7)
    keys = [series("http_req_duration", Kind.TREND, scenario="s", name=f"page {n}") for n in range(400)]
    seconds, samples = 3, 600
    alone = Histogram()
    sizes = []
    everything: list[Metrics | RunEvent] = []
    for number in range(seconds):
        interval = second(number, 5)
        for key in keys:
            drawn = rng.integers(10_000, 10**10, samples)
            alone.record(drawn)
            interval.values[key] = TrendDelta(Histogram.of(drawn))
        uplink.add_interval(interval)
        messages = uplink.pump(closes(number), online=True)
        sizes.append(sum(len(encode_agent(message)) for message in messages))
        uplink.acknowledge(uplink.next_seq - 1)
        everything += messages
    assert max(sizes) < BUDGET_BYTES + 64 * 1024, "one histogram of all that is over, and names"
    intervals = taken(everything)
    assert total(intervals) == 5 * seconds
    merged = Histogram()
    folded = []
    for interval in intervals:
        trends = {key: delta for key, delta in interval.values.items() if isinstance(delta, TrendDelta)}
        folded.append({key for key in keys} - trends.keys())
        for delta in trends.values():
            merged.merge(delta.histogram)
    assert merged == alone
    assert folded[0] and all(before <= after for before, after in pairwise(folded))
