"""How far a part may have come: what it may own, and what it may not have heard of."""

from __future__ import annotations

from loadr.coordination.loss import Followed
from loadr.coordination.reach import Reach
from loadr.schedule.change import Change, ChangeKind
from loadr.schedule.share import ScenarioShare
from support.conversation import S

ONE, TWO = Change(10 * S, ChangeKind.PAUSE), Change(20 * S, ChangeKind.RESUME)


def share(slots: int, from_s: int = 0) -> ScenarioShare:
    return ScenarioShare("s", from_s * S, bytes([slots]))


def test_what_is_given_to_it_counts_at_once_and_what_is_taken_only_when_it_says_so() -> None:
    reach = Reach()
    reach.told(1, [share(0b0011)])
    reach.told(2, [share(0b0001, 5)])
    assert reach.owned == [share(0b0011)]
    reach.applied(1, (), 0, 5 * S)
    assert reach.owned == [share(0b0011)]
    reach.applied(2, (), 0, 7 * S)
    assert reach.owned == [share(0b0011), share(0b0001, 7)], "it may have gone on until it said so"
    reach.told(3, [share(0b0111, 9)])
    assert reach.owned[-1] == share(0b0111, 9)


def test_what_it_was_told_before_is_not_told_again() -> None:
    reach = Reach()
    for revision in (1, 2):
        reach.told(revision, [share(0b0011, revision)])
    assert len(reach.owned) == 1


def test_heard_in_time_leaves_no_trace() -> None:
    reach = Reach()
    assert reach.applied(1, (ONE,), 1, 9 * S) == 0
    assert reach.followed_late((ONE,)) == []
    assert reach.ended((ONE,), 60 * S) == 0


def test_heard_too_late_it_has_followed_the_old_course_until_then() -> None:
    reach = Reach()
    assert reach.applied(1, (ONE, TWO), 2, 24 * S) == 14 * S, "at worst"
    late = reach.followed_late((ONE, TWO))
    assert late == [Followed((), 24 * S), Followed((ONE,), 24 * S)]
    assert reach.applied(2, (ONE, TWO), 2, 30 * S) == 0, "that is known"
    assert reach.followed_late((ONE, TWO)) == late


def test_never_heard_it_may_have_followed_the_old_course_to_its_end() -> None:
    reach = Reach()
    assert reach.ended((ONE, TWO), 15 * S) == 5 * S
    assert reach.followed_late((ONE, TWO)) == [Followed((), 15 * S)]


def test_a_late_joiner_begins_with_what_there_is() -> None:
    reach = Reach()
    reach.begins_with(1)
    assert reach.applied(1, (ONE,), 1, 40 * S) == 0 and reach.followed_late((ONE,)) == []
