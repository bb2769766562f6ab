"""What each of N agents would do: the data behind ``loadr plan PLAN --agents N``.

Takes a plan and a number of equal agents, gives a `Preview`; nothing is started, and the same functions deal as
in a run, so a fleet of that size will do exactly this.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loadr.plan.model import ConstantVus, Plan
from loadr.plan.usage import rows_limit, unique_users
from loadr.schedule.account import owned_count
from loadr.schedule.arrivals import Arrivals, OwnedArrivals
from loadr.schedule.ownership import (
    default_pre_allocated,
    share_out,
    slot_count,
    slot_of,
    slot_offset,
    to_bitmap,
    to_mask,
    vus_of,
)
from loadr.schedule.share import ScenarioShare

INSTANTS = 12
FIRST_ARRIVALS = 5


@dataclass(frozen=True, slots=True)
class RowRange:
    """Rows of a ``unique`` data set, from 0: the first and the last one taken, and how often one is."""

    data: str
    first: int
    last: int
    taken: int


@dataclass(frozen=True, slots=True)
class ScenarioPreview:
    """One owner's part of one scenario.

    ``part`` is of the whole, 0 … 1: of iterations (open) or VUs (closed). ``iterations``, ``rates`` (per second,
    at the preview's instants, 0 after the last row), ``first`` (iteration, run_ns) and ``rows`` are of open
    scenarios only: a closed one starts as many as the target lets it.
    """

    scenario: str
    part: float
    vus: int
    pre_allocated_vus: int
    iterations: int | None = None
    rates: tuple[float, ...] = ()
    first: tuple[tuple[int, int], ...] = ()
    rows: tuple[RowRange, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentPreview:
    name: str
    scenarios: tuple[ScenarioPreview, ...]  # in the plan's order


@dataclass(frozen=True, slots=True)
class Preview:
    """``instants_ns`` are twelve, evenly over the plan, its start and its end included."""

    instants_ns: tuple[int, ...]
    fleet: tuple[ScenarioPreview, ...]
    agents: tuple[AgentPreview, ...]


def preview(plan: Plan, agents: int) -> Preview:
    """What a fleet of ``agents`` ≥ 1 agents of the same capacity does."""
    instants_ns = tuple(plan.duration_ns * i // (INSTANTS - 1) for i in range(INSTANTS))
    slots = slot_count(agents)
    everything = to_bitmap(range(slots), slots)
    sequences = {
        name: Arrivals(name, scenario, plan.seed, rows_limit(plan, name))
        for name, scenario in plan.scenarios.items()
        if not isinstance(scenario, ConstantVus)
    }
    counts = {name: arrivals.count() for name, arrivals in sequences.items()}

    def rate_at(scenario: str, ns: int) -> float:
        arrivals, count = sequences[scenario], counts[scenario]
        if count == rows_limit(plan, scenario) and (count == 0 or ns > arrivals.instant(count - 1)):
            return 0.0
        return arrivals.shape.rate_at(ns)

    def look(share: ScenarioShare) -> ScenarioPreview:
        scenario = plan.scenarios[share.scenario]
        vus = vus_of(share, scenario, plan.seed)
        if isinstance(scenario, ConstantVus):
            return ScenarioPreview(share.scenario, len(vus) / scenario.vus, len(vus), len(vus))
        arrivals, count = sequences[share.scenario], counts[share.scenario]
        part = float(np.mean(to_mask(share.slots)))
        return ScenarioPreview(
            scenario=share.scenario,
            part=part,
            vus=len(vus),
            pre_allocated_vus=sum(vu < default_pre_allocated(scenario) for vu in vus),
            iterations=owned_count(share.slots, count, plan.seed, share.scenario),
            rates=tuple(part * rate_at(share.scenario, ns) for ns in instants_ns),
            first=_first(arrivals, share),
            rows=_rows(plan, share, count),
        )

    fleet = tuple(look(ScenarioShare(name, 0, everything, everything)) for name in plan.scenarios)
    shares = share_out(plan, {f"agent-{number}": 1.0 for number in range(1, agents + 1)}, slots)
    parts = tuple(AgentPreview(name, tuple(map(look, own))) for name, own in shares.items())
    return Preview(instants_ns, fleet, parts)


def _first(arrivals: Arrivals, share: ScenarioShare) -> tuple[tuple[int, int], ...]:
    """The first five arrivals."""
    cursor = OwnedArrivals(arrivals, [share])
    first: list[tuple[int, int]] = []
    while len(first) < FIRST_ARRIVALS and (chunk := cursor.next_chunk()) is not None:
        first += zip(*(column.tolist() for column in chunk), strict=True)
    return tuple(first[:FIRST_ARRIVALS])


def _rows(plan: Plan, share: ScenarioShare, count: int) -> tuple[RowRange, ...]:
    """Of each unique data set, the rows of the owned iterations among the first ``count``."""
    mask = to_mask(share.slots)
    offset = slot_offset(plan.seed, share.scenario)
    taken = owned_count(share.slots, count, plan.seed, share.scenario)
    if not taken:
        return ()

    def owned(low: int, high: int) -> list[int]:
        iterations = np.arange(max(low, 0), min(high, count), dtype=np.int64)
        return [int(k) for k in iterations[mask[slot_of(iterations, offset, len(mask))]]]

    first, last = owned(0, len(mask))[0], owned(count - len(mask), count)[-1]
    ranges = []
    for name, users in unique_users(plan).items():
        if share.scenario in users:
            position, users_count, rows = users.index(share.scenario), len(users), plan.data[name].rows
            first_row, last_row = (k * users_count + position for k in (first, last))
            ranges.append(RowRange(name, first_row % rows, last_row % rows, taken))
    return tuple(ranges)
