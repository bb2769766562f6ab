"""Views begin empty and share nothing."""

from __future__ import annotations

from loadr.coordination.controller_io import RunState
from loadr.coordination.views import ParticipantState, ParticipantView, RunView
from support.conversation import plan


def test_two_runs_share_nothing() -> None:
    one, other = RunView("1", plan(), RunState.DRAFT), RunView("2", plan(), RunState.DRAFT)
    one.agents["web"] = ParticipantView("web", "web", "web", "web/1", 1, 2)
    one.notes.append("something")
    assert not other.agents and not other.notes


def test_what_is_not_known_yet_is_none_and_not_zero() -> None:
    part = ParticipantView("web", "web", "web", "web/1", 1, 2)
    assert part.state is ParticipantState.ASSIGNED
    assert part.clock_bound_ns is part.start_error_ns is part.last_merged_s is part.covered_at_s is None
