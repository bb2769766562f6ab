"""The course of a scenario: what its plan and the changes of a live run make of it on the run's timeline.

Takes a scenario and the list of changes (pause, resume, rate, scale; each with its instant of effect), gives its
shape, its end and its VUs over time. Every owner computes the same course from the same list, so a change needs
no more agreement than the list itself. Everything before an instant of effect stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

from loadr.plan.model import ConstantVus, Scenario
from loadr.schedule.change import NEVER_RUN_NS, Change, ChangeKind, Pause
from loadr.schedule.shape import RateShape, Segment, shape_of
from loadr.units import NS_PER_S


@dataclass(frozen=True, slots=True)
class Course:
    """``shape`` is over the run's timeline from its start, and of no rate at all for closed scenarios.

    ``crews``: (from_run_ns, VUs), ascending, the first from 0; the cap of VUs in open scenarios.
    """

    begin_run_ns: int
    end_run_ns: int
    shape: RateShape
    crews: tuple[tuple[int, int], ...]
    pauses: tuple[Pause, ...] = ()

    def vus_at(self, run_ns: int) -> int:
        """How many VUs there are, or may be, at an instant."""
        return next((vus for from_ns, vus in reversed(self.crews) if from_ns <= run_ns), self.crews[0][1])

    @property
    def most_vus(self) -> int:
        """The largest crew that there ever is."""
        return max(vus for _, vus in self.crews)

    def is_paused(self, run_ns: int) -> bool:
        """Whether nothing may start at an instant."""
        return any(pause.from_run_ns <= run_ns < pause.to_run_ns for pause in self.pauses)

    def next_edge(self, run_ns: int) -> int:
        """The next instant after ``run_ns`` at which VUs or a pause begin or end; `NEVER_RUN_NS` without one."""
        edges = [from_ns for from_ns, _ in self.crews]
        edges += [edge for pause in self.pauses for edge in (pause.from_run_ns, pause.to_run_ns)]
        return min((edge for edge in edges if edge > run_ns), default=NEVER_RUN_NS)


def course_of(name: str, scenario: Scenario, changes: Iterable[Change] = ()) -> Course:
    """The course of the scenario ``name`` under these changes, which are ascending by instant."""
    course = _planned(scenario)
    paused_at: int | None = None
    for change in changes:
        if change.scenario not in ("", name):
            continue
        at_ns = change.at_run_ns
        if change.kind is ChangeKind.PAUSE:
            if paused_at is None and at_ns < course.end_run_ns:
                paused_at = at_ns
        elif change.kind is ChangeKind.RESUME:
            if paused_at is not None:
                course = _held(course, paused_at, max(at_ns, paused_at))
                paused_at = None
        elif change.kind is ChangeKind.SCALE:
            kept = tuple(crew for crew in course.crews if crew[0] < at_ns)
            course = replace(course, crews=(*kept, (at_ns, int(change.value))))
        elif not isinstance(scenario, ConstantVus):
            from_ns = at_ns if paused_at is None else paused_at
            course = replace(course, shape=_rerated(course, from_ns, change))
    if paused_at is not None:
        before, _ = _cut(course.shape, paused_at)
        course = replace(
            course,
            end_run_ns=NEVER_RUN_NS,
            shape=RateShape(before),
            pauses=(*course.pauses, Pause(paused_at, NEVER_RUN_NS)),
        )
    return course


def _planned(scenario: Scenario) -> Course:
    begin_ns = scenario.start_time_ns
    end_ns = begin_ns + scenario.duration_ns
    if isinstance(scenario, ConstantVus):
        return Course(begin_ns, end_ns, RateShape(()), ((0, scenario.vus),))
    idle = Segment(0, begin_ns, Fraction(0), Fraction(0))
    own = (_moved(segment, begin_ns) for segment in shape_of(scenario).segments)
    return Course(begin_ns, end_ns, RateShape((idle, *own)), ((0, scenario.max_vus),))


def _held(course: Course, from_ns: int, to_ns: int) -> Course:
    """What was planned at ``from_ns`` or later happens after ``to_ns``."""
    length_ns = to_ns - from_ns
    before, after = _cut(course.shape, from_ns)
    hold = Segment(from_ns, to_ns, Fraction(0), Fraction(0))
    segments = (*before, hold, *(_moved(segment, length_ns) for segment in after)) if after else before
    return replace(
        course,
        begin_run_ns=course.begin_run_ns + (length_ns if course.begin_run_ns > from_ns else 0),
        end_run_ns=course.end_run_ns + (length_ns if course.end_run_ns > from_ns else 0),
        shape=RateShape(segments),
        pauses=(*course.pauses, Pause(from_ns, to_ns)),
    )


def _rerated(course: Course, from_ns: int, change: Change) -> RateShape:
    """Another rate from ``from_ns`` on; before the scenario begins there is none, whatever the change says."""
    from_ns = max(from_ns, course.begin_run_ns)
    before, after = _cut(course.shape, from_ns)
    value = Fraction(change.value)
    if change.kind is ChangeKind.RATE:
        rate = value / NS_PER_S
        return RateShape((*before, Segment(from_ns, max(from_ns, course.end_run_ns), rate, rate)))
    more = (replace(s, start_rate=s.start_rate * value, end_rate=s.end_rate * value) for s in after)
    return RateShape((*before, *more))


def _cut(shape: RateShape, at_ns: int) -> tuple[list[Segment], list[Segment]]:
    """The segments before an instant, and those from it on."""
    before, after = [], []
    for segment in shape.segments:
        if segment.end_ns <= at_ns:
            before.append(segment)
        elif segment.start_ns >= at_ns:
            after.append(segment)
        else:
            rate = segment.rate_at(at_ns)
            before.append(replace(segment, end_ns=at_ns, end_rate=rate))
            after.append(replace(segment, start_ns=at_ns, start_rate=rate))
    return before, after


def _moved(segment: Segment, by_ns: int) -> Segment:
    return replace(segment, start_ns=segment.start_ns + by_ns, end_ns=segment.end_ns + by_ns)
