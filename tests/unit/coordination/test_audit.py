"""Sums of what was merged against books that were kept apart."""

from __future__ import annotations

from loadr.coordination.audit import AUDITED, Sums
from loadr.coordination.messages import Ledger
from loadr.metrics.delta import CounterDelta, IntervalDelta
from loadr.metrics.series import Kind, SeriesKey, series

LEDGER = Ledger("s", planned=12, started=9, finished=7, interrupted=2, dropped=2, missed=1, requests=20)
COUNTS = {
    "http_reqs": 20,
    "iterations": 7,
    "dropped_iterations": 2,
    "missed_iterations": 1,
    "interrupted_iterations": 2,
}


def sums(counts: dict[str, int], **tags: str) -> Sums:
    out = Sums()
    values = {series(metric, Kind.COUNTER, **tags): CounterDelta(total) for metric, total in counts.items()}
    out.add(IntervalDelta(0, 1, dict(values)))
    return out


def test_equal_sums_have_no_differences() -> None:
    assert sums(COUNTS, scenario="s").differences([LEDGER]) == []


def test_each_audited_counter_is_compared() -> None:
    for metric, name in AUDITED.items():
        (line,) = sums(COUNTS | {metric: 99}, scenario="s").differences([LEDGER])
        assert line == f"{metric} of s: 99 merged, but its ledger says {getattr(LEDGER, name)}"


def test_a_scenario_that_no_ledger_names_is_a_difference_and_so_is_one_without_deltas() -> None:
    assert "http_reqs of ghost: 5 merged, but its ledger says 0" in sums(
        {"http_reqs": 5}, scenario="ghost"
    ).differences([])
    assert "http_reqs of s: 0 merged, but its ledger says 20" in Sums().differences([LEDGER])


def test_series_that_were_folded_are_compared_in_total() -> None:
    out = sums(COUNTS, scenario="s")
    other = SeriesKey("http_reqs", Kind.COUNTER, (("other", "true"),))
    out.add(IntervalDelta(0, 1, {other: CounterDelta(5)}))
    assert out.differences([LEDGER]) == ["http_reqs: 25 merged, but its ledger says 20"]


def test_endings_are_counted_by_scenario() -> None:
    assert sums(COUNTS, scenario="s").accounted() == {"s": 12}
