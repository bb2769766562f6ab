"""What an agent may have begun, and what may be missing after it was lost: bounds, from the plan alone.

Takes the shares that it may have held, the courses that it may have followed (it may not have heard of the last
changes of the run) and until when; gives iterations. Closed models have no bound: the plan can not say how many
iterations a VU makes.

An iteration is accounted for when it was merged as finished, interrupted, dropped or missed. A worker reports in
order, so the requests of such an iteration were merged, too; what is missing belongs to the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from loadr.plan.model import ConstantVus, OpenScenario, Plan, Scenario
from loadr.plan.usage import rows_limit
from loadr.schedule.account import owned_count
from loadr.schedule.arrivals import Arrivals
from loadr.schedule.change import Change
from loadr.schedule.share import ScenarioShare


@dataclass(frozen=True, slots=True)
class Followed:
    """These changes, and no later ones, may have been followed up to and including an instant."""

    changes: tuple[Change, ...]
    until_run_ns: int


def begun_below(plan: Plan, followed: Iterable[Followed]) -> dict[str, int]:
    """By open scenario: nothing from this iteration on was begun by anybody who followed one of these."""
    out: dict[str, int] = {}
    for one in followed:
        for name, scenario in plan.scenarios.items():
            if not isinstance(scenario, ConstantVus):
                count = _count_until(_arrivals(plan, name, scenario, one.changes), one.until_run_ns)
                out[name] = max(out.get(name, 0), count)
    return out


def lost_at_most(
    plan: Plan,
    followed: Sequence[Followed],
    owned: Iterable[ScenarioShare],
    accounted: Mapping[str, int],
) -> dict[str, int | None]:
    """By scenario: iterations that may have been due, and are not ``accounted`` for; None in closed models.

    ``owned``: every share that the agent may have held, in that order; each replaces the one before it from its
    own ``from_run_ns`` on.
    """
    eras: dict[str, list[ScenarioShare]] = {}
    for share in owned:
        of_scenario = eras.setdefault(share.scenario, [])
        of_scenario[:] = [era for era in of_scenario if era.from_run_ns < share.from_run_ns]
        of_scenario.append(share)
    out: dict[str, int | None] = {}
    for name, shares in eras.items():
        scenario = plan.scenarios[name]
        if isinstance(scenario, ConstantVus):
            out[name] = None if any(share.slots.strip(b"\0") for share in shares) else 0
        else:
            due = _due(plan, name, scenario, followed, shares)
            out[name] = max(0, due - accounted.get(name, 0))
    return out


def _due(
    plan: Plan, name: str, scenario: OpenScenario, followed: Sequence[Followed], eras: Sequence[ScenarioShare]
) -> int:
    """Where courses differ an era may have begun with the earliest and ended with the latest of them: of those
    that may still have been followed when it began. By one that was over by then nothing of it was begun."""
    courses = [(_arrivals(plan, name, scenario, one.changes), one.until_run_ns) for one in followed]
    due = 0
    for era, following in zip(eras, [*eras[1:], None], strict=True):
        still = [(arrivals, until_ns) for arrivals, until_ns in courses if until_ns >= era.from_run_ns]
        if not still:
            continue
        first = min(_count_until(arrivals, era.from_run_ns - 1) for arrivals, _ in still)
        first = max(first, era.from_iteration)
        last = most = max(_count_until(arrivals, until_ns) for arrivals, until_ns in still)
        if following is not None:
            end_ns = following.from_run_ns - 1
            last = max(_count_until(arrivals, min(end_ns, until_ns)) for arrivals, until_ns in still)
            last = min(max(last, following.from_iteration), most)
        if last > first:
            due += owned_count(era.slots, last, plan.seed, name)
            due -= owned_count(era.slots, first, plan.seed, name)
    return due


def requests_of(plan: Plan, lost: Mapping[str, int | None]) -> int | None:
    """Requests of so many iterations at most; None if a scenario has no bound."""
    total = 0
    for name, iterations in lost.items():
        each = _requests_of(plan.scenarios[name])
        if iterations is None or (each is None and iterations):
            return None
        total += iterations * (each or 0)
    return total


def _requests_of(scenario: Scenario) -> int | None:
    """Requests of one iteration at most; None: only its script knows."""
    if scenario.flow is None:
        return None
    return sum(step.request is not None for step in scenario.flow)


def _arrivals(plan: Plan, name: str, scenario: OpenScenario, changes: Sequence[Change]) -> Arrivals:
    return Arrivals(name, scenario, plan.seed, rows_limit(plan, name), changes)


def _count_until(arrivals: Arrivals, run_ns: int) -> int:
    """Arrivals of the whole fleet that are planned at an instant or before it."""
    if run_ns < 0:
        return 0
    index = arrivals.skip_to(run_ns)
    while True:
        iterations, instants = arrivals.chunk(index)
        if not len(iterations):
            return arrivals.count()
        at = int(np.searchsorted(instants, run_ns, side="right"))
        if at < len(iterations):
            return int(iterations[at])
        index += 1
