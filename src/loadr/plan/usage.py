"""Who uses which rows and secrets: answers from a loaded plan, the same on every agent.

Iteration k of the i-th of the m open scenarios that share a ``unique`` data set takes row k·m+i; closed ones get
blocks of rows from the controller: no row twice in the fleet, whatever agent runs the iteration.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from loadr.plan.expressions import parse_template
from loadr.plan.model import ConstantVus, Plan


def unique_users(plan: Plan) -> dict[str, tuple[str, ...]]:
    """For each ``unique`` data set the scenarios that use it, in the plan's order: position i of m."""
    return {
        name: tuple(scenario for scenario, body in plan.scenarios.items() if name in body.uses)
        for name, data in plan.data.items()
        if data.mode == "unique"
    }


def block_sets(plan: Plan) -> tuple[str, ...]:
    """``unique`` data sets of closed scenarios: the controller grants their rows in blocks."""
    return tuple(
        name
        for name, users in unique_users(plan).items()
        if all(isinstance(plan.scenarios[user], ConstantVus) for user in users)
    )


def rows_limit(plan: Plan, scenario_name: str) -> int | None:
    """How many iterations (k = 0, 1, …) of the scenario have rows; None: no end.

    The smallest over its ``unique`` data sets that ``stop``: the count of k ≥ 0 with k·m+i < rows.
    """
    limits = []
    for name, users in unique_users(plan).items():
        data = plan.data[name]
        if scenario_name in users and data.on_end == "stop":
            position, count = users.index(scenario_name), len(users)
            limits.append(max(0, -(-(data.rows - position) // count)))
    return min(limits, default=None)


def secrets_of(plan: Plan) -> tuple[str, ...]:
    """Names of the secrets that stand in the plan's expressions, sorted. What scripts ask for is not known."""
    bodies = [*plan.scenarios.values(), *(one for one in (plan.setup, plan.teardown) if one is not None)]
    flows = [body.model_dump()["flow"] for body in bodies]
    names: set[str] = set()
    for text in _texts([flows, plan.defaults.http.headers]):
        if "secret" in text:
            for expression in parse_template(text).expressions:
                names.update(_members(expression.node, "secret"))
    return tuple(sorted(names))


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():
                yield from _texts(inner)
        case list() | tuple():
            for inner in value:
                yield from _texts(inner)
        case _:
            pass


def _members(tree: ast.AST, root: str) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=member) if name == root:
                yield member
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(member))) if name == root:
                yield member
            case _:
                pass
