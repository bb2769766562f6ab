import pytest

from loadr.verdict.summary import summarise

CLOSED = {"executor": "constant-vus", "vus": 2, "duration": "30s"}


def test_a_summary_tells_what_the_run_was(eventful_run) -> None:
    summary = eventful_run.summary()
    assert (summary.name, summary.seed, summary.run_id) == ("checkout", 7, "r-1")
    assert summary.plan_digest == eventful_run.record.plan.digest
    assert summary.started_at == "2023-11-14T22:13:20.000Z"
    assert (summary.duration_s, summary.planned_s) == (30.0, 30.0)
    assert summary.series == len(eventful_run.record.metrics.totals)


def test_the_verdict_its_code_and_its_thresholds_agree(eventful_run) -> None:
    summary = eventful_run.summary()
    assert (summary.verdict, summary.exit_code) == ("threshold failed", 99)
    assert [result.passed for result in summary.thresholds] == [True, False, True]


def test_the_books_stand_beside_the_merged_metrics(eventful_run) -> None:
    accounting = eventful_run.summary().accounting
    assert accounting.balanced
    assert accounting.requests_merged == accounting.requests_ledger == 240
    (line,) = accounting.scenarios
    assert (line.scenario, line.model, line.planned, line.dropped, line.expected) == (
        "browse",
        "open",
        241,
        1,
        241,
    )


def test_without_one_ledger_the_sum_of_ledgers_is_unknown(eventful_run) -> None:
    eventful_run.agent("a2", ledger_requests=None)
    assert eventful_run.summary().accounting.requests_ledger is None


def test_agents_are_told_in_milliseconds(eventful_run) -> None:
    one, two = eventful_run.summary().agents
    assert (one.start_skew_ms, one.clock_bound_ms, two.start_skew_ms) == (0.12, 0.4, None)
    assert (two.cpu, two.lag_p99_ms, two.requests) == (55.0, 0.3, 120)


def test_each_point_of_the_timeline_is_merged_over_agents(eventful_run) -> None:
    timeline = eventful_run.summary().timeline
    assert [(point.t0_s, point.t1_s) for point in timeline] == [(s, s + 1) for s in range(30)]
    point = timeline[5]
    assert (point.rate_per_s, point.open_iterations_per_s, point.target_per_s) == (8.0, 8.0, 10.0)
    assert (point.failed_per_s, point.vus, point.max_ms) == (1.0, 4, 40.0)
    assert point.p50_ms == pytest.approx(20.0, rel=1 / 1000)
    assert timeline[20].dropped == 1


def test_a_stretch_without_deltas_is_a_point_of_zeros(new_run) -> None:
    run = new_run()
    run.second(2, [5.0])
    run.second(6, [5.0])
    timeline = run.summary(10.0).timeline
    assert [(point.t0_s, point.t1_s, point.rate_per_s) for point in timeline] == [
        (0, 2, 0.0),
        (2, 3, 1.0),
        (3, 6, 0.0),
        (6, 7, 1.0),
        (7, 10, 0.0),
    ]
    assert timeline[0].p50_ms is None and timeline[0].target_per_s == 10.0


def test_a_closed_plan_has_no_target_on_its_timeline(new_run) -> None:
    run = new_run(scenarios={"buy": CLOSED})
    run.second(0, [5.0], scenario="buy")
    (point, _) = run.summary(2.0).timeline
    assert point.target_per_s is None and point.open_iterations_per_s is None


def test_lost_iterations_come_from_the_books(new_run) -> None:
    run = new_run()
    run.account(planned=10, started=10, finished=8, lost=2)
    line = run.summary(10.0).metric("lost_iterations")
    assert line is not None and line.values == {"count": 2.0, "rate": 0.2}


def test_what_limits_the_metrics_is_among_the_notes(new_run) -> None:
    run = new_run()
    run.second(0, [25 * 3600 * 1000.0])
    assert any("outside of 0 to 24 h" in note for note in run.summary().notes)


def test_a_run_that_never_started_has_a_summary(new_run) -> None:
    run = new_run(thresholds={"http_req_duration": ["p(95)<1"]})
    run.record.started_unix_ms, run.record.cause = 0, "no agent joined"
    summary = run.summary(0.0, "failed")
    assert (summary.verdict, summary.exit_code, summary.headline) == ("failed", 122, "no agent joined")
    assert (summary.started_at, summary.timeline, summary.requests) == ("", [], [])


def test_a_run_without_a_single_request_has_a_summary(new_run) -> None:
    run = new_run()
    run.account(planned=0)
    summary = run.summary(3.0)
    assert summary.exit_code == 0
    assert "no request was made" in summary.headline
    assert [(point.t0_s, point.t1_s) for point in summary.timeline] == [(0, 3)]


def test_a_summary_does_not_change_with_the_record(eventful_run) -> None:
    summary = eventful_run.summary()
    eventful_run.second(31, [5.0])
    eventful_run.record.notes.append("later")
    assert summary.notes == [] and summary.accounting.requests_merged == 240
    assert summarise(eventful_run.record, []).accounting.requests_merged == 241
