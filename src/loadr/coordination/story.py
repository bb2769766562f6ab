"""The story of a core: its last events and what it did about them, in short text.

Takes each event with its effects, keeps a bounded number of lines, and gives them as text for protocol errors and
for failures of the simulator. Nothing in it is ever read back by the core.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from enum import Enum
from operator import attrgetter
from typing import Any

from loadr.units import NS_PER_S

KEPT_LINES = 200
_KEPT_CHARACTERS = 60


_WITHIN = ("message", "request", "chunk")
_PLAIN = (int, float, bool)

Sketch = tuple[type, list[Any]]
"""A dataclass and what a line says of each of its fields, not yet written out: a story is recorded always and
read hardly ever. It refers to nothing but numbers and short texts, so that a large message can go."""


class _Items(int):
    """The length of a tuple, which is all that is told of it."""


_Reader = tuple[tuple[str, ...], Callable[[Any], Iterable[Any]], int | None]
_readers: dict[type, _Reader] = {}


def _reader(cls: type) -> _Reader:
    """Names of the fields, how to read them all, and which of them holds a message within; made once."""
    reader = _readers.get(cls)
    if reader is None:
        names = tuple(field.name for field in fields(cls) if field.repr)
        within = next((at for at, name in enumerate(names) if name in _WITHIN), None)
        # With one name alone `attrgetter` gives no tuple.
        one_by_one = lambda value: [getattr(value, name) for name in names]  # noqa: E731
        reader = _readers[cls] = names, attrgetter(*names) if len(names) > 1 else one_by_one, within
    return reader


def _sketch(value: Any) -> Sketch:
    cls = type(value)
    names, read, within = _reader(cls)
    values = [item if type(item) in _PLAIN else _shorten(item) for item in read(value)]
    if within is not None:
        values[within] = _sketch(getattr(value, names[within]))
    return cls, values


def _shorten(item: Any) -> Any:
    if isinstance(item, Enum):
        return item.name
    if isinstance(item, str):
        return item[:_KEPT_CHARACTERS]
    return _Items(len(item)) if isinstance(item, tuple) else None


def _write(sketch: Sketch) -> str:
    cls, values = sketch
    parts = []
    inner = ""
    for name, item in zip(_reader(cls)[0], values, strict=True):
        if isinstance(item, tuple):
            inner = f"/{_write(item)}"
        elif isinstance(item, _Items):
            parts += [f"{name}×{item}"] if item else []
        elif item:
            parts.append(f"{name}={item}")
    return f"{cls.__name__}({' '.join(parts)}){inner}"


def brief(value: Any) -> str:
    """A dataclass in one line: its class and its scalar fields; a message within is written as ``Class/Inner``.

    Bytes, and fields that are left out of `repr` (tokens, secrets), never show; texts are cut short.
    """
    return _write(_sketch(value))


class Story:
    """A ring of lines ``seconds event → effects``."""

    __slots__ = ("_lines",)

    def __init__(self, kept: int = KEPT_LINES) -> None:
        self._lines: deque[tuple[int, Sketch, list[Sketch]]] = deque(maxlen=kept)

    def record(self, now_ns: int, event: object, effects: Sequence[object]) -> None:
        """Add one event; effects that only log are left out."""
        done = [_sketch(effect) for effect in effects if type(effect).__name__ != "Log"]
        self._lines.append((now_ns, _sketch(event), done))

    def text(self, last: int | None = None) -> str:
        """The last lines, oldest first."""
        lines = list(self._lines)
        return "\n".join(
            f"{now_ns / NS_PER_S:.6f} {_write(event)}{' → ' + ', '.join(map(_write, done)) if done else ''}"
            for now_ns, event, done in (lines if last is None else lines[-last:])
        )
