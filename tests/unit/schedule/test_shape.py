"""Shapes against exact rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadr.plan.model import ConstantArrivalRate, RampingArrivalRate
from loadr.schedule.shape import RateShape, shape_of
from loadr.units import NS_PER_S

Stages = list[tuple[int, float]]


def constant(rate: float, duration: str, time_unit: str = "1s") -> RateShape:
    return shape_of(
        ConstantArrivalRate(
            executor="constant-arrival-rate", rate=rate, duration=duration, time_unit=time_unit, max_vus=1
        )
    )


def ramping(start_rate: float, stages: Stages, time_unit: str = "1s") -> RateShape:
    return shape_of(
        RampingArrivalRate(
            executor="ramping-arrival-rate",
            start_rate=start_rate,
            stages=[{"duration": f"{length_ns}ns", "target": target} for length_ns, target in stages],
            time_unit=time_unit,
            max_vus=1,
        )
    )


rates = st.one_of(st.just(0.0), st.integers(1, 50_000_000).map(lambda n: n / 1000))
lengths_ns = st.one_of(st.just(0), st.integers(1, 1000), st.integers(1, 36_000 * NS_PER_S))
shapes = st.builds(
    ramping,
    rates,
    st.lists(st.tuples(lengths_ns, rates), min_size=1, max_size=6),
    st.sampled_from(["1s", "1m", "100ms"]),
)


def holds_exactly(shape: RateShape, mark: float, ns: int) -> bool:
    """Whether ``ns`` is at most a nanosecond from the first instant at which Λ is ``mark``."""
    before = shape.exact_integral(ns - 1)
    return (before < mark or ns == 0) and mark <= shape.exact_integral(ns + 1)


@given(shapes, st.data())
def test_the_inverse_is_within_a_nanosecond_of_the_exact_instant(shape: RateShape, data: st.DataObject) -> None:
    planned = math.floor(shape.total())
    if planned == 0:
        assert shape.inverse(np.array([1.0])).tolist() == [shape.duration_ns]
        return
    whole = st.integers(1, planned).map(float)
    between = st.floats(0, float(shape.total()), exclude_min=True).filter(lambda m: 1e-3 < m <= shape.total())
    knots = [float(math.floor(shape.exact_integral(s.end_ns))) for s in shape.segments]
    marks = sorted([*data.draw(st.lists(st.one_of(whole, between), max_size=20)), *(k for k in knots if k > 0)])
    instants = shape.inverse(np.array(marks, dtype=np.float64)).tolist()
    for mark, ns in zip(marks, instants, strict=True):
        assert holds_exactly(shape, mark, ns), (mark, ns)
    assert instants == sorted(instants)


@pytest.mark.parametrize(
    ("start_rate", "stages"),
    [
        (50_000, [(36_000 * NS_PER_S, 50_000.0)]),
        (0, [(36_000 * NS_PER_S, 50_000.0)]),
        (50_000, [(36_000 * NS_PER_S, 0.0)]),
        (0, [(18_000 * NS_PER_S, 50_000.0), (18_000 * NS_PER_S, 0.0)]),
        (50_000, [(36_000 * NS_PER_S, 49_999.999)]),
    ],
)
def test_ten_hours_at_50_000_a_second_stay_exact_to_the_nanosecond(start_rate: float, stages: Stages) -> None:
    shape = ramping(start_rate, stages)
    planned = math.floor(shape.total())
    marks = sorted({*range(1, 200), *range(planned // 2, planned // 2 + 200), *range(planned - 200, planned + 1)})
    for mark, ns in zip(marks, shape.inverse(np.array(marks, dtype=np.float64)).tolist(), strict=True):
        assert holds_exactly(shape, float(mark), ns), (mark, ns)


def test_the_last_tick_is_not_lost() -> None:
    shape = constant(200, "60s")
    assert shape.total() == 12_000
    instants = shape.inverse(np.arange(1, 12_001, dtype=np.float64))
    assert instants.tolist() == list(range(5_000_000, 60 * NS_PER_S + 1, 5_000_000))


def test_rates_are_the_decimals_that_were_written() -> None:
    assert constant(0.1, "10s").total() == 1
    assert constant(0.7, "30s").total() == 21
    assert constant(1e-05, "100000s").total() == 1
    assert constant(100, "90s", "1m").total() == 150


def test_a_mark_on_a_plateau_happens_at_its_beginning() -> None:
    shape = ramping(10, [(NS_PER_S, 10.0), (0, 0.0), (5 * NS_PER_S, 0.0), (0, 10.0), (NS_PER_S, 10.0)])
    assert shape.inverse(np.array([10.0, 10.5, 11.0])).tolist() == [NS_PER_S, 6_050_000_000, 6_100_000_000]


def test_a_shape_that_begins_with_nothing_starts_where_the_rate_does() -> None:
    shape = ramping(0, [(2 * NS_PER_S, 0.0), (0, 4.0), (NS_PER_S, 4.0)])
    assert shape.inverse(np.array([0.0, 1.0, 4.0])).tolist() == [0, 2_250_000_000, 3 * NS_PER_S]


def test_marks_outside_are_clipped_to_the_shape() -> None:
    shape = constant(10, "2s")
    assert shape.inverse(np.array([-1.0, 0.0, 20.0, 21.0, 1e18])).tolist() == [0, 0, *[2 * NS_PER_S] * 3]


def test_no_marks_give_no_instants() -> None:
    assert shape_is_empty(constant(10, "2s").inverse(np.array([])))
    assert shape_is_empty(ramping(0, [(0, 0.0)]).inverse(np.array([])))


def shape_is_empty(instants: np.ndarray) -> bool:
    return instants.dtype == np.int64 and instants.shape == (0,)


def test_a_shape_without_length_or_rate_has_no_arrivals() -> None:
    for shape in (ramping(0, [(0, 100.0)]), ramping(0, [(NS_PER_S, 0.0)])):
        assert shape.total() == 0
        assert shape.inverse(np.array([1.0])).tolist() == [shape.duration_ns]
        assert shape.peak_rate() == 0.0


def test_the_rate_follows_the_stages_and_jumps_where_a_stage_lasts_no_time() -> None:
    shape = ramping(0, [(10 * NS_PER_S, 100.0), (0, 20.0), (NS_PER_S, 20.0)])
    at_s = {0: 0.0, 5: 50.0, 10: 20.0, 11: 20.0, 12: 0.0}
    assert {s: shape.rate_at(s * NS_PER_S) for s in at_s} == at_s
    assert shape.rate_at(-1) == 0.0
    assert shape.peak_rate() == 100.0


def test_rates_are_per_second_whatever_the_time_unit() -> None:
    assert constant(120, "10s", "1m").rate_at(0) == 2.0


@given(shapes, st.integers(0, 40_000 * NS_PER_S))
def test_the_integral_is_the_sum_of_trapezes(shape: RateShape, ns: int) -> None:
    expected = Fraction(0)
    for segment in shape.segments:
        if segment.start_ns < ns:
            stop = min(ns, segment.end_ns)
            expected += (
                (segment.rate_at(segment.start_ns) + segment.rate_at(stop)) / 2 * (stop - segment.start_ns)
            )
    assert shape.exact_integral(ns) == expected
    assert shape.integral(ns) == float(expected)
    assert shape.exact_integral(shape.duration_ns) == shape.total()
