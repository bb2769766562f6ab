"""Shares that hold from a later instant on."""

from __future__ import annotations

from loadr.engine.pending import NEVER_NS, PendingShares
from loadr.schedule.share import ScenarioShare


def share(slots: bytes) -> ScenarioShare:
    return ScenarioShare("browse", 0, slots)


def test_a_share_is_given_when_its_instant_has_come_and_once() -> None:
    pending = PendingShares()
    assert pending.next_ns == NEVER_NS
    pending.add(100, share(b"\x01"))
    assert pending.next_ns == 100
    assert pending.take(99) is None
    assert pending.take(100) == share(b"\x01")
    assert pending.take(100) is None
    assert pending.next_ns == NEVER_NS


def test_of_several_that_are_due_the_last_one_holds() -> None:
    pending = PendingShares()
    pending.add(100, share(b"\x01"))
    pending.add(200, share(b"\x02"))
    assert pending.take(250) == share(b"\x02")


def test_a_share_replaces_those_from_the_same_instant_on() -> None:
    pending = PendingShares()
    pending.add(100, share(b"\x01"))
    pending.add(300, share(b"\x02"))
    pending.add(300, share(b"\x03"))
    pending.add(200, share(b"\x04"))
    assert pending.take(150) == share(b"\x01")
    assert pending.take(1_000) == share(b"\x04")
