"""Charts as inline SVG: values over stretches of time → one `Markup`, without a script.

Every value belongs to a stretch [t0, t1) and is drawn at its middle; where there is no value the line has a hole.
Colours are CSS classes (``c-…``), so that one page serves light and dark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Literal

from loadr.report.markup import Markup, element, join

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 1000, 62, 16, 10, 24
_TIME_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_LOG_FROM = 12  # a largest value so many times the smallest makes a linear axis useless

Values = Sequence[float | None]
Spans = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Curve:
    """``line`` and ``dashed`` are strokes; ``area`` is filled down to the axis; ``band`` down to ``floor``."""

    label: str
    css: str
    values: Values
    form: Literal["line", "dashed", "area", "band"] = "line"
    floor: Values = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened in [t0, t1), or at t0 if both are the same; ``label`` shows when pointed at."""

    label: str
    css: str
    t0_s: float
    t1_s: float


@dataclass(frozen=True, slots=True)
class Axis:
    """Values → pixels from the top, and where its labels stand."""

    ticks: tuple[float, ...]
    place: Callable[[float], float]


def draw_chart(
    spans: Spans,
    curves: Sequence[Curve],
    label: Callable[[float], str],
    *,
    height: int = 230,
    log: bool = False,
    least_step: float = 0,
    marks: Sequence[Mark] = (),
) -> Markup:
    """A legend and a chart; ``marks`` lie behind the curves. ``label`` writes a value of the vertical axis. With
    ``log`` that axis is logarithmic where the values ask for it; otherwise its ticks are ``least_step`` apart or
    more."""
    if not spans:
        return element("p", "No data.", class_="quiet")
    axis = _axis(curves, height, log=log, least_step=least_step)
    start, end = spans[0][0], spans[-1][1]
    scale = (WIDTH - LEFT - RIGHT) / ((end - start) or 1)

    def x(seconds: float) -> float:
        return LEFT + (seconds - start) * scale

    parts = [
        *_marks([mark for mark in marks if mark.t1_s >= start and mark.t0_s <= end], x, start, end, height),
        *_grid(axis, label),
        *_times(start, end, x, height),
        *(shape for curve in curves for shape in _shapes(curve, spans, x, axis, height - BOTTOM)),
        *_hovers(spans, curves, label, x, height),
    ]
    svg = element("svg", parts, viewBox=f"0 0 {WIDTH} {height}", role="img")
    return join((_legend(curves), svg))


def _legend(curves: Sequence[Curve]) -> Markup:
    entries = [
        element("span", element("i", class_=f"key k-{curve.form} {curve.css}"), curve.label)
        for curve in curves
        if curve.label
    ]
    return element("p", entries, class_="legend")


def _axis(curves: Sequence[Curve], height: int, *, log: bool, least_step: float) -> Axis:
    known = [value for curve in curves for value in curve.values if value is not None]
    top, bottom = TOP, height - BOTTOM
    largest = max(known, default=0.0) or 1.0
    positive = [value for value in known if value > 0]
    if log and positive and largest / min(positive) >= _LOG_FROM:
        return _log_axis(min(positive), largest, top, bottom)
    ticks = nice_ticks(max(largest, least_step * 4))
    return Axis(ticks, lambda value: bottom - value / ticks[-1] * (bottom - top))


def _log_axis(smallest: float, largest: float, top: float, bottom: float) -> Axis:
    low, high = floor(log10(smallest)), ceil(log10(largest) + 1e-9)
    span = (high - low) or 1

    def place(value: float) -> float:
        return bottom - (log10(max(value, 10.0**low)) - low) / span * (bottom - top)

    return Axis(tuple(10.0**power for power in range(low, low + span + 1)), place)


def nice_ticks(largest: float) -> tuple[float, ...]:
    """From 0 in three to five even steps of 1, 2, 2.5 or 5 times a power of ten, to ``largest`` or just above."""
    rough = largest / 4
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    return tuple(step * i for i in range(ceil(largest / step - 1e-9) + 1))


def _marks(
    marks: Sequence[Mark], x: Callable[[float], float], start: float, end: float, height: int
) -> Iterator[Markup]:
    for mark in marks:
        left, right = x(max(mark.t0_s, start)), x(min(mark.t1_s, end))
        yield element(
            "rect",
            element("title", mark.label),
            x=round(left, 1),
            y=TOP,
            width=round(max(right - left, 2), 1),
            height=height - TOP - BOTTOM,
            class_=f"mark {mark.css}",
        )


def _grid(axis: Axis, label: Callable[[float], str]) -> Iterator[Markup]:
    for tick in axis.ticks:
        y = round(axis.place(tick), 1)
        yield element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid")
        yield element("text", label(tick), x=LEFT - 8, y=y + 4, class_="y")


def _times(start: float, end: float, x: Callable[[float], float], height: int) -> Iterator[Markup]:
    rough = (end - start) / 8
    step = next((step for step in _TIME_STEPS_S if step >= rough), _TIME_STEPS_S[-1])
    for tick in range(ceil(start / step) * step, floor(end) + 1, step):
        yield element("text", _clock(tick), x=round(x(tick), 1), y=height - 6, class_="x")


def _clock(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "m"), (rest, "s")]
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0"


def _shapes(
    curve: Curve, spans: Spans, x: Callable[[float], float], axis: Axis, bottom: float
) -> Iterator[Markup]:
    css = f"{curve.form} {curve.css}"
    for run in _runs(curve.values):
        upper = _trace(run, spans, curve.values, x, axis)
        if curve.form in ("line", "dashed"):
            yield element("path", d=f"M{_points(upper)}", class_=css)
            continue
        lower = [(upper[0][0], bottom), (upper[-1][0], bottom)]
        if curve.form == "band":
            lower = _trace(run, spans, curve.floor, x, axis)
        yield element("path", d=f"M{_points(upper)}L{_points(lower[::-1])}Z", class_=css)


def _runs(values: Values) -> Iterator[range]:
    """Stretches of indices without a hole."""
    first: int | None = None
    for i, value in enumerate((*values, None)):
        if value is not None and first is None:
            first = i
        elif value is None and first is not None:
            yield range(first, i)
            first = None


def _trace(
    run: range, spans: Spans, values: Values, x: Callable[[float], float], axis: Axis
) -> list[tuple[float, float]]:
    """The middles of the stretches, and the outer edges of the first and last: even one stretch is a line."""
    heights = [axis.place(value) for i in run if (value := values[i]) is not None]
    middles = [x((spans[i][0] + spans[i][1]) / 2) for i in run]
    edges = x(spans[run[0]][0]), x(spans[run[-1]][1])
    return [(edges[0], heights[0]), *zip(middles, heights, strict=True), (edges[1], heights[-1])]


def _points(points: Sequence[tuple[float, float]]) -> str:
    return "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _hovers(
    spans: Spans,
    curves: Sequence[Curve],
    label: Callable[[float], str],
    x: Callable[[float], float],
    height: int,
) -> Iterator[Markup]:
    """Invisible columns that tell their values when pointed at."""
    for i, (t0, t1) in enumerate(spans):
        lines = [f"{_clock(int(t0))} to {_clock(int(t1))}"]
        lines += [
            f"{curve.label}: {label(value)}"
            for curve in curves
            if curve.label and (value := curve.values[i]) is not None
        ]
        yield element(
            "rect",
            element("title", "\n".join(lines)),
            x=round(x(t0), 1),
            y=TOP,
            width=round(x(t1) - x(t0), 1),
            height=height - TOP - BOTTOM,
            class_="hover",
        )
