"""Every transition of every table is taken by a whole fleet, in the simulator or in a conversation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from enum import Enum
from functools import partial
from itertools import product
from typing import Any

import pytest

from coordination import test_conversations, test_corners, test_hostile_agents, test_moving_load, test_values
from coordination.simulator.play import simulate
from coordination.simulator.scenario import draw
from loadr.coordination import agent, agent_run, controller_session, run_table
from loadr.coordination.table import FAULT, IGNORE, Table

SEEDS = 60
TABLES = {
    "agent": agent.TABLE,
    "agent_run": agent_run.TABLE,
    "controller_run": run_table.TABLE,
    "session": controller_session.TABLE,
}
DOUBTED_BEFORE = "silence for a lease is silence for less: in one look at the sessions doubt comes first"
UNREACHABLE = {"session: REGISTERED × LEASE_OVER": DOUBTED_BEFORE, "session: ONLINE × LEASE_OVER": DOUBTED_BEFORE}
"""Transitions that no fleet can be brought to take, and why they are in the table all the same."""


def talks() -> Iterator[Callable[[], None]]:
    """Every conversation, with each of its parameters."""
    for module in (test_conversations, test_corners, test_moving_load, test_hostile_agents, test_values):
        for name, each in vars(module).items():
            if name.startswith("test_"):
                marks = [mark.args[:2] for mark in getattr(each, "pytestmark", ()) if mark.name == "parametrize"]
                for values in product(*(values for _, values in marks)):
                    given: dict[str, Any] = {}
                    for (names, _), value in zip(marks, values, strict=True):
                        given |= (
                            {names: value} if isinstance(names, str) else dict(zip(names, value, strict=True))
                        )
                    yield partial(each, **given)


def test_every_transition_of_the_tables_is_visited(monkeypatch: pytest.MonkeyPatch) -> None:
    visited: Counter[tuple[int, Enum, Enum]] = Counter()
    action = Table.action

    def count(self: Any, state: Enum, given: Enum) -> str:
        visited[id(self), state, given] += 1
        return action(self, state, given)

    monkeypatch.setattr(Table, "action", count)
    for seed in range(SEEDS):
        simulate(draw(seed))
    for talk in talks():
        talk()
    missed = {
        f"{name}: {state.name} × {given.name}"
        for name, table in TABLES.items()
        for (state, given), done in table.items().items()
        if done not in (FAULT, IGNORE) and not visited[id(table), state, given]
    }
    assert missed == set(UNREACHABLE), "\n".join(sorted(missed))
