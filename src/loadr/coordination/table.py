"""Total tables of state machines: for every pair of state and input the name of an action, `IGNORE` or `FAULT`.

Takes rows (one for each input, with what is done in which states, and what in all others), gives a look-up that
can not miss. A state or an input that was forgotten is an error when the module is imported.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum
from typing import Generic, TypeVar

S = TypeVar("S", bound=Enum)
I = TypeVar("I", bound=Enum)  # noqa: E741

IGNORE = "ignore"  # it may come here, and means nothing any more
FAULT = "fault"  # it can not come here unless somebody is wrong


class Row(Generic[S]):
    """``when``: action → the states in which it is taken. ``rest``: what all other states do."""

    __slots__ = ("rest", "when")

    def __init__(self, when: Mapping[str, Collection[S]], rest: str) -> None:
        self.when = when
        self.rest = rest


class Table(Generic[S, I]):
    """Raises `ValueError` if an input has no row or a state two actions in one row."""

    __slots__ = ("_actions",)

    def __init__(self, states: type[S], inputs: type[I], rows: Mapping[I, Row[S]]) -> None:
        missing = [given.name for given in inputs if given not in rows]
        if missing:
            raise ValueError(f"no row for {', '.join(missing)}")
        self._actions: dict[tuple[S, I], str] = {}
        for given, row in rows.items():
            for state in states:
                actions = [action for action, where in row.when.items() if state in where] or [row.rest]
                if len(actions) > 1:
                    raise ValueError(f"{state.name} × {given.name} has {len(actions)} actions")
                self._actions[state, given] = actions[0]

    def action(self, state: S, given: I) -> str:
        """What is done."""
        return self._actions[state, given]

    def items(self) -> Mapping[tuple[S, I], str]:
        """Every pair, for tests."""
        return self._actions
