"""What may be missing after an agent was lost: a bound, from the plan alone.

Takes the lost agent's shares and the stretch of the timeline for which nothing of it was merged; gives how many
requests the totals lack at most, or None where the plan can not say (closed models, scripts).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from loadr.plan.model import ConstantVus, Plan, Scenario
from loadr.plan.usage import rows_limit
from loadr.schedule.account import owned_count
from loadr.schedule.arrivals import Arrivals
from loadr.schedule.ownership import vus_of
from loadr.schedule.share import ScenarioShare


def missing_at_most(plan: Plan, shares: Iterable[ScenarioShare], from_ns: int, until_ns: int) -> int | None:
    """Requests that were due in [from_ns, until_ns) of the timeline, and those of iterations that were under way
    at ``from_ns`` (no more than there are VUs). None if a scenario has no bound."""
    total = 0
    for share in shares:
        scenario = plan.scenarios[share.scenario]
        each = _requests_of(scenario)
        if each is None or isinstance(scenario, ConstantVus):
            return None
        arrivals = Arrivals(share.scenario, scenario, plan.seed, rows_limit(plan, share.scenario))
        before = owned_count(share.slots, _count_before(arrivals, from_ns), plan.seed, share.scenario)
        by_then = owned_count(share.slots, _count_before(arrivals, until_ns), plan.seed, share.scenario)
        under_way = min(before, len(vus_of(share, scenario, plan.seed)))
        total += (by_then - before + under_way) * each
    return total


def _requests_of(scenario: Scenario) -> int | None:
    """Requests of one iteration at most; None: only its script knows."""
    if scenario.flow is None:
        return None
    return sum(step.request is not None for step in scenario.flow)


def _count_before(arrivals: Arrivals, run_ns: int) -> int:
    """Arrivals of the whole fleet that are planned before an instant."""
    index = arrivals.skip_to(run_ns)
    while True:
        iterations, instants = arrivals.chunk(index)
        if not len(iterations):
            return arrivals.count()
        at = int(np.searchsorted(instants, run_ns, side="left"))
        if at < len(iterations):
            return int(iterations[at])
        index += 1
