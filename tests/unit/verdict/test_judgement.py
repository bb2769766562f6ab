import pytest

from loadr.errors import ExitCode
from loadr.verdict.judgement import EXIT_CODES, headline, judge, judge_generator, limits_of_trust
from loadr.verdict.model import ErrorLine, ThresholdResult

HELD = ThresholdResult(metric="http_reqs", expression="count>1", passed=True, observed=2.0)
FAILED = ThresholdResult(metric="http_req_failed", expression="rate<0.1", passed=False, observed=0.5)
NO_DATA = ThresholdResult(metric="checks", expression="rate>0.9", passed=None, observed=None)


def record_of(new_run, **facts):
    record = new_run().record
    record.state, record.duration_s = "complete", 30.0
    for key, value in facts.items():
        setattr(record, key, value)
    return record


@pytest.mark.parametrize(
    ("facts", "thresholds", "verdict", "code"),
    [
        ({}, [], "passed", 0),
        ({}, [HELD], "passed", 0),
        ({}, [HELD, FAILED], "threshold failed", 99),
        ({}, [NO_DATA], "threshold failed", 99),
        ({"stopped_by": "threshold"}, [FAILED], "aborted by threshold", 99),
        ({"stopped_by": "operator"}, [FAILED], "interrupted", 105),
        ({"stopped_by": "operator", "state": "incomplete"}, [], "interrupted", 105),
        ({"stopped_by": "operator", "state": "failed", "started_unix_ms": 0}, [], "interrupted", 105),
        ({"stopped_by": "test"}, [], "aborted by test", 108),
        ({"stopped_by": "script"}, [], "script exception", 107),
        ({"stopped_by": "script", "state": "failed", "started_unix_ms": 0}, [], "script exception", 107),
        ({"stopped_by": "loss"}, [], "incomplete", 121),
        ({"state": "incomplete"}, [FAILED], "incomplete", 121),
        ({"state": "failed"}, [], "incomplete", 121),
        ({"state": "failed", "started_unix_ms": 0}, [NO_DATA], "failed", 122),
    ],
)
def test_a_run_has_one_verdict_and_its_exit_code(new_run, facts, thresholds, verdict: str, code: int) -> None:
    found = judge(record_of(new_run, **facts), thresholds)
    assert (found, EXIT_CODES[found]) == (verdict, code)


def test_every_exit_code_of_a_verdict_is_one_of_the_table() -> None:
    assert {int(code) for code in EXIT_CODES.values()} <= {int(code) for code in ExitCode}


def words(new_run, thresholds, requests=0, failed=0, errors=(), **facts) -> str:
    record = record_of(new_run, **facts)
    return headline(judge(record, thresholds), record, thresholds, requests, failed, errors)


def test_the_headline_of_a_passed_run_says_what_held_and_how_much_was_done(new_run) -> None:
    assert words(new_run, [HELD], 1234) == "the threshold held; 1,234 requests in 30.0s, none failed"
    assert words(new_run, [], 1, 0) == "no thresholds set; 1 request in 30.0s, none failed"


def test_the_headline_of_a_failed_threshold_names_it(new_run) -> None:
    assert words(new_run, [HELD, FAILED], 10, 5).startswith("http_req_failed: rate<0.1 did not hold; 10 requests")
    assert words(new_run, [FAILED, NO_DATA], 10).startswith("http_req_failed: rate<0.1 and 1 more did not hold")


def test_the_headline_of_an_aborted_run_names_the_threshold_that_ended_it(new_run) -> None:
    text = words(new_run, [FAILED], 10, stopped_by="threshold", aborting_threshold="checks: rate>0.9")
    assert text.startswith("checks: rate>0.9 did not hold")


def test_the_headline_of_an_interrupted_run_does_not_repeat_its_verdict(new_run) -> None:
    text = words(new_run, [], 10, stopped_by="operator", cause="interrupted")
    assert text == "10 requests in 30.0s, none failed"


def test_the_headline_of_an_incomplete_run_gives_the_cause_and_what_else_failed(new_run) -> None:
    text = words(new_run, [FAILED], 10, state="incomplete", cause="a2 was lost")
    assert text.startswith("a2 was lost; http_req_failed: rate<0.1 did not hold; 10 requests")


def test_when_everything_failed_the_headline_says_why(new_run) -> None:
    errors = [ErrorLine(kind="connect_refused", count=10, example="GET items (browse)")]
    assert words(new_run, [], 10, 10, errors).endswith("10 requests in 30.0s, every one failed (connect refused)")


def test_a_run_without_a_request_says_so(new_run) -> None:
    assert words(new_run, []).endswith("no request was made in 30.0s")


def test_a_run_that_could_not_start_tells_only_why(new_run) -> None:
    assert words(new_run, [], state="failed", started_unix_ms=0, cause="no agent joined") == "no agent joined"


# --- the generator


def generator(new_run, p99_ns=0, lag_ns=0, errors=(), **facts):
    run = new_run()
    run.agent("a1", **facts)
    return judge_generator(run.record, p99_ns, lag_ns, errors)


def test_a_generator_with_room_to_spare_is_innocent(new_run) -> None:
    validity = generator(new_run, lag_ns=900_000, cpu_max_percent=79.0, lag_p99_ns=99_000_000)
    assert not validity.generator_limited and validity.reasons == []


def test_a_busy_cpu_is_flagged_by_name(new_run) -> None:
    validity = generator(new_run, cpu_max_percent=93.0)
    assert validity.generator_limited
    assert "a1 used up to 93% of its CPU" in validity.reasons[0]


@pytest.mark.parametrize(
    ("lag_ns", "p99_ns", "late"),
    [(1_100_000, 0, True), (1_100_000, 100_000_000, False), (5_100_000, 100_000_000, True)],
)
def test_late_starts_are_held_against_a_twentieth_of_p99(new_run, lag_ns: int, p99_ns, late: bool) -> None:
    assert generator(new_run, p99_ns, lag_ns).generator_limited is late


def test_a_stall_of_one_agent_is_flagged_by_name(new_run) -> None:
    (reason,) = generator(new_run, lag_p99_ns=2_500_000_000).reasons
    assert reason == "a1 stalled: in its worst second iterations started 2.50s late"


def test_dropped_iterations_are_flagged_with_their_part(new_run) -> None:
    run = new_run()
    run.account(planned=200, started=150, finished=150, dropped=50)
    (reason,) = judge_generator(run.record, 0, 0, ()).reasons
    assert "browse dropped 50 of 200 iterations (25.0%)" in reason


def test_exhausted_ports_are_the_generators_own_fault(new_run) -> None:
    errors = [ErrorLine(kind="no_ports", count=7, example=""), ErrorLine(kind="timeout", count=9, example="")]
    (reason,) = generator(new_run, errors=errors).reasons
    assert reason.startswith("7 requests failed: an agent ran out of local ports")


# --- limits of trust


def test_an_exact_open_run_has_no_limits(new_run) -> None:
    run = new_run()
    run.account(planned=10, started=10, finished=10, expected=10)
    assert limits_of_trust(run.record, 10, 10) == []


@pytest.mark.parametrize(
    ("missing", "bound"),
    [(None, "an unknown number of requests are"), (0, "no requests are"), (1234, "at most 1,234 requests are")],
)
def test_a_loss_stands_first_and_is_bounded(new_run, missing, bound: str) -> None:
    run = new_run()
    run.record.notes = ["something else"]
    run.agent("a2", lost_at_s=12.0, last_acked_s=11, missing_at_most=missing)
    first, second = limits_of_trust(run.record, 10, None)
    assert first.startswith("a2 was lost at 12.0 s; its metrics are complete up to second 11; " + bound)
    assert second == "something else"


def test_ledgers_that_differ_from_the_metrics_are_told(new_run) -> None:
    (note,) = limits_of_trust(new_run().record, 99, 100)
    assert note == "the agents' ledgers count 100 requests, the merged metrics 99"


def test_books_that_do_not_balance_and_a_schedule_that_was_not_kept_are_told(new_run) -> None:
    run = new_run()
    run.account(planned=10, started=9, finished=9, expected=11)
    books, schedule = limits_of_trust(run.record, 9, 9)
    assert "books of browse" in books
    assert "the schedule has 11 iterations, the agents planned 10" in schedule


def test_a_closed_model_comes_with_its_warning(new_run) -> None:
    run = new_run(scenarios={"buy": {"executor": "constant-vus", "vus": 1, "duration": "1s"}})
    (note,) = limits_of_trust(run.record, 1, 1)
    assert note.startswith("buy: closed model")
