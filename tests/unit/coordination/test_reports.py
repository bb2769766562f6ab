"""Reports of a run: each numbered message once and in order."""

from __future__ import annotations

from typing import Any

import pytest

from loadr.coordination.controller_io import Merge, RunState
from loadr.coordination.ending import Notes
from loadr.coordination.messages import Metrics, RunEvent, RunEventKind, WireCounter, WireInterval
from loadr.coordination.participant import Participant
from loadr.coordination.reports import Reports
from loadr.coordination.views import ParticipantView, RunView
from loadr.coordination.wire import BadBatch
from loadr.errors import PeerFault
from support.conversation import S, plan


class Bench:
    """A run with one part."""

    def __init__(self, state: RunState = RunState.RUNNING) -> None:
        self.did: list[Any] = []
        self.view = RunView("run", plan(), state)
        self.part = Participant(ParticipantView("a", "a", "a", "a/1", 1, 2))
        self.reports = Reports(self.view, Notes(self.view.notes, self.view.events), self.did.append)

    def batch(self, seq: int, *deltas: Any) -> None:
        batch = Metrics("run", 1, seq, (), (WireInterval(0, 1, deltas),))
        self.reports.take_batch(self.part, batch, 2 * S)

    def event(self, seq: int) -> bool:
        return self.reports.take_event(self.part, RunEvent("run", 1, seq, RunEventKind.STARTED))


def test_batches_and_events_are_numbered_together_and_taken_once() -> None:
    bench = Bench()
    assert bench.event(1)
    bench.batch(2)
    assert not bench.event(2) and not bench.event(1)
    bench.batch(2)
    assert [(merge.part, merge.seq, merge.late) for merge in bench.did] == [("a", 2, False)]
    assert bench.part.view.acked_seq == 2


def test_a_gap_is_a_fault() -> None:
    bench = Bench()
    with pytest.raises(PeerFault, match="batch 2 came, and 1 was awaited"):
        bench.event(2)


def test_a_bad_batch_is_consumed_and_named_as_a_flaw() -> None:
    bench = Bench()
    with pytest.raises(BadBatch):
        bench.batch(1, WireCounter(9, 1))
    assert bench.part.view.rejected_batches == 1 and bench.part.view.acked_seq == 1
    assert bench.part.flaws == bench.view.notes == ["a batch of agent a was rejected: series 9 was never named"]


def test_what_comes_after_the_end_is_late_and_changes_nothing() -> None:
    bench = Bench(RunState.FAILED)
    bench.batch(1)
    with pytest.raises(BadBatch):
        bench.batch(2, WireCounter(9, 1))
    assert [type(effect) for effect in bench.did] == [Merge] and bench.did[0].late
    assert bench.part.view.late_batches == 2 and not bench.part.flaws and not bench.view.notes
