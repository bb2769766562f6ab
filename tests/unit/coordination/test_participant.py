"""One agent's part in a run: what is wrong with it, in words."""

from __future__ import annotations

from loadr.coordination.controller_io import RunState
from loadr.coordination.messages import RunEvent, RunEventKind
from loadr.coordination.participant import Participant
from loadr.coordination.views import ParticipantState, ParticipantView, RunView
from loadr.schedule.ownership import share_out, slot_count
from support.conversation import S, ledger, plan, second


def part(merged: int = 0) -> Participant:
    shares = share_out(plan(), {"web": 1.0}, slot_count(1))["web"]
    out = Participant(ParticipantView("web", "web", "web/1", 1, 2, shares=shares))
    if merged:
        out.intake.sums.add(second(0, merged))
        out.intake.last_merged_s = 1
        out.taken(1)
    return out


def run(start_ns: int | None = 100 * S) -> RunView:
    return RunView("run", plan(), RunState.RUNNING, start_controller_ns=start_ns)


def test_equal_books_leave_no_flaw() -> None:
    one = part(10)
    one.finished((ledger(10),), "", was_asked=False)
    assert one.is_out and not one.flaws and one.view.ledgers == (ledger(10),)
    assert (one.view.acked_seq, one.view.last_merged_s) == (1, 1)


def test_a_cause_is_a_flaw_unless_the_fleet_was_told_to_stop() -> None:
    asked, unasked = part(10), part(10)
    asked.finished((ledger(10),), "enough", was_asked=True)
    unasked.finished((ledger(10),), "workers lost", was_asked=False)
    assert asked.flaws == []
    assert unasked.flaws == ["agent web ended its load early: workers lost"]


def test_an_orphan_is_a_flaw_even_when_the_fleet_was_told_to_stop_and_only_once() -> None:
    one = part(10)
    one.orphaned()
    one.finished((ledger(10),), "orphaned", was_asked=True)
    assert one.flaws == ["agent web stopped by itself: it had no word from the controller for a whole lease"]


def test_the_books_of_an_agent_that_lost_a_worker_are_not_held_against_it() -> None:
    one = part(10)
    one.worker_lost = True
    one.finished((ledger(5),), "", was_asked=True)
    assert one.flaws == []


def test_a_lost_agent_is_described_with_its_bound() -> None:
    one = part(10)
    one.lose(run(), "no beat for 11.0s", 103 * S)
    assert one.view.state is ParticipantState.LOST and one.view.lost_at_s == 3.0
    assert one.view.missing_at_most == 20
    assert one.flaws == [
        "agent web was lost 3.00s after the start (no beat for 11.0s); its last second that was merged ended at "
        "1 s; at most 20 requests are missing"
    ]


def test_lost_before_the_start_nothing_is_missing() -> None:
    one = part()
    one.lose(run(), "no beat for 11.0s", 99 * S)
    assert one.flaws == [
        "agent web was lost before the start (no beat for 11.0s); none of its requests are missing"
    ]


def test_when_a_lost_agent_delivers_after_all_nothing_is_missing_any_more() -> None:
    one = part(10)
    one.lose(run(), "no beat for 11.0s", 103 * S)
    one.finished((ledger(10),), "orphaned", was_asked=True)
    assert one.view.missing_at_most == 0 and one.view.state is ParticipantState.FINISHED
    assert len(one.flaws) == 2


def test_its_start_is_taken_over_from_its_own_words() -> None:
    one = part()
    one.started(RunEvent("run", 1, 1, RunEventKind.STARTED, start_mono_ns=7, start_error_ns=8, clock_bound_ns=9))
    assert (one.view.start_mono_ns, one.view.start_error_ns, one.view.clock_bound_ns) == (7, 8, 9)
