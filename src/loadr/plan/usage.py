"""Who uses which rows: answers from a loaded plan, the same on every agent.

Iteration k of the i-th of the m scenarios that share a ``unique`` data set takes row k·m+i: no row twice in the
fleet, whatever agent runs the iteration.
"""

from __future__ import annotations

from loadr.plan.model import Plan


def unique_users(plan: Plan) -> dict[str, tuple[str, ...]]:
    """For each ``unique`` data set the scenarios that use it, in the plan's order: position i of m."""
    return {
        name: tuple(scenario for scenario, body in plan.scenarios.items() if name in body.uses)
        for name, data in plan.data.items()
        if data.mode == "unique"
    }


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
