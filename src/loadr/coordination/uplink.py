"""The uplink of one run on one agent: deltas and events in, numbered messages out, each delivered exactly once.

Takes what workers report, gives `Metrics` and `RunEvent` messages numbered from 1. A message is *frozen* when it
gets its number: it is kept as it is until the cumulative acknowledgement, and the same object is sent again on
a new stream. What is not frozen yet coalesces: workers of one second into one interval, and in an outage
neighbouring seconds into longer ones. So memory is bounded, totals stay exact, and only time resolution coarsens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

from loadr.coordination.messages import (
    MAX_WORDS_CHARACTERS,
    Ledger,
    Metrics,
    RunEvent,
    RunEventKind,
    SeriesEntry,
    WireDelta,
    WireInterval,
)
from loadr.coordination.wire import MAX_BATCH_BYTES, entry_bytes, interval_bytes, to_wire
from loadr.metrics.cap import OTHER, SeriesCap
from loadr.metrics.delta import Delta, IntervalDelta, add_source, merge_delta, merge_interval
from loadr.metrics.series import Kind, SeriesKey
from loadr.units import NS_PER_S

Frozen = Metrics | RunEvent

BUDGET_BYTES = 256 * 1024  # of a second of an agent, whatever it measures
TAIL_INTERVALS = 32  # separate intervals that are not frozen; when there are more, neighbours become one
MAX_EVENTS = 64  # of a run on an agent that are only words; what is over is dropped


class Uplink:
    """``closes_after_ns``: a second of the timeline is closed, and may be frozen, so long after its end."""

    def __init__(self, run_id: str, generation: int, closes_after_ns: int, frozen_limit: int) -> None:
        self._run_id = run_id
        self._generation = generation
        self._closes_after_ns = closes_after_ns
        self._frozen_limit = frozen_limit
        self._start_ns: int | None = None
        self._closed_s = 0  # seconds before this one are closed
        self._tail: list[IntervalDelta] = []  # by t0_s
        self._events: deque[RunEvent] = deque()
        self._event_count = 0
        self._last: RunEvent | None = None  # the final event, not yet frozen
        self._ended = False
        self._frozen: deque[Frozen] = deque()
        self._cap = SeriesCap()
        self._series: dict[SeriesKey, int] = {}
        self._over: set[SeriesKey] = set()  # those that are sent as `other`: they were over the budget once
        self._next_seq = 1
        self._held = False  # something could not be frozen because the window was full or the link away

    # --- what workers report -------------------------------------------------------------------------------

    def begin(self, start_mono_ns: int) -> None:
        """The timeline begins at this instant of the agent's clock."""
        self._start_ns = start_mono_ns

    def add_interval(self, interval: IntervalDelta) -> None:
        """What one worker did in an interval; kept, and changed."""
        if self._ended:
            return
        interval = self._cap.fold(interval)
        for at, mine in enumerate(self._tail):
            if mine.t0_s == interval.t0_s and mine.t1_s == interval.t1_s:
                add_source(mine, interval)
                return
            if mine.t0_s > interval.t0_s:
                self._tail.insert(at, interval)
                break
        else:
            self._tail.append(interval)
        if len(self._tail) > TAIL_INTERVALS:
            self._coarsen()

    def add_event(
        self,
        kind: RunEventKind,
        cause: str = "",
        *,
        start_mono_ns: int = 0,
        error_ns: int = 0,
        bound_ns: int = 0,
        unreported: tuple[Ledger, ...] = (),
    ) -> None:
        """An event that is not the last. One that carries figures is never dropped: workers die only once."""
        only_words = kind in (RunEventKind.SCRIPT_EXCEPTION, RunEventKind.ABORT_REQUESTED)
        if self._ended or (only_words and self._event_count >= MAX_EVENTS):
            return
        self._event_count += only_words
        words = cause[:MAX_WORDS_CHARACTERS]
        event = RunEvent(self._run_id, self._generation, 0, kind, words, start_mono_ns, error_ns)
        self._events.append(replace(event, clock_bound_ns=bound_ns, unreported=unreported))

    def finish(self, ledgers: tuple[Ledger, ...], cause: str) -> None:
        """Nothing follows: the last message will carry the ledgers. All seconds are closed."""
        if self._ended:
            return
        words = cause[:MAX_WORDS_CHARACTERS]
        self._last = RunEvent(self._run_id, self._generation, 0, RunEventKind.FINISHED, words, ledgers=ledgers)
        self._ended = True

    # --- what goes out -------------------------------------------------------------------------------------

    @property
    def next_seq(self) -> int:
        """The number of the next message that will be frozen."""
        return self._next_seq

    @property
    def is_drained(self) -> bool:
        """The last event was acknowledged."""
        return self._ended and self._last is None and not self._frozen

    def deadline_ns(self) -> int | None:
        """When the next second is closed; None before the start and after the end."""
        if self._start_ns is None or self._ended:
            return None
        return self._start_ns + (self._closed_s + 1) * NS_PER_S + self._closes_after_ns

    def pump(self, now_ns: int, *, online: bool) -> list[Frozen]:
        """Close the seconds that are due; the messages that were frozen now, to be sent in this order."""
        deadline_ns = self.deadline_ns()
        due = self._ended
        if deadline_ns is not None and now_ns >= deadline_ns and self._start_ns is not None:
            self._closed_s = (now_ns - self._start_ns - self._closes_after_ns) // NS_PER_S
            due = True
        if not (due or self._held or self._events):
            return []
        return self._freeze(online)

    def acknowledge(self, seq: int) -> bool:
        """Everything up to ``seq`` was taken. False if that was never sent (the peer is wrong)."""
        if seq >= self._next_seq:
            return False
        while self._frozen and self._frozen[0].seq <= seq:
            self._frozen.popleft()
        return True

    def replay(self) -> list[Frozen]:
        """What was frozen and is not acknowledged: the very same messages again, for a new stream."""
        return list(self._frozen)

    # --- inside --------------------------------------------------------------------------------------------

    def _freeze(self, online: bool) -> list[Frozen]:
        out: list[Frozen] = []
        while self._events and self._may_freeze(online):
            out.append(self._number_event(self._events.popleft()))
        ready = [i for i in self._tail if self._ended or i.t1_s <= self._closed_s]
        if ready and self._may_freeze(online):
            self._tail = [i for i in self._tail if not (self._ended or i.t1_s <= self._closed_s)]
            out += self._batches(ready)  # one tail may take several messages; it is bounded, so they are
            ready = []
        if self._last is not None and not ready and not self._events and self._may_freeze(online):
            out.append(self._number_event(self._last))
            self._last = None
        self._held = bool(ready or self._events or self._last)
        return out

    def _may_freeze(self, online: bool) -> bool:
        return online and len(self._frozen) < self._frozen_limit

    def _number_event(self, event: RunEvent) -> RunEvent:
        numbered = replace(event, seq=self._next_seq)
        self._keep(numbered)
        return numbered

    def _keep(self, message: Frozen) -> None:
        self._frozen.append(message)
        self._next_seq += 1

    def _batches(self, intervals: Iterable[IntervalDelta]) -> list[Frozen]:
        """As many batches as the limit of a message's size demands; an interval may be cut between its series."""
        out: list[Frozen] = []
        entries: list[SeriesEntry] = []
        wires: list[WireInterval] = []
        size = interval_bytes()

        def close() -> None:
            nonlocal entries, wires, size
            batch = Metrics(self._run_id, self._generation, self._next_seq, tuple(entries), tuple(wires))
            self._keep(batch)
            out.append(batch)
            entries, wires, size = [], [], interval_bytes()

        for interval in intervals:
            deltas: list[WireDelta] = []
            size += interval_bytes()
            for entry, wire, added in self._encoded(interval):
                if size + added > MAX_BATCH_BYTES and (deltas or wires):
                    if deltas:
                        wires.append(WireInterval(interval.t0_s, interval.t1_s, tuple(deltas)))
                    close()
                    deltas = []
                    size += interval_bytes()
                if entry:
                    entries.append(entry)
                deltas.append(wire)
                size += added
            if deltas:
                wires.append(WireInterval(interval.t0_s, interval.t1_s, tuple(deltas)))
        if wires:
            close()
        return out

    def _encoded(self, interval: IntervalDelta) -> Iterator[tuple[SeriesEntry | None, WireDelta, int]]:
        """Each delta with the entry that names it, if it is new, and their bytes; trends come last.

        A trend that is over the budget of its interval goes into ``{other:true}`` of its metric, from then on for
        good. What is no trend is small, and bounded by the number of series.
        """
        room = BUDGET_BYTES * (interval.t1_s - interval.t0_s)
        others: dict[SeriesKey, Delta] = {}
        for key, delta in sorted(interval.values.items(), key=lambda item: item[0].kind is Kind.TREND):
            if key.tags != OTHER and key not in self._over:
                entry, _, wire_bytes = encoded = self._encode(key, delta)
                room -= wire_bytes - (entry_bytes(entry) if entry else 0)  # a name travels only once
                if room >= 0 or key.kind is not Kind.TREND or not key.tags:
                    yield encoded
                    continue
                self._over.add(key)
            other = SeriesKey(key.metric, key.kind, OTHER)
            if other in others:
                merge_delta(others[other], delta, over_time=False)
            else:
                others[other] = delta.copy()
        for key, delta in others.items():
            yield self._encode(key, delta)

    def _encode(self, key: SeriesKey, delta: Delta) -> tuple[SeriesEntry | None, WireDelta, int]:
        series = self._series.get(key)
        entry = None if series is not None else self._entry(key)
        wire, wire_bytes = to_wire(entry.id if entry else series or 0, delta)
        return entry, wire, wire_bytes + (entry_bytes(entry) if entry else 0)

    def _entry(self, key: SeriesKey) -> SeriesEntry:
        self._series[key] = number = len(self._series) + 1
        return SeriesEntry(number, key.metric, key.kind, key.tags)

    def _coarsen(self) -> None:
        """Each pair of neighbours becomes one interval. Seconds that are still open are left alone."""
        closed = [i for i in self._tail if i.t1_s <= self._closed_s]
        paired: list[IntervalDelta] = []
        for at in range(0, len(closed), 2):
            first = closed[at]
            for second in closed[at + 1 : at + 2]:
                merge_interval(first, second)
            paired.append(first)
        self._tail = paired + [i for i in self._tail if i.t1_s > self._closed_s]
