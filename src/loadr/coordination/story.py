"""The story of a core: its last events and what it did about them, in short text.

Takes each event with its effects, keeps a bounded number of lines, and gives them as text for protocol errors and
for failures of the simulator. Nothing in it is ever read back by the core.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import fields
from enum import Enum
from typing import Any

from loadr.units import NS_PER_S

KEPT_LINES = 200
_KEPT_CHARACTERS = 60


_names: dict[type, tuple[str, ...]] = {}


def brief(value: Any) -> str:
    """A dataclass in one line: its class and its scalar fields; a message within is written as ``Class/Inner``.

    Bytes and secrets never show: only numbers, names and states do, and texts are cut short.
    """
    parts = []
    inner = ""
    cls = type(value)
    if cls not in _names:
        _names[cls] = tuple(field.name for field in fields(cls))
    for name in _names[cls]:
        item = getattr(value, name)
        if isinstance(item, Enum):
            parts.append(f"{name}={item.name}")
        elif isinstance(item, bool | int | float):
            if item:
                parts.append(f"{name}={item}")
        elif isinstance(item, str):
            if item:
                parts.append(f"{name}={item[:_KEPT_CHARACTERS]}")
        elif isinstance(item, tuple):
            if item:
                parts.append(f"{name}×{len(item)}")
        elif name in ("message", "request", "chunk"):
            inner = "/" + brief(item)
    return f"{cls.__name__}({' '.join(parts)}){inner}"


class Story:
    """A ring of lines ``seconds event → effects``."""

    __slots__ = ("_lines",)

    def __init__(self, kept: int = KEPT_LINES) -> None:
        self._lines: deque[str] = deque(maxlen=kept)

    def record(self, now_ns: int, event: object, effects: Sequence[object]) -> None:
        """Add one event; effects that only log are left out."""
        done = ", ".join(brief(effect) for effect in effects if type(effect).__name__ != "Log")
        self._lines.append(f"{now_ns / NS_PER_S:.6f} {brief(event)}{' → ' + done if done else ''}")

    def text(self, last: int | None = None) -> str:
        """The last lines, oldest first."""
        lines = list(self._lines)
        return "\n".join(lines if last is None else lines[-last:])
