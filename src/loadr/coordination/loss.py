"""What may be missing after an agent was lost: a bound, from the plan alone.

Takes the lost agent's shares, until when it may have made load, and how many of its iterations are accounted for;
gives how many requests the totals lack at most, or None where the plan can not say (closed models, scripts).

An iteration is accounted for when it was merged as finished, interrupted, dropped or missed. A worker reports in
order, so the requests of such an iteration were merged, too; what is missing belongs to the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from loadr.plan.model import ConstantVus, Plan, Scenario
from loadr.plan.usage import rows_limit
from loadr.schedule.account import owned_count
from loadr.schedule.arrivals import Arrivals
from loadr.schedule.share import ScenarioShare


def missing_at_most(
    plan: Plan, shares: Iterable[ScenarioShare], until_run_ns: int, accounted: Mapping[str, int]
) -> int | None:
    """Requests of the iterations that were due up to and including ``until_run_ns`` (after the start) and are not
    ``accounted`` for (by scenario). None if a scenario has no bound."""
    total = 0
    for share in shares:
        scenario = plan.scenarios[share.scenario]
        each = _requests_of(scenario)
        if each is None or isinstance(scenario, ConstantVus):
            return None
        arrivals = Arrivals(share.scenario, scenario, plan.seed, rows_limit(plan, share.scenario))
        due = owned_count(share.slots, _count_until(arrivals, until_run_ns), plan.seed, share.scenario)
        total += max(0, due - accounted.get(share.scenario, 0)) * each
    return total


def _requests_of(scenario: Scenario) -> int | None:
    """Requests of one iteration at most; None: only its script knows."""
    if scenario.flow is None:
        return None
    return sum(step.request is not None for step in scenario.flow)


def _count_until(arrivals: Arrivals, run_ns: int) -> int:
    """Arrivals of the whole fleet that are planned at an instant or before it."""
    index = arrivals.skip_to(run_ns)
    while True:
        iterations, instants = arrivals.chunk(index)
        if not len(iterations):
            return arrivals.count()
        at = int(np.searchsorted(instants, run_ns, side="right"))
        if at < len(iterations):
            return int(iterations[at])
        index += 1
