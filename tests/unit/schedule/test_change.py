"""Changes as they are told: when a run is paused."""

from __future__ import annotations

from loadr.schedule.change import NEVER_RUN_NS, Change, ChangeKind, Pause, pauses_of

PAUSE, RESUME, RATE, _, _ = ChangeKind


def test_a_pause_lasts_until_it_is_taken_back() -> None:
    changes = [Change(5, PAUSE), Change(9, RESUME), Change(12, PAUSE)]
    assert pauses_of(changes) == [Pause(5, 9), Pause(12, NEVER_RUN_NS)]


def test_what_says_nothing_new_changes_nothing() -> None:
    changes = [Change(2, RESUME), Change(5, PAUSE), Change(6, PAUSE), Change(7, RATE, "", "1"), Change(9, RESUME)]
    assert pauses_of(changes) == [Pause(5, 9)]
