import re
import xml.etree.ElementTree as ET

import pytest

from loadr.report.chart import Curve, draw_chart, nice_ticks

SPANS = [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 4.0)]


def shapes(markup: str, css: str) -> list[str]:
    """The ``d`` of each path with a class, from a chart that must be well-formed."""
    root = ET.fromstring(f"<div>{markup}</div>")
    return [path.attrib["d"] for path in root.iter("path") if css in path.attrib["class"].split()]


def heights(d: str) -> list[float]:
    return [float(pair.split()[1]) for pair in re.split("[ML]", d.strip("MZ")) if pair]


@pytest.mark.parametrize(
    ("largest", "ticks"),
    [
        (1, (0, 0.25, 0.5, 0.75, 1.0)),
        (7, (0, 2, 4, 6, 8)),
        (10, (0, 2.5, 5, 7.5, 10)),
        (0.003, (0, 0.001, 0.002, 0.003)),
        (411, (0, 200, 400, 600)),
    ],
)
def test_ticks_are_round_and_reach_the_largest_value(largest: float, ticks) -> None:
    assert nice_ticks(largest) == pytest.approx(ticks)


@pytest.mark.parametrize("exponent", range(-6, 9))
@pytest.mark.parametrize("digit", [1, 1.01, 2.49, 3.7, 9.99])
def test_ticks_are_few_for_any_value(digit: float, exponent: int) -> None:
    largest = digit * 10.0**exponent
    ticks = nice_ticks(largest)
    assert 3 <= len(ticks) <= 6
    assert ticks[-1] >= largest * 0.999


def test_a_line_goes_through_the_middle_of_each_stretch_and_to_the_outer_edges() -> None:
    (d,) = shapes(draw_chart(SPANS, [Curve("a", "c-a", [1.0, 2.0, 3.0, 4.0])], str), "line")
    found = heights(d)
    assert len(found) == 6
    assert found[0] == found[1] > found[2] > found[3] > found[4] == found[5]


def test_a_hole_breaks_a_line() -> None:
    found = shapes(draw_chart(SPANS, [Curve("a", "c-a", [1.0, None, 3.0, 4.0])], str), "line")
    assert [len(heights(d)) for d in found] == [3, 4]


def test_an_area_goes_down_to_the_axis_and_a_band_to_its_floor() -> None:
    curves = [
        Curve("a", "c-a", [4.0] * 4, "area"),
        Curve("b", "c-b", [4.0] * 4, "band", [2.0] * 4),
    ]
    chart = draw_chart(SPANS, curves, str, height=100)
    (area,), (band,) = shapes(chart, "area"), shapes(chart, "band")
    assert max(heights(area)) == 76  # the axis: 24 pixels above the lower edge
    assert min(heights(band)) < max(heights(band)) < 76


def test_one_stretch_alone_is_drawn() -> None:
    (d,) = shapes(draw_chart([(0.0, 1.0)], [Curve("a", "c-a", [5.0])], str), "line")
    assert len(heights(d)) == 3


def test_a_wide_range_gets_a_logarithmic_axis_only_if_it_may() -> None:
    curve = Curve("a", "c-a", [1.0, 10.0, 100.0, 1000.0])
    (log,) = shapes(draw_chart(SPANS, [curve], str, log=True), "line")
    (linear,) = shapes(draw_chart(SPANS, [curve], str), "line")
    steps = [a - b for a, b in zip(heights(log)[1:4], heights(log)[2:5], strict=True)]
    assert steps == pytest.approx([steps[0]] * 3, abs=0.2)
    assert heights(linear)[1] - heights(linear)[2] < 5


def test_zeros_and_no_values_at_all_can_be_drawn() -> None:
    for values in ([0.0] * 4, [None] * 4):
        for log in (False, True):
            ET.fromstring(f"<div>{draw_chart(SPANS, [Curve('a', 'c-a', values)], str, log=log)}</div>")
    assert "No data" in draw_chart([], [], str)


def test_pointing_at_a_stretch_tells_its_values() -> None:
    chart = draw_chart(SPANS, [Curve("p50", "c-a", [1.0, None, 3.0, 4.0])], lambda value: f"{value:.0f}ms")
    titles = [title.text for title in ET.fromstring(f"<div>{chart}</div>").iter("title")]
    assert titles[:2] == ["0 to 1s\np50: 1ms", "1s to 2s"]


def test_names_are_escaped() -> None:
    assert "<b>" not in draw_chart(SPANS, [Curve("<b>", "c-a", [1.0] * 4)], str)
