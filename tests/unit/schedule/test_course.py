"""What changes of a live run make of a scenario: totals are conserved, and the past stays as it was."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loadr.plan.model import ConstantArrivalRate, ConstantVus, OpenScenario, RampingArrivalRate
from loadr.schedule.arrivals import Arrivals
from loadr.schedule.change import NEVER_RUN_NS, Change, ChangeKind, Pause
from loadr.schedule.course import course_of
from loadr.units import NS_PER_S

S = NS_PER_S
PAUSE, RESUME, RATE, FACTOR, SCALE = ChangeKind


def ramp(arrivals: str = "uniform", start_time: str = "2s") -> OpenScenario:
    return RampingArrivalRate.model_validate(
        {
            "executor": "ramping-arrival-rate",
            "start_rate": 10,
            "stages": [{"duration": "4s", "target": 90}, {"duration": "4s", "target": 90}],
            "max_vus": 100,
            "arrivals": arrivals,
            "start_time": start_time,
        }
    )


def constant(rate: float = 100) -> OpenScenario:
    return ConstantArrivalRate.model_validate(
        {"executor": "constant-arrival-rate", "rate": rate, "duration": "10s", "max_vus": 50}
    )


VUS = ConstantVus.model_validate({"executor": "constant-vus", "vus": 8, "duration": "10s", "start_time": "1s"})


def instants(model: OpenScenario, changes: list[Change]) -> list[int]:
    arrivals = Arrivals("s", model, 7, None, changes)
    return [int(ns) for index in range(arrivals.count() // 4096 + 1) for ns in arrivals.chunk(index)[1]]


changes_of_pauses = st.lists(
    st.integers(0, 14_000).map(lambda ms: ms * 1_000_000), min_size=2, max_size=6, unique=True
).map(
    lambda at: [
        Change(ns, PAUSE if place % 2 == 0 else RESUME) for place, ns in enumerate(sorted(at)[: len(at) // 2 * 2])
    ]
)


@given(changes=changes_of_pauses, arrivals=st.sampled_from(["uniform", "poisson"]))
def test_a_paused_run_makes_every_iteration_once_and_none_while_paused(
    changes: list[Change], arrivals: str
) -> None:
    model = ramp(arrivals)
    plain, held = instants(model, []), instants(model, changes)
    assert len(plain) == len(held)
    course = course_of("s", model, changes)
    for at in held:
        assert not any(pause.from_run_ns + 2 < at < pause.to_run_ns - 2 for pause in course.pauses)
    lengths = [(pause.from_run_ns, pause.to_run_ns - pause.from_run_ns) for pause in course.pauses]
    shifted = np.array(plain)
    for from_ns, length in lengths:
        shifted = np.where(shifted > from_ns, shifted + length, shifted)
    assert np.abs(shifted - np.array(held)).max(initial=0) <= 2  # each cut rounds once
    assert course.end_run_ns == 10 * S + sum(length for _, length in lengths)


def test_what_lies_before_a_change_does_not_move() -> None:
    change = [Change(5 * S, RATE, "", "300")]
    before = [at for at in instants(constant(), []) if at < 5 * S]
    assert instants(constant(), change)[: len(before)] == before


def test_a_rate_holds_from_its_instant_to_the_end() -> None:
    course = course_of("s", ramp(), [Change(4 * S, RATE, "", "25.5")])
    assert course.shape.rate_at(4 * S) == course.shape.rate_at(10 * S) == 25.5
    assert course.shape.rate_at(3 * S) == 30.0
    assert course.end_run_ns == 10 * S


def test_a_factor_multiplies_what_is_left() -> None:
    course = course_of("s", ramp(), [Change(6 * S, FACTOR, "", "0.5")])
    assert course.shape.rate_at(7 * S) == 45.0
    assert course.shape.exact_integral(6 * S) == Fraction(200)
    assert course.shape.total() == 200 + 180


def test_a_rate_while_paused_is_that_of_what_comes_after_the_pause() -> None:
    changes = [Change(4 * S, PAUSE), Change(5 * S, RATE, "", "10"), Change(8 * S, RESUME)]
    course = course_of("s", constant(), changes)
    assert course.shape.rate_at(6 * S) == 0.0
    assert course.shape.rate_at(9 * S) == 10.0
    assert course.shape.total() == 400 + 60
    assert course.end_run_ns == 14 * S


def test_a_pause_without_an_end_stops_the_schedule_there() -> None:
    course = course_of("s", constant(), [Change(4 * S, PAUSE)])
    assert course.shape.total() == 400
    assert course.end_run_ns == NEVER_RUN_NS
    assert course.pauses == (Pause(4 * S, NEVER_RUN_NS),)
    assert course.is_paused(5 * S)
    assert not course.is_paused(4 * S - 1)


def test_a_change_of_another_scenario_changes_nothing() -> None:
    other = [Change(4 * S, RATE, "other", "1"), Change(5 * S, PAUSE, "other")]
    assert course_of("s", constant(), other).shape.segments == course_of("s", constant()).shape.segments


def test_scale_sets_the_crew_from_its_instant_on() -> None:
    course = course_of("s", VUS, [Change(3 * S, SCALE, "", "20"), Change(5 * S, SCALE, "s", "2")])
    assert [course.vus_at(at * S) for at in (0, 2, 3, 4, 5, 9)] == [8, 8, 20, 20, 2, 2]
    assert course.most_vus == 20
    assert [course.next_edge(0), course.next_edge(3 * S), course.next_edge(5 * S)] == [3 * S, 5 * S, NEVER_RUN_NS]


def test_a_closed_scenario_has_no_rate_and_its_end_moves_with_a_pause() -> None:
    changes = [Change(4 * S, RATE, "", "5"), Change(4 * S, PAUSE), Change(6 * S, RESUME)]
    course = course_of("s", VUS, changes)
    assert course.shape.total() == 0
    assert (course.begin_run_ns, course.end_run_ns) == (1 * S, 13 * S)


def test_a_pause_before_the_scenario_begins_puts_off_its_beginning() -> None:
    course = course_of("s", VUS, [Change(0, PAUSE), Change(3 * S, RESUME)])
    assert (course.begin_run_ns, course.end_run_ns) == (4 * S, 14 * S)


def test_a_change_after_the_end_changes_nothing() -> None:
    plain = course_of("s", constant())
    late = course_of(
        "s", constant(), [Change(11 * S, PAUSE), Change(12 * S, RESUME), Change(13 * S, RATE, "", "9")]
    )
    assert (late.end_run_ns, late.shape.total()) == (plain.end_run_ns, plain.shape.total())
