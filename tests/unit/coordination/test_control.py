"""What operators may change, at which instant, and what is refused."""

from __future__ import annotations

import pytest

from loadr.coordination.control import ChangeInvalid, Control
from loadr.plan.model import Plan
from loadr.schedule.change import MAX_CHANGES, NEVER_RUN_NS, Change, ChangeKind
from support.conversation import S, plan

CLOSED = Plan.model_validate(
    {
        "scenarios": {
            "s": {
                "executor": "constant-vus",
                "vus": 3,
                "duration": "5s",
                "flow": [{"request": {"method": "GET", "url": "/"}}],
            }
        }
    }
)
K = ChangeKind


def test_changes_are_ascending_whatever_instants_are_asked_for() -> None:
    control = Control(plan())
    control.add(K.RATE, "", "5", 3 * S)
    assert control.add(K.FACTOR, "s", "2", 2 * S) == Change(3 * S, K.FACTOR, "s", "2")
    assert [change.at_run_ns for change in control.changes] == [3 * S, 3 * S]


def test_a_pause_has_no_end_until_it_is_resumed() -> None:
    control = Control(plan())
    control.add(K.PAUSE, "", "", 2 * S)
    assert control.is_paused and control.end_run_ns() >= NEVER_RUN_NS
    control.add(K.RESUME, "", "", 4 * S)
    assert not control.is_paused and control.end_run_ns() == 7 * S


def test_scale_sets_the_numbers_of_vus_of_the_plan_that_is_dealt() -> None:
    for the_plan, field in ((plan(), "max_vus"), (CLOSED, "vus")):
        control = Control(the_plan)
        assert not control.has_scaled
        control.add(K.SCALE, "", "17", S)
        assert control.has_scaled and getattr(control.scaled_plan().scenarios["s"], field) == 17


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (K.RATE, "", "'' is no rate"),
        (K.RATE, "1e3", "'1e3' is no rate"),
        (K.RATE, "0.0000000001", "is no rate"),
        (K.RATE, "99999999", "is no rate"),
        (K.FACTOR, "nan", "is no rate"),
        (K.SCALE, "1.5", "is no number of VUs"),
        (K.SCALE, "9999999", "is no number of VUs"),
    ],
)
def test_numbers_beyond_reason_are_refused(kind: K, value: str, words: str) -> None:
    with pytest.raises(ChangeInvalid, match=words):
        Control(plan()).add(kind, "", value, S)


def test_a_closed_scenario_has_no_rate() -> None:
    with pytest.raises(ChangeInvalid, match="a closed scenario has no rate"):
        Control(CLOSED).add(K.RATE, "", "5", S)


def test_twice_paused_is_refused() -> None:
    control = Control(plan())
    control.add(K.PAUSE, "", "", S)
    with pytest.raises(ChangeInvalid, match="paused already"):
        control.add(K.PAUSE, "", "", 2 * S)


def test_a_run_remembers_so_many_changes_and_no_more() -> None:
    control = Control(plan())
    for _ in range(MAX_CHANGES):
        control.add(K.FACTOR, "", "1", S)
    with pytest.raises(ChangeInvalid, match="1000 times"):
        control.add(K.FACTOR, "", "1", S)


def test_words_say_what_happened_when_and_to_what() -> None:
    words = Control(plan()).words
    assert words(Change(2 * S, K.RATE, "s", "20")) == "rate set to 20/s at 2.00s (s)"
    assert words(Change(2 * S, K.PAUSE)) == "paused at 2.00s"
    assert words(Change(2 * S, K.SCALE, "", "7")) == "scaled to 7 VUs at 2.00s"
