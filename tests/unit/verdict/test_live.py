import pytest

from loadr.verdict.live import live_view

CLOSED = {"executor": "constant-vus", "vus": 2, "duration": "30s"}


def view_at(run, elapsed_s: float):
    return live_view(run.record, run.evaluate(elapsed_s))


def test_before_the_start_there_is_a_view_without_numbers(new_run) -> None:
    view = view_at(new_run(), 0.0)
    assert (view.requests, view.rate_per_s, view.left_s) == (0, 0.0, 30.0)
    assert view.target_per_s == 10.0
    assert view.percentiles.p50 is None and view.agents == []


def test_rates_cover_the_last_three_full_seconds(new_run) -> None:
    run = new_run()
    for second in range(10):
        run.second(second, [5.0] * second)
    view = view_at(run, 10.4)
    assert view.rate_per_s == (7 + 8 + 9) / 3
    assert view.iterations_per_s == view.open_iterations_per_s == (7 + 8 + 9) / 3
    assert view.target_per_s == 10.0


def test_in_the_first_seconds_rates_cover_what_there_is(new_run) -> None:
    run = new_run()
    run.second(0, [5.0] * 8)
    assert view_at(run, 1.5).rate_per_s == 8.0


def test_a_second_that_one_online_agent_has_not_delivered_is_not_yet_shown(new_run) -> None:
    run = new_run()
    for second in range(5):
        run.second(second, [5.0] * 10, agent="a1")
        if second < 4:
            run.second(second, [5.0] * 10, agent="a2")
    assert view_at(run, 5.3).rate_per_s == 20.0


def test_an_agent_that_is_far_behind_does_not_freeze_the_view(new_run) -> None:
    run = new_run()
    for second in range(10):
        run.second(second, [5.0] * 10, agent="a1")
    run.second(0, [5.0] * 10, agent="a2")
    assert view_at(run, 10.0).rate_per_s == 10.0


def test_at_the_end_the_last_seconds_are_shown(new_run) -> None:
    run = new_run()
    for second in range(3):
        run.second(second, [5.0] * 10)
    run.agent("a1", state="finished")
    assert view_at(run, 3.0).rate_per_s == 10.0


def test_when_every_agent_is_gone_the_view_goes_on(new_run) -> None:
    run = new_run()
    for second in range(3):
        run.second(second, [5.0] * 10)
    run.agent("a1", state="lost")
    assert view_at(run, 4.0).rate_per_s == 10.0


def test_a_lost_agent_does_not_hold_up_the_view(new_run) -> None:
    run = new_run()
    run.second(0, [5.0], agent="a2")
    run.agent("a2", state="lost")
    for second in range(5):
        run.second(second, [5.0] * 10, agent="a1")
    assert view_at(run, 5.3).rate_per_s == 10.0


def test_percentiles_cover_ten_seconds_of_merged_samples(new_run) -> None:
    run = new_run()
    run.second(0, [900.0] * 100)
    for second in range(5, 15):
        run.second(second, [10.0] * 90, agent="a1")
        run.second(second, [100.0] * 10, agent="a2")
    percentiles = view_at(run, 15.2).percentiles
    assert percentiles.p50 == pytest.approx(10.0, rel=1 / 1000)
    assert percentiles.p95 == percentiles.p99 == pytest.approx(100.0, rel=1 / 1000)


def test_counts_cover_the_whole_run(new_run) -> None:
    run = new_run()
    for second in range(20):
        run.second(second, [5.0] * 3, failed_ms=[1.0], dropped=2)
    view = view_at(run, 20.0)
    assert (view.requests, view.failed, view.failed_fraction) == (80, 20, 0.25)
    assert (view.iterations, view.dropped, view.missed) == (80, 40, 0)


def test_vus_are_the_sum_over_agents(new_run) -> None:
    run = new_run()
    run.second(0, [5.0], agent="a1", vus=3)
    run.second(0, [5.0], agent="a2", vus=4)
    assert view_at(run, 1.2).vus == 7


def test_a_closed_plan_has_no_target(new_run) -> None:
    run = new_run(scenarios={"buy": CLOSED})
    run.second(0, [5.0], scenario="buy")
    view = view_at(run, 1.2)
    assert view.target_per_s is None and view.open_iterations_per_s is None
    assert view.iterations_per_s == 1.0


def test_agents_are_shown_in_milliseconds_with_their_own_requests(new_run) -> None:
    run = new_run()
    run.second(0, [5.0] * 3, agent="a1")
    run.agent("a1", lag_p99_ns=1_500_000, clock_bound_ns=250_000, cpu_percent=12.5)
    (agent,) = view_at(run, 1.2).agents
    assert (agent.requests, agent.lag_p99_ms, agent.clock_bound_ms) == (3, 1.5, 0.25)
    assert agent.start_skew_ms is None


def test_agents_stand_in_the_order_of_their_names_as_people_count(new_run) -> None:
    run = new_run()
    for name in ("agent-10", "b", "agent-2", "7", "agent"):
        run.agent(name)
    assert [agent.name for agent in view_at(run, 0.0).agents] == ["7", "agent", "agent-2", "agent-10", "b"]


def test_time_left_ends_at_zero(new_run) -> None:
    assert view_at(new_run(), 42.0).left_s == 0.0
