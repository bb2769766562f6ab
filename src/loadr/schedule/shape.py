"""Load shapes: the rate of an open scenario over its own time, its integral Λ, and Λ's inverse.

Takes the rates and durations of a plan as exact rational numbers, gives a `RateShape`: piecewise linear over
[0, D] nanoseconds, with jumps where a stage lasts no time. Mark m of a scenario happens at Λ⁻¹(m).

The inverse uses only + − × ÷ √ and rounding, which IEEE 754 defines to the last bit: every machine computes the
same nanosecond. Within a segment the quadratic is solved from its slower end, where all terms are positive:
nothing cancels, and the error is a few ulps of the segment's length (under 0.05 ns in ten hours).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from loadr.plan.model import ConstantArrivalRate, OpenScenario
from loadr.units import NS_PER_S

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Segment:
    """A straight line from ``start_rate`` to ``end_rate`` (arrivals per nanosecond) over [start_ns, end_ns]."""

    start_ns: int
    end_ns: int
    start_rate: Fraction
    end_rate: Fraction

    @property
    def area(self) -> Fraction:
        """Arrivals within the segment."""
        return self.area_before(self.end_ns)

    def area_before(self, ns: int) -> Fraction:
        """Arrivals within [start_ns, ns], for ns inside the segment."""
        passed = ns - self.start_ns
        return (self.start_rate + self.rate_at(ns)) * passed / 2

    def rate_at(self, ns: int) -> Fraction:
        """The rate at an instant inside the segment, per nanosecond."""
        along = Fraction(ns - self.start_ns, self.end_ns - self.start_ns)
        return self.start_rate + (self.end_rate - self.start_rate) * along


class RateShape:
    """A rate over [0, D]. Build it with `shape_of`, or from segments that follow each other without a hole.

    Segments without a length are left out: they are jumps.
    """

    __slots__ = ("_ends", "_rises", "_total", "duration_ns", "segments")

    def __init__(self, segments: Iterable[Segment]) -> None:
        self.segments = tuple(s for s in segments if s.end_ns > s.start_ns)
        self.duration_ns = self.segments[-1].end_ns if self.segments else 0
        self._total = sum((s.area for s in self.segments), start=Fraction(0))
        self._rises, self._ends = _rises(self.segments)

    def total(self) -> Fraction:
        """Λ(D), exactly."""
        return self._total

    def exact_integral(self, ns: int) -> Fraction:
        """Λ(ns), exactly; 0 before the shape and Λ(D) after it."""
        area = Fraction(0)
        for segment in self.segments:
            if ns < segment.end_ns:
                return area + segment.area_before(max(ns, segment.start_ns))
            area += segment.area
        return area

    def integral(self, ns: int) -> float:
        """Λ(ns), rounded once."""
        return float(self.exact_integral(ns))

    def rate_at(self, ns: int) -> float:
        """Arrivals per second at ``ns``: at a jump the later one, at D the last one, outside [0, D] 0."""
        if ns < 0 or ns > self.duration_ns:
            return 0.0
        for segment in self.segments:
            if ns < segment.end_ns or ns == self.duration_ns == segment.end_ns:
                return float(segment.rate_at(ns) * NS_PER_S)
        return 0.0

    def peak_rate(self) -> float:
        """The highest rate, per second."""
        rates = (rate for s in self.segments for rate in (s.start_rate, s.end_rate))
        return float(max(rates, default=Fraction(0)) * NS_PER_S)

    def inverse(self, marks: FloatArray) -> IntArray:
        """Λ⁻¹ of ascending ``marks``: ascending nanoseconds, rounded to the nearest, within [0, D].

        Where Λ is flat, its value happens at the beginning of the plateau. Marks above Λ(D) give D.
        """
        out = np.full(marks.shape, self.duration_ns, dtype=np.int64)
        stops = np.searchsorted(marks, self._ends, side="right").tolist()
        start = int(np.searchsorted(marks, 0.0, side="right"))
        out[:start] = 0
        for rise, stop in zip(self._rises, stops, strict=True):
            if start < stop:
                out[start:stop] = rise.inverse(marks[start:stop])
                start = stop
        return np.maximum.accumulate(out)


@dataclass(frozen=True, slots=True)
class Rise:
    """Λ over one segment in which it rises, seen from the segment's slower end."""

    anchor_ns: int  # the slower end
    direction: float  # +1: that is the segment's start, −1: its end
    length_ns: float
    mark: float  # Λ at the anchor, rounded …
    mark_rest: float  # … and what rounding took away
    area: float
    slow_rate: float  # the rate at the anchor over the segment's mean rate, 0 … 1

    @classmethod
    def of(cls, segment: Segment, before: Fraction) -> Rise:
        """``before`` is Λ at the segment's start."""
        rising = segment.start_rate <= segment.end_rate
        anchor = before if rising else before + segment.area
        length_ns = segment.end_ns - segment.start_ns
        slow_rate = min(segment.start_rate, segment.end_rate) * length_ns / segment.area
        return cls(
            anchor_ns=segment.start_ns if rising else segment.end_ns,
            direction=1.0 if rising else -1.0,
            length_ns=float(length_ns),
            mark=float(anchor),
            mark_rest=float(anchor - Fraction(float(anchor))),
            area=float(segment.area),
            slow_rate=float(slow_rate),
        )

    def inverse(self, marks: FloatArray) -> IntArray:
        """Λ⁻¹ of marks inside the segment.

        A mark is w of the segment's area away from the anchor. With p = ``slow_rate``, w = p·s + (1 − p)·s² holds
        for the part s of the segment's length, so s = 2w / (p + √(p² + 4·(1 − p)·w)).
        """
        w = np.clip(self.direction * ((marks - self.mark) - self.mark_rest) / self.area, 0.0, 1.0)
        p = self.slow_rate
        root = p + np.sqrt(p * p + 4.0 * (1.0 - p) * w)
        s = np.divide(2.0 * w, root, out=np.zeros_like(w), where=root > 0.0)
        return self.anchor_ns + np.rint(self.direction * self.length_ns * np.minimum(s, 1.0)).astype(np.int64)


def _rises(segments: Iterable[Segment]) -> tuple[list[Rise], FloatArray]:
    """The segments with arrivals, and for each the largest float ≤ Λ(its end).

    Plateaus are left out, so that a mark which falls on one belongs to the end of the segment before it.
    """
    rises: list[Rise] = []
    ends: list[float] = []
    before = Fraction(0)
    for segment in segments:
        if float(segment.area) > 0:
            rises.append(Rise.of(segment, before))
            ends.append(_float_below(before + segment.area))
        before += segment.area
    return rises, np.array(ends, dtype=np.float64)


def _float_below(number: Fraction) -> float:
    """The largest float that is not above ``number``."""
    near = float(number)
    return near if Fraction(near) <= number else math.nextafter(near, -math.inf)


def shape_of(scenario: OpenScenario) -> RateShape:
    """The shape of an open scenario over its own time, without ``start_time``.

    Rates are the decimal numbers that the plan's author wrote: 0.1 is a tenth, not the float next to it.
    """
    unit_ns = scenario.time_unit_ns
    if isinstance(scenario, ConstantArrivalRate):
        rate = _decimal(scenario.rate) / unit_ns
        return RateShape([Segment(0, scenario.duration_ns, rate, rate)])
    segments = []
    at_ns, rate = 0, _decimal(scenario.start_rate) / unit_ns
    for stage in scenario.stages:
        target = _decimal(stage.target) / unit_ns
        segments.append(Segment(at_ns, at_ns + stage.duration_ns, rate, target))
        at_ns, rate = at_ns + stage.duration_ns, target
    return RateShape(segments)


def _decimal(number: float) -> Fraction:
    return Fraction(str(number))
