"""State machines: the total tables of the cores, as tables of input × state."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from loadr.coordination.table import FAULT, IGNORE, Table
from reference.source import comments_of, instances, table

_NOTHING, _WRONG = "·", "✗"


def render(machines: Mapping[str, str]) -> str:
    """``machines``: name of the enumeration of states → title, in the order of the page."""
    found = {type(next(iter(one.items()))[0]).__name__: one for one in instances(Table)}
    if found.keys() != machines.keys():
        raise SystemExit(
            f"tables of {', '.join(sorted(found))} were found, and {', '.join(sorted(machines))} are wanted: "
            "see MACHINES in tools/generate_docs.py"
        )
    return "\n\n".join(_machine(title, found[name]) for name, title in machines.items())


def _machine(title: str, machine: Table[Enum, Enum]) -> str:
    actions = machine.items()
    states = list(dict.fromkeys(state for state, _ in actions))
    inputs = list(dict.fromkeys(given for _, given in actions))
    meanings = [(f"`{state.name}`", _meaning(state)) for state in states]
    rows = [
        [f"**{given.name}**<br>{_meaning(given)}", *(_action(actions[state, given]) for state in states)]
        for given in inputs
    ]
    return "\n\n".join(
        (
            f"## {title}",
            table(("State", "Meaning"), meanings),
            table(("Input", *(_narrow(state.name) for state in states)), rows),
        )
    )


def _meaning(member: Enum) -> str:
    """From the member's value, or from the comment beside it."""
    texts = member.value if isinstance(member.value, tuple) else (member.value,)
    said = next((text for text in texts if isinstance(text, str) and " " in text), "")
    return said or comments_of(type(member)).get(member.name, str(texts[-1]))


def _action(action: str) -> str:
    return {IGNORE: _NOTHING, FAULT: _WRONG}.get(action, action.replace("_", " "))


def _narrow(name: str) -> str:
    return name.capitalize()
