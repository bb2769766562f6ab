import pytest

from loadr.metrics.delta import CounterDelta
from loadr.verdict.target import Target

RAMP = {
    "executor": "ramping-arrival-rate",
    "start_rate": 0,
    "stages": [{"duration": "10s", "target": 100}, {"duration": "10s", "target": 100}],
    "max_vus": 10,
    "start_time": "5s",
}
STEADY = {"executor": "constant-arrival-rate", "rate": 7, "duration": "10s", "max_vus": 5}
CLOSED = {"executor": "constant-vus", "vus": 2, "duration": "10s"}


def target_of(new_run, **scenarios) -> Target:
    return Target(new_run(scenarios=scenarios).record.plan)


def test_a_plan_of_closed_scenarios_has_no_target(new_run) -> None:
    target = target_of(new_run, buy=CLOSED)
    assert not target.exists
    assert target.mean_per_s(0, 1) is None


@pytest.mark.parametrize(
    ("t0_s", "t1_s", "per_s"),
    [(0, 5, 0.0), (5, 6, 5.0), (10, 15, 75.0), (15, 25, 100.0), (25, 30, 0.0), (14, 16, 97.5)],
)
def test_the_mean_of_a_stretch_is_the_integral_of_the_rate(new_run, t0_s: int, t1_s: int, per_s: float) -> None:
    assert target_of(new_run, browse=RAMP).mean_per_s(t0_s, t1_s) == per_s


def test_open_scenarios_add_up_and_closed_ones_count_for_nothing(new_run) -> None:
    target = target_of(new_run, browse=RAMP, search=STEADY, buy=CLOSED)
    assert target.mean_per_s(5, 6) == 12.0


def test_no_stretch_has_no_mean(new_run) -> None:
    assert target_of(new_run, browse=STEADY).mean_per_s(3, 3) is None


def test_finished_counts_iterations_of_open_scenarios_only(new_run) -> None:
    done = {"browse": 3, "search": 4, "buy": 50}
    target = target_of(new_run, browse=RAMP, search=STEADY, buy=CLOSED)
    assert target.finished(lambda metric, tags: CounterDelta(done[dict(tags)["scenario"]])) == 7
    assert target.finished(lambda metric, tags: None) == 0
