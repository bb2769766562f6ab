"""Tables are total: every pair of state and input has exactly one action."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest

from loadr.coordination import agent, agent_run, controller, controller_run, controller_session, run_table
from loadr.coordination.table import FAULT, IGNORE, Row, Table


class State(Enum):
    A = 1
    B = 2


class Input(Enum):
    X = 1
    Y = 2


def test_a_row_says_what_is_done_where_and_what_elsewhere() -> None:
    table = Table(State, Input, {Input.X: Row({"go": (State.A,)}, rest=FAULT), Input.Y: Row({}, rest=IGNORE)})
    assert table.action(State.A, Input.X) == "go"
    assert table.action(State.B, Input.X) == FAULT
    assert table.action(State.A, Input.Y) == IGNORE
    assert len(table.items()) == 4


def test_a_forgotten_input_is_an_error() -> None:
    with pytest.raises(ValueError, match="no row for Y"):
        Table(State, Input, {Input.X: Row({}, rest=IGNORE)})


def test_two_actions_for_one_pair_are_an_error() -> None:
    rows = {Input.X: Row({"go": (State.A,), "stay": (State.A,)}, rest=IGNORE), Input.Y: Row({}, rest=IGNORE)}
    with pytest.raises(ValueError, match="A × X has 2 actions"):
        Table(State, Input, rows)


MACHINES: list[tuple[Any, type, type, type]] = [
    (agent.TABLE, agent.LinkState, agent.LinkInput, agent.AgentCore),
    (agent_run.TABLE, agent_run.AgentRunState, agent_run.RunInput, agent_run.AgentRun),
    (run_table.TABLE, run_table.RunState, run_table.RunInput, controller_run.ControllerRun),
    (
        controller_session.TABLE,
        controller_session.AgentState,
        controller_session.SessionInput,
        controller.ControllerCore,
    ),
]
HANDLED_APART = {"suspect", "lose"}  # of sessions: they happen to agents, with or without a link


@pytest.mark.parametrize(
    ("table", "states", "inputs", "machine"), MACHINES, ids=lambda value: getattr(value, "__name__", "")
)
def test_every_pair_of_every_machine_is_a_transition_an_ignore_or_a_fault(
    table: Any, states: Any, inputs: Any, machine: type
) -> None:
    pairs = {(state, given) for state in states for given in inputs}
    assert set(table.items()) == pairs
    for action in set(table.items().values()) - {IGNORE, FAULT} - HANDLED_APART:
        assert callable(getattr(machine, f"_{action}")), f"{machine.__name__} can not {action}"


@pytest.mark.parametrize(
    ("table", "states", "inputs", "machine"), MACHINES, ids=lambda value: getattr(value, "__name__", "")
)
def test_every_input_does_something_somewhere_or_is_ignored_on_purpose(
    table: Any, states: Any, inputs: Any, machine: type
) -> None:
    idle = [given.name for given in inputs if {table.action(state, given) for state in states} == {IGNORE}]
    assert idle in ([], ["ASSIGNED"])
