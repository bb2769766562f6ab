"""What the schedule wants of a run, beside what was done: iterations per second of its open scenarios.

Takes a plan and the changes of a run, gives the mean planned rate of any stretch of the run's timeline, exactly,
and reads what the open scenarios really finished from merged deltas. Closed scenarios have no target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from loadr.metrics.delta import CounterDelta, Delta
from loadr.metrics.merge import RunMetrics
from loadr.metrics.series import Tags
from loadr.plan.model import ConstantVus, Plan
from loadr.schedule.change import Change
from loadr.schedule.course import course_of
from loadr.schedule.shape import RateShape
from loadr.units import NS_PER_S

ITERATIONS = "iterations"


class Target:
    """``exists`` tells whether the plan has an open scenario at all."""

    def __init__(self, plan: Plan, changes: Iterable[Change] = ()) -> None:
        changes = tuple(changes)
        self._shapes: list[RateShape] = []
        self._tags: list[Tags] = []
        for name, scenario in plan.scenarios.items():
            if not isinstance(scenario, ConstantVus):
                self._shapes.append(course_of(name, scenario, changes).shape)
                self._tags.append((("scenario", name),))

    @property
    def exists(self) -> bool:
        return bool(self._shapes)

    def track(self, metrics: RunMetrics) -> None:
        """Have the timeline keep what `finished` reads. Call before the run starts."""
        for tags in self._tags:
            metrics.timeline.track(ITERATIONS, tags)

    def mean_per_s(self, t0_s: float, t1_s: float) -> float | None:
        """Planned iterations in [t0_s, t1_s) per second; None without an open scenario or a stretch of time."""
        if not self._shapes or t1_s <= t0_s:
            return None
        t0_ns, t1_ns = round(t0_s * NS_PER_S), round(t1_s * NS_PER_S)
        planned = sum(shape.exact_integral(t1_ns) - shape.exact_integral(t0_ns) for shape in self._shapes)
        return float(planned * NS_PER_S / (t1_ns - t0_ns))

    def finished(self, read: Callable[[str, Tags], Delta | None]) -> int:
        """Iterations of the open scenarios in what ``read(metric, tags)`` gives."""
        deltas = (read(ITERATIONS, tags) for tags in self._tags)
        return sum(delta.total for delta in deltas if isinstance(delta, CounterDelta))
