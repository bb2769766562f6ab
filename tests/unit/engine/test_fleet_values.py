"""What a worker has of the fleet: the result of setup, unchangeable, and answers for whoever asked."""

from __future__ import annotations

import msgspec
import pytest

from loadr.engine.channel import ValueOrder, WorkerClaim
from loadr.engine.fleet_values import BLOCK, FleetValues, fixed


def test_each_answer_goes_to_the_one_that_asked_and_only_once() -> None:
    sent: list[WorkerClaim] = []
    got: list[tuple[str, int]] = []
    values = FleetValues(sent.append)
    values.claim(BLOCK, "users", 8, lambda value: got.append(("a", value.first)), used=3)
    values.claim(BLOCK, "users", 8, lambda value: got.append(("b", value.first)))
    assert [(claim.ticket, claim.used) for claim in sent] == [(1, 3), (2, 0)]
    for ticket in (2, 1, 1, 9):
        values.give(ValueOrder(ticket, 4, first=ticket))
    assert got == [("b", 2), ("a", 1)]


def test_what_setup_returned_can_not_be_changed_and_goes_into_a_request() -> None:
    values = FleetValues()
    values.take_setup(b'{"rooms": [{"id": 1}], "name": "x"}')
    assert values.setup["rooms"][0]["id"] == 1
    for change in (
        lambda: values.setup.update(a=1),
        lambda: values.setup.__setitem__("a", 1),
        lambda: values.setup["rooms"][0].pop("id"),
    ):
        with pytest.raises(TypeError, match="can not be changed"):
            change()
    assert msgspec.json.encode(values.setup) == b'{"rooms":[{"id":1}],"name":"x"}'


def test_plain_values_stay_as_they_are() -> None:
    assert [fixed(value) for value in (None, 1, "a", True, 1.5)] == [None, 1, "a", True, 1.5]
