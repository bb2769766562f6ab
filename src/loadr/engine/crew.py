"""The crew: which VUs of a scenario this worker has, over time.

Takes the worker's shares and the scenario's course; says at which instants the crew changes and what it is then.
A share says which slots are owned from its own instant on, the course how many VUs there are in the whole fleet.
Instants are ns of the run's timeline.
"""

from __future__ import annotations

from loadr.engine.pending import PendingShares
from loadr.plan.model import Scenario
from loadr.schedule.course import Course
from loadr.schedule.ownership import vus_of, with_vus
from loadr.schedule.share import ScenarioShare


class Crew:
    """``next_run_ns`` is the instant for which `at` is to be asked next: then the crew may be another one."""

    def __init__(self, scenario: Scenario, seed: int, course: Course) -> None:
        self._scenario = scenario
        self._seed = seed
        self._course = course
        self._shares = PendingShares()
        self._share: ScenarioShare | None = None
        self._met_ns = 0
        self.next_run_ns = course.next_edge(0)

    def own(self, share: ScenarioShare) -> None:
        """From its ``from_run_ns`` on, in place of what was to be owned then or later."""
        self._shares.add(share.from_run_ns, share)
        self.next_run_ns = min(self.next_run_ns, share.from_run_ns)

    def follow(self, course: Course) -> None:
        """The scenario has another course."""
        before, self._course = self._course, course
        now_ns = self._met_ns
        if course.vus_at(now_ns) != before.vus_at(now_ns):
            self.next_run_ns = now_ns
        else:
            self.next_run_ns = min(self._shares.next_ns, course.next_edge(now_ns))

    def at(self, run_ns: int) -> tuple[int, tuple[int, ...]]:
        """The VUs that are ours at ``run_ns``, and since when those of them that were not ours before."""
        run_ns = self._met_ns = max(self._met_ns, run_ns)
        self._share = self._shares.take(run_ns) or self._share
        self.next_run_ns = min(self._shares.next_ns, self._course.next_edge(run_ns))
        share = self._share
        if share is None:
            return 0, ()
        scaled_ns = max((from_ns for from_ns, _ in self._course.crews if from_ns <= run_ns), default=0)
        vus = vus_of(share, with_vus(self._scenario, self._course.vus_at(run_ns)), self._seed)
        return max(share.from_run_ns, scaled_ns), vus
