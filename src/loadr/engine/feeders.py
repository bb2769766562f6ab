"""Feeders: which row of a CSV file belongs to which iteration.

Takes a plan's data sets and their files; gives, for a scenario, one function (VU, iteration) → row for each
data set that it uses. Rows follow from the plan, the seed and the iteration alone, so that a fleet of any size
uses the same rows, and no `unique` row twice; but for unique rows of closed models, which are granted (`stock`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from loadr.engine.corpus import CorpusInvalid, open_corpus
from loadr.engine.draws import draw_below, iteration_key, stream_seed
from loadr.engine.stock import Shelf
from loadr.plan.data import Rows, read_csv
from loadr.plan.model import DataSet, Plan
from loadr.plan.usage import unique_users

NO_SHELVES: Mapping[str, Shelf] = {}

Values = tuple[str, ...]
Pick = Callable[[int, int], Values]
"""(0 in open models or the VU's id in closed ones, iteration) → the values of the row, in the file's order."""


class Row(dict[str, str]):
    """One row, for scripts: ``user["name"]``, or ``user.name`` for columns that are names in Python."""

    def __getattr__(self, column: str) -> str:
        try:
            return self[column]
        except KeyError:
            raise AttributeError(f"the row has no column {column!r}; it has {', '.join(self)}") from None


class Feeder:
    """Rows of one data set for one scenario. ``pick`` gives bare values, a call of the feeder gives a `Row`."""

    __slots__ = ("columns", "pick")

    def __init__(self, columns: tuple[str, ...], pick: Pick) -> None:
        self.columns = columns
        self.pick = pick

    def __call__(self, key_vu: int, iteration: int) -> Row:
        return Row(zip(self.columns, self.pick(key_vu, iteration), strict=True))


def read_data(plan: Plan, folder: Path) -> dict[str, Rows]:
    """The rows of every data set that a scenario uses. Raises `PlanInvalid` with the faults of a file,
    `CorpusInvalid` for a corpus that is none, or not the one that the plan describes."""
    used = {name for scenario in plan.scenarios.values() for name in scenario.uses}
    by_path: dict[str, Rows] = {}
    for name in used:
        data = plan.data[name]
        if data.corpus:
            rows = by_path.get(data.path) or open_corpus(folder / data.path, shown_as=data.path)
            _hold_to_plan(rows, data)
        else:
            rows = by_path.get(data.path) or read_csv(folder / data.path, shown_as=data.path)
        by_path[data.path] = rows
    return {name: by_path[plan.data[name].path] for name in used}


def _hold_to_plan(rows: Rows, data: DataSet) -> None:
    """A plan describes a corpus without a look at it."""
    if rows.columns != data.columns:
        raise CorpusInvalid(
            f"{data.path} has the columns {', '.join(rows.columns)}, and the plan says {', '.join(data.columns)}"
        )
    if data.rows and len(rows) != data.rows:
        raise CorpusInvalid(f"{data.path} has {len(rows)} rows, and the plan says {data.rows}")


def feeders_of(
    plan: Plan, scenario: str, data: Mapping[str, Rows], shelves: Mapping[str, Shelf] = NO_SHELVES
) -> dict[str, Feeder]:
    """One feeder for each data set that the scenario uses; ``shelves``: of those whose rows are granted."""
    users = unique_users(plan)
    out = {}
    for name in plan.scenarios[scenario].uses:
        if name in shelves:
            pick = _pick_granted(data[name], shelves[name])
        elif plan.data[name].mode == "unique":
            pick = _pick_unique(data[name], plan.data[name], users[name].index(scenario), len(users[name]))
        else:
            pick = _pick_random(data[name], stream_seed(plan.seed, scenario, "data", name))
        out[name] = Feeder(data[name].columns, pick)
    return out


def _pick_unique(data: Rows, settings: DataSet, place: int, users: int) -> Pick:
    """Row k·m+i for iteration k of the i-th of m scenarios; the schedule is cut where rows end, or they
    recycle."""
    rows, count = data.rows, len(data.rows)
    if settings.on_end == "recycle":
        return lambda _vu, iteration: rows[(iteration * users + place) % count]
    return lambda _vu, iteration: rows[iteration * users + place]


def _pick_granted(data: Rows, shelf: Shelf) -> Pick:
    """The row that the VU was given before its iteration began."""
    rows, count, current = data.rows, len(data.rows), shelf.current
    return lambda vu, _iteration: rows[current[vu] % count]


def _pick_random(data: Rows, stream: int) -> Pick:
    rows, count = data.rows, len(data.rows)
    return lambda key_vu, iteration: rows[draw_below(iteration_key(stream, key_vu, iteration), count)]
