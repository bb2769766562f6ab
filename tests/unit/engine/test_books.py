"""What of a dead worker's ledgers was never reported."""

from __future__ import annotations

from loadr.engine.books import Reported, ledger_of, sum_ledgers
from loadr.engine.channel import ScenarioLedger
from loadr.engine.page import (
    DROPPED,
    FINISHED,
    INTERRUPTED,
    MISSED,
    PLANNED,
    REQUESTS_FINISHED,
    REQUESTS_STARTED,
    STARTED,
    block_of,
    new_words,
)
from loadr.metrics.delta import CounterDelta, IntervalDelta
from loadr.metrics.series import Kind, SeriesKey


def interval(metric: str, total: int, **tags: str) -> IntervalDelta:
    key = SeriesKey(metric, Kind.COUNTER, tuple(sorted(tags.items())))
    return IntervalDelta(0, 1, {key: CounterDelta(total)})


def test_ledgers_are_summed_by_scenario() -> None:
    one = [ScenarioLedger("a", 1, 2, 3, 4, 5, 6, 7, 8), ScenarioLedger("b", 1, 1, 1, 1, 1, 1, 1)]
    other = [ScenarioLedger("a", 10, 20, 30, 40, 50, 60, 70, 80)]
    assert sum_ledgers([one, other]) == (
        ScenarioLedger("a", 11, 22, 33, 44, 55, 66, 77, 88),
        ScenarioLedger("b", 1, 1, 1, 1, 1, 1, 1),
    )
    assert sum_ledgers([]) == ()


def test_what_was_reported_is_taken_off_and_the_rest_balances() -> None:
    reported = Reported()
    for metric, total in (
        ("iterations", 4),
        ("interrupted_iterations", 1),
        ("dropped_iterations", 2),
        ("missed_iterations", 1),
        ("http_reqs", 9),
        ("checks", 100),
    ):
        reported.add(interval(metric, total, scenario="a"))
    reported.add(interval("http_reqs", 3, scenario="a", status="500"))
    truth = ScenarioLedger("a", 20, 12, 7, 2, 5, 3, 20, 3)
    (missing,) = reported.missing_from([truth])
    assert missing == ScenarioLedger("a", 12, 7, 3, 1, 3, 2, 8, 3)
    assert missing.planned == missing.started + missing.dropped + missing.missed
    assert missing.started == missing.finished + missing.interrupted + missing.lost


def test_a_scenario_that_nothing_was_reported_of_is_missing_whole() -> None:
    truth = ScenarioLedger("a", 2, 2, 1, 0, 0, 0, 2, 1)
    assert Reported().missing_from([truth]) == (truth,)


def test_what_was_reported_without_a_scenario_is_taken_off_the_sum() -> None:
    reported = Reported()
    reported.add(interval("http_reqs", 3))
    missing = reported.missing_from([ScenarioLedger("a", 5, 5, 5, 0, 0, 0, 5)])
    assert {ledger.scenario: ledger.requests for ledger in missing} == {"a": 5, "": -3}


def test_a_block_is_read_as_a_ledger() -> None:
    block = block_of(new_words(), 0)
    counts = {
        PLANNED: 20,
        STARTED: 12,
        FINISHED: 7,
        INTERRUPTED: 3,
        DROPPED: 5,
        MISSED: 3,
        REQUESTS_STARTED: 9,
        REQUESTS_FINISHED: 8,
    }
    for word, count in counts.items():
        block[word] = count
    assert ledger_of("a", block) == ScenarioLedger("a", 20, 12, 7, 3, 5, 3, 9, 2)


def test_an_arrival_that_a_worker_died_in_the_midst_of_is_missed() -> None:
    block = block_of(new_words(), 0)
    block[PLANNED], block[STARTED], block[FINISHED] = 4, 3, 3
    assert ledger_of("a", block) == ScenarioLedger("a", 4, 3, 3, 0, 0, 1, 0)
