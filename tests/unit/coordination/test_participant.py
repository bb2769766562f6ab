"""One agent's part in a run: what is wrong with it, in words."""

from __future__ import annotations

from dataclasses import replace

from loadr.coordination.controller_io import RunState
from loadr.coordination.messages import Ledger, RunEvent, RunEventKind
from loadr.coordination.participant import Participant
from loadr.coordination.views import ParticipantState, ParticipantView, RunView
from loadr.schedule.ownership import share_out, slot_count
from support.conversation import S, ledger, plan, second


def part(merged: int = 0) -> Participant:
    shares = share_out(plan(), {"web": 1.0}, slot_count(1))["web"]
    out = Participant(ParticipantView("web", "web", "web", "web/1", 1, 2))
    out.reach.told(0, shares)
    if merged:
        out.intake.sums.add(second(0, merged))
        out.intake.last_merged_s = 1
        out.consume(1)
    return out


def run(start_ns: int | None = 100 * S) -> RunView:
    return RunView("run", plan(), RunState.RUNNING, start_controller_ns=start_ns)


def test_equal_books_leave_no_flaw() -> None:
    one = part(10)
    one.finished((ledger(10),), "", was_asked=False)
    assert one.is_out and not one.flaws and one.view.ledgers == (ledger(10),)
    assert (one.view.acked_seq, one.view.last_merged_s) == (1, 1)


def test_a_cause_is_a_loss_unless_the_fleet_was_told_to_stop() -> None:
    asked, unasked = part(10), part(10)
    assert asked.finished((ledger(10),), "enough", was_asked=True) == ""
    words = "agent web ended its load early: workers lost"
    assert unasked.finished((ledger(10),), "workers lost", was_asked=False) == words
    assert asked.losses == [] and unasked.losses == [words]
    assert asked.flaws == unasked.flaws == []


def test_an_orphan_is_a_loss_even_when_the_fleet_was_told_to_stop_and_only_once() -> None:
    one = part(10)
    one.orphaned()
    one.finished((ledger(10),), "orphaned", was_asked=True)
    assert one.losses == ["agent web stopped by itself: it had no word from the controller for a whole lease"]


def test_books_that_do_not_agree_are_a_flaw() -> None:
    one = part(10)
    one.finished((ledger(12),), "", was_asked=True)
    assert one.flaws == [
        "agent web does not add up: http_reqs of s: 10 merged, but its ledger says 12; "
        "iterations of s: 10 merged, but its ledger says 12"
    ]


def test_what_a_dead_worker_never_reported_is_missing_to_the_unit_and_no_flaw() -> None:
    one = part(10)
    unreported = (Ledger("s", 3, 3, 1, requests=2, lost=2),)
    event = RunEvent("run", 1, 2, RunEventKind.WORKER_LOST, "worker 1 was killed", unreported=unreported)
    words = (
        "agent web lost a worker (worker 1 was killed); at most 2 requests are missing, how 2 iterations ended "
        "is not known"
    )
    assert one.lost_worker(event) == words
    one.finished((Ledger("s", 13, 13, 11, requests=12, lost=2),), "", was_asked=False)
    assert one.flaws == [] and one.losses == [words]
    assert one.view.missing_at_most == 2 and one.lacks


def test_a_lost_agent_is_described_with_its_bound() -> None:
    one = part(10)
    words = one.lose(run(), "no beat for 11.0s", 103 * S, 104 * S)
    assert one.view.state is ParticipantState.LOST and one.view.lost_at_s == 4.0
    assert one.view.missing_at_most == 20
    assert (
        one.losses
        == [words]
        == [
            "agent web was lost 4.00s after the start (no beat for 11.0s); its last second that was merged ended "
            "at 1 s; at most 20 requests are missing"
        ]
    )
    assert one.view.ledgers == (Ledger("s", 30, 30, 10, requests=10, lost=20),)


def test_only_what_it_owned_can_be_missing() -> None:
    one = part(10)
    nothing = replace(one.reach.owned[0], slots=bytes(len(one.reach.owned[0].slots)), from_run_ns=2 * S)
    other = part(10)
    for each, applied in ((one, 7), (other, 6)):
        each.reach.told(7, (nothing,))
        each.reach.applied(applied, (), 0, S)
        each.lose(run(), "no beat for 11.0s", 103 * S, 104 * S)
    assert one.view.missing_at_most == 9  # up to, and without, the arrival at 2 s
    assert other.view.missing_at_most == 20  # it may never have heard that it gave everything away


def test_lost_before_the_start_nothing_is_missing() -> None:
    one = part()
    one.lose(run(), "no beat for 11.0s", 99 * S, 99 * S)
    assert one.losses == [
        "agent web was lost before the start (no beat for 11.0s); none of its requests are missing"
    ]


def test_when_a_lost_agent_delivers_after_all_nothing_is_missing_any_more() -> None:
    one = part(10)
    one.lose(run(), "no beat for 11.0s", 103 * S, 104 * S)
    one.view.state = ParticipantState.RETURNING
    words = one.finished((ledger(10),), "orphaned", was_asked=True)
    assert one.view.missing_at_most == 0 and one.view.state is ParticipantState.FINISHED
    assert (
        one.losses
        == [words]
        == [
            "agent web was lost 4.00s after the start (no beat for 11.0s), and came back: none of its requests "
            "are missing"
        ]
    )


def test_its_start_is_taken_over_from_its_own_words() -> None:
    one = part()
    one.started(RunEvent("run", 1, 1, RunEventKind.STARTED, start_mono_ns=7, start_error_ns=8, clock_bound_ns=9))
    assert (one.view.start_mono_ns, one.view.start_error_ns, one.view.clock_bound_ns) == (7, 8, 9)


def test_a_lost_agent_that_says_once_more_that_it_has_begun_has_no_load() -> None:
    one = part()
    one.lose(run(), "no beat for 11.0s", 103 * S, 104 * S)
    one.view.state = ParticipantState.RETURNING
    one.started(RunEvent("run", 1, 1, RunEventKind.STARTED, start_mono_ns=7))
    assert one.view.state is ParticipantState.RETURNING and not one.may_load


def test_when_its_lease_was_over_is_known_by_its_own_clock() -> None:
    one = part(10)
    one.view.start_mono_ns = 7000 * S
    one.granted(7000 * S + 2 * S)
    one.granted(7000 * S + 1 * S)
    one.lose(run(), "no beat for 11.0s", 103 * S, 104 * S)
    assert one.view.missing_at_most == 9  # the arrival at 2 s was planned for when its lease was over


def test_without_its_clock_the_bound_takes_in_how_wrong_it_may_be() -> None:
    one = part(10)
    one.view.clock_bound_ns = S // 2
    one.lose(run(), "no beat for 11.0s", 103 * S, 104 * S)
    assert one.view.missing_at_most == 25


def test_its_load_was_over_when_that_was_said_first() -> None:
    one = part(10)
    one.lose(run(), "no beat for 11.0s", 103 * S, 104 * S)
    one.lose(run(), "it left", 109 * S, 110 * S)
    assert one.view.missing_at_most == 20 and one.view.lost_because == "no beat for 11.0s"


def test_how_an_iteration_ended_can_be_missing_without_any_request() -> None:
    one = part(10)
    event = RunEvent("run", 1, 2, RunEventKind.WORKER_LOST, "killed", unreported=(Ledger("s", finished=1),))
    assert one.lost_worker(event).endswith("none of its requests are missing")
    assert one.view.missing_at_most == 0 and one.lacks
