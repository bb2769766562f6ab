"""What an agent holds of a run, and how it is dealt among its workers.

Takes the agent's shares and the run's changes as they come; gives each worker's orders, with the least movement
between workers, and the end of the run. Instants are ns of the run's timeline.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from loadr.engine.channel import ShareOrder
from loadr.plan.model import Plan
from loadr.schedule.change import NEVER_RUN_NS, Change
from loadr.schedule.course import Course, course_of
from loadr.schedule.ownership import split, with_vus
from loadr.schedule.share import ScenarioShare


class Holding:
    """``changes`` are all of the run so far."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.changes: tuple[Change, ...] = ()
        self._courses: dict[str, Course] = {}
        self._shares: dict[str, list[ScenarioShare]] = {}  # each from its instant on, ascending
        self._dealt: dict[str, dict[int, ScenarioShare]] = {}  # to workers, the last of each scenario
        self.follow(())

    def follow(self, changes: Iterable[Change]) -> None:
        """The run has these changes."""
        self.changes = tuple(changes)
        self._courses = {
            name: course_of(name, scenario, self.changes) for name, scenario in self.plan.scenarios.items()
        }

    @property
    def end_run_ns(self) -> int:
        """When the last iteration must have ended; `NEVER_RUN_NS` while there is no end."""
        ends = (
            (self._courses[name].end_run_ns, scenario.graceful_stop_ns)
            for name, scenario in self.plan.scenarios.items()
        )
        return max(end_ns if end_ns == NEVER_RUN_NS else end_ns + graceful_ns for end_ns, graceful_ns in ends)

    def deal(
        self, shares: Iterable[ScenarioShare], workers: Sequence[int], not_before_ns: int = 0
    ) -> dict[int, list[ShareOrder]]:
        """Each worker's part of shares that hold from their instants on, or from ``not_before_ns`` on."""
        orders: dict[int, list[ShareOrder]] = {worker: [] for worker in workers}
        for share in sorted(shares, key=lambda share: share.from_run_ns):
            share = replace(share, from_run_ns=max(share.from_run_ns, not_before_ns))
            held = self._shares.setdefault(share.scenario, [])
            held[:] = [*(one for one in held if one.from_run_ns < share.from_run_ns), share]
            for worker, part in self._split(share, workers).items():
                order = ShareOrder(
                    part.scenario, part.from_run_ns, part.slots, part.vu_slots, part.from_iteration
                )
                orders[worker].append(order)
        return orders

    def deal_again(self, workers: Sequence[int], not_before_ns: int) -> dict[int, list[ShareOrder]]:
        """All that is held from ``not_before_ns`` on, among these workers."""
        held = [
            share
            for shares in self._shares.values()
            for share, later in zip(shares, [*shares[1:], None], strict=True)
            if later is None or later.from_run_ns > not_before_ns
        ]
        return self.deal(held, workers, not_before_ns)

    def _split(self, share: ScenarioShare, workers: Sequence[int]) -> dict[int, ScenarioShare]:
        """By the largest crew that there will be: every smaller one is dealt evenly by it, too."""
        if not workers:
            return {}
        scenario = with_vus(self.plan.scenarios[share.scenario], self._courses[share.scenario].most_vus)
        before = self._dealt.get(share.scenario)
        dealt = self._dealt[share.scenario] = split(share, scenario, workers, self.plan.seed, previous=before)
        return dealt
