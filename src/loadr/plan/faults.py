"""Faults of a plan while it is read: a place for every key and value, and the list that grows.

A `Route` is the way to a value, ``("scenarios", "browse", "flow", 0, "request")``; people read it as
``scenarios.browse.flow[0].request``. `FaultList` knows where in which file each route stands, and takes the
nearest enclosing one for what is missing, or was declared in another file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from loadr.errors import Fault

Route = tuple[str | int, ...]
_PLAIN_KEY = re.compile(r"[^\s\[\]\"'.]+")


@dataclass(frozen=True, slots=True)
class Place:
    """``line`` and ``column`` count from 1; 0 means unknown."""

    file: str
    line: int
    column: int


@dataclass(slots=True)
class Places:
    """Where the keys and the values of one tree stand."""

    keys: dict[Route, Place] = field(default_factory=dict)
    values: dict[Route, Place] = field(default_factory=dict)

    def declare(self, route: Route, place: Place) -> None:
        """Say that all of ``route`` comes from ``place``."""
        self.keys[route] = self.values[route] = place


class FaultList:
    """Collects faults; ``places`` may grow meanwhile."""

    def __init__(self, file: str, places: Places) -> None:
        self.places = places
        self._file = file
        self._faults: list[Fault] = []

    def add(self, route: Route, message: str, hint: str = "", *, at_key: bool = False) -> None:
        """A fault of the value at ``route``, or of its key."""
        known = self.places.keys if at_key else self.places.values
        place = known.get(route) or self._nearest(route)
        self._faults.append(Fault(place.file, place.line, place.column, show_route(route), message, hint))

    def extend(self, faults: tuple[Fault, ...]) -> None:
        """Faults that already have their place."""
        self._faults.extend(faults)

    @property
    def sorted(self) -> list[Fault]:
        """Those of the plan's own file first, each file from top to bottom."""
        return sorted(self._faults, key=lambda f: (f.file != self._file, f.file, f.line, f.column))

    def __len__(self) -> int:
        return len(self._faults)

    def _nearest(self, route: Route) -> Place:
        for length in range(len(route), -1, -1):
            place = self.places.keys.get(route[:length]) or self.places.values.get(route[:length])
            if place is not None:
                return place
        return Place(self._file, 0, 0)


def show_route(route: Route) -> str:
    """``scenarios.browse.flow[0].request.get``; a key with blanks or dots stands in brackets, as in a list."""
    out = ""
    for step in route:
        if isinstance(step, int):
            out += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            out += f".{step}" if out else step
        else:
            out += f'["{step}"]'
    return out
