"""How a run ended: complete if and only if nothing may be missing, else why, and whether the policy takes it."""

from __future__ import annotations

from typing import Any

import pytest

from loadr.coordination.controller_io import RunState, StoppedBy
from loadr.coordination.ending import MAX_NOTES, Notes, ending_of, is_abandoned
from loadr.coordination.messages import Ledger
from loadr.coordination.participant import Participant
from loadr.coordination.views import ParticipantState, ParticipantView, RunView
from support.conversation import S, ledger, plan, second

P = ParticipantState


def part(name: str, state: P = P.FINISHED, **view: Any) -> Participant:
    return Participant(ParticipantView(name, name, name, f"{name}/1", 1, 2, state, **view))


def lost(name: str, missing: int | None = 5) -> Participant:
    out = part(name, P.RUNNING)
    out.lose(run(), "no beat", 0, 0)
    out.view.missing_at_most = missing
    return out


def run(state: RunState = RunState.STOPPING, **changes: Any) -> RunView:
    stopped_by = changes.pop("stopped_by", StoppedBy.NOBODY)
    cause = changes.pop("cause", "")
    view = RunView("run", plan(**changes), state, start_controller_ns=100 * S)
    view.stopped_by, view.cause = stopped_by, cause
    return view


def test_with_all_books_here_a_run_is_complete_and_a_stop_keeps_its_cause() -> None:
    assert ending_of(run(), [part("a"), part("b")]).state is RunState.COMPLETE
    stopped = ending_of(run(stopped_by=StoppedBy.OPERATOR, cause="enough"), [part("a", finish_cause="enough")])
    assert (stopped.state, stopped.cause) == (RunState.COMPLETE, "enough")


@pytest.mark.parametrize("missing", [5, None])
def test_what_may_be_missing_is_absorbed_by_default(missing: int | None) -> None:
    ending = ending_of(run(), [part("a"), lost("b", missing)])
    assert (ending.state, ending.absorbed) == (RunState.INCOMPLETE, True)
    assert ending.cause.startswith("agent b was lost")


def test_a_loss_of_which_nothing_is_missing_leaves_the_run_complete() -> None:
    assert ending_of(run(), [part("a"), lost("b", 0)]).state is RunState.COMPLETE


def test_an_iteration_without_an_outcome_is_missing_though_no_request_is() -> None:
    one = part("a")
    one.unreported = [Ledger("s", lost=1)]
    one._workers = ["agent a lost a worker"]
    ending = ending_of(run(), [one])
    assert (ending.state, ending.cause, ending.absorbed) == (
        RunState.INCOMPLETE,
        "agent a lost a worker",
        True,
    )


def test_figures_that_do_not_add_up_come_before_losses() -> None:
    wrong = part("a")
    wrong.flaws = ["agent a does not add up"]
    ending = ending_of(run(), [lost("b"), wrong])
    assert (ending.state, ending.cause, ending.absorbed) == (
        RunState.INCOMPLETE,
        "agent a does not add up",
        False,
    )


def test_all_lost_is_failed() -> None:
    assert ending_of(run(), [lost("a")]).state is RunState.FAILED
    both = ending_of(run(), [lost("a"), lost("b")])
    assert both.state is RunState.FAILED and both.cause.startswith("all agents were lost; agent a was lost")


def test_a_load_that_nobody_carried_to_its_end_is_incomplete_even_if_nothing_is_missing() -> None:
    early = part("a", finish_cause="it was asked to leave")
    ending = ending_of(run(RunState.RUNNING), [early])
    assert (ending.state, ending.absorbed) == (RunState.INCOMPLETE, False)
    assert ending.cause == "nobody was left to carry the load; the last agent was asked to leave"
    assert not is_abandoned(run(RunState.RUNNING), [early, part("b")])
    assert not is_abandoned(run(RunState.STOPPING), [early])


def test_under_abort_a_loss_is_not_absorbed() -> None:
    ending = ending_of(run(stopped_by=StoppedBy.LOSS, cause="x"), [part("a", finish_cause="x"), lost("b")])
    assert (ending.state, ending.absorbed) == (RunState.INCOMPLETE, False)


@pytest.mark.parametrize(("allowed", "absorbed"), [("4", False), ("5", True), ("10%", False), ("40%", True)])
def test_the_plan_may_allow_so_much_and_no_more(allowed: str, absorbed: bool) -> None:
    merged = part("a")
    merged.intake.sums.add(second(0, 10))
    merged.finished((ledger(10),), "", was_asked=False)
    ending = ending_of(run(allowed_loss=allowed), [merged, lost("b")])
    assert ending.state is RunState.INCOMPLETE and ending.absorbed is absorbed


def test_a_bound_that_can_not_be_said_is_beyond_what_is_allowed() -> None:
    ending = ending_of(run(allowed_loss="5"), [part("a"), lost("b", None)])
    assert ending.cause.startswith("how much is missing can not be said")


def test_losses_stand_first_and_the_last_word_of_an_end_replaces_the_one_before() -> None:
    notes: list[str] = []
    book = Notes(notes, [])
    book.add("joined")
    book.add("joined")
    book.add_loss("a", "a was lost", is_end=True)
    book.add_loss("a", "a lost a worker", is_end=False)
    book.add_loss("a", "a was lost, and came back", is_end=True)
    assert notes == ["a lost a worker", "a was lost, and came back", "joined"]


def test_notes_are_few() -> None:
    notes: list[str] = []
    events: list[str] = []
    book = Notes(notes, events)
    for number in range(2 * MAX_NOTES):
        book.add(f"note {number}")
        book.tell("an event")
    assert notes == [f"note {number}" for number in range(MAX_NOTES)]
    assert events == ["an event"] * MAX_NOTES
