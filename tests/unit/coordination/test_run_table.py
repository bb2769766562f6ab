"""The table of a run, where it is easy to get wrong."""

from __future__ import annotations

import pytest

from loadr.coordination.controller_io import RunState
from loadr.coordination.messages import Armed, Prepared
from loadr.coordination.run_table import TABLE, Fact, RunInput
from loadr.coordination.table import FAULT, IGNORE

FINAL = [state for state in RunState if state.is_final]


@pytest.mark.parametrize("state", FINAL, ids=lambda state: state.name)
def test_a_run_that_has_ended_only_takes_what_is_late_and_answers(state: RunState) -> None:
    done = {given: TABLE.action(state, given) for given in RunInput}
    assert {given: action for given, action in done.items() if action != IGNORE} == {
        RunInput.REPORT: "take",
        RunInput.FAULTED: "drop_out",
        RunInput.CHANGE: "refuse_change",
    }


def test_only_a_run_with_load_can_be_changed_or_joined() -> None:
    assert [s for s in RunState if TABLE.action(s, RunInput.CHANGE) == "change"] == [
        RunState.COMMITTED,
        RunState.RUNNING,
    ]
    assert [s for s in RunState if TABLE.action(s, RunInput.AGENT_ONLINE) == "invite"] == [RunState.RUNNING]


def test_numbers_before_the_commit_are_a_fault() -> None:
    faults = [state for state in RunState if TABLE.action(state, RunInput.REPORT) == FAULT]
    assert faults == [RunState.DRAFT, RunState.PREPARING, RunState.ARMING]


def test_a_fact_knows_the_clock_bound_of_an_armed_agent() -> None:
    assert Fact("a", Armed("run", 1, 7)).clock_bound_ns == 7
    assert Fact("a", Prepared("run", 1)).clock_bound_ns == Fact().clock_bound_ns == 0
