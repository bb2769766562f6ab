"""What a worker has reported upward, and what of its ledgers is still open after its death.

Takes the intervals of a worker as they are handed on, and its ledgers; gives the difference. Reported is what the
counters say that the audit of a run compares with ledgers (`loadr.coordination.audit`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from loadr.engine.channel import ScenarioLedger
from loadr.metrics.delta import CounterDelta, IntervalDelta

_FIELDS = {
    "http_reqs": "requests",
    "iterations": "finished",
    "dropped_iterations": "dropped",
    "missed_iterations": "missed",
    "interrupted_iterations": "interrupted",
}
"""Metric → field of the ledger."""


class Reported:
    """Totals of one worker, by scenario; of "" are those of series without a scenario."""

    __slots__ = ("_totals",)

    def __init__(self) -> None:
        self._totals: dict[str, Counter[str]] = {}

    def add(self, interval: IntervalDelta) -> None:
        """Count what is handed on."""
        for key, delta in interval.values.items():
            name = _FIELDS.get(key.metric)
            if name is not None and isinstance(delta, CounterDelta):
                scenario = dict(key.tags).get("scenario", "")
                self._totals.setdefault(scenario, Counter())[name] += delta.total

    def missing_from(self, ledgers: Iterable[ScenarioLedger]) -> tuple[ScenarioLedger, ...]:
        """The ledgers less what was reported, each balanced as a ledger is. A scenario that was reported and
        has no ledger, "" too, has a negative one, so that sums hold."""
        books = {ledger.scenario: ledger for ledger in ledgers}
        for scenario in self._totals.keys() - books.keys():
            books[scenario] = ScenarioLedger(scenario, 0, 0, 0, 0, 0, 0, 0)
        return tuple(self._missing_from(ledger) for ledger in books.values())

    def _missing_from(self, ledger: ScenarioLedger) -> ScenarioLedger:
        told = self._totals.get(ledger.scenario, Counter())
        ended = told["finished"] + told["interrupted"]
        return ScenarioLedger(
            scenario=ledger.scenario,
            planned=ledger.planned - ended - told["dropped"] - told["missed"],
            started=ledger.started - ended,
            finished=ledger.finished - told["finished"],
            interrupted=ledger.interrupted - told["interrupted"],
            dropped=ledger.dropped - told["dropped"],
            missed=ledger.missed - told["missed"],
            requests=ledger.requests - told["requests"],
            lost=ledger.lost,
        )


def sum_ledgers(books: Iterable[Iterable[ScenarioLedger]]) -> tuple[ScenarioLedger, ...]:
    """One ledger per scenario, in the order in which they come."""
    sums: dict[str, list[int]] = {}
    for ledgers in books:
        for ledger in ledgers:
            name, *figures = msgspec.structs.astuple(ledger)
            before = sums.get(name, [0] * len(figures))
            sums[name] = [one + other for one, other in zip(before, figures, strict=True)]
    return tuple(ScenarioLedger(name, *figures) for name, figures in sums.items())


def ledger_of(scenario: str, block: memoryview[int]) -> ScenarioLedger:
    """What a block says. Of a worker that died in the middle of counting, the arrival of which nothing more is
    known than that it was planned is missed: nobody starts it."""
    planned, started, finished, interrupted, dropped, _, requests, _ = block
    return ScenarioLedger(
        scenario=scenario,
        planned=planned,
        started=started,
        finished=finished,
        interrupted=interrupted,
        dropped=dropped,
        missed=planned - started - dropped,
        requests=requests,
        lost=started - finished - interrupted,
    )
