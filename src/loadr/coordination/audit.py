"""The audit: what was merged from an agent against what the agent counted at dispatch.

Takes counter deltas as they are merged, and the ledgers of an agent's last message; gives the differences in
words. An agent's numbers are complete if and only if there are none.
"""

from __future__ import annotations

from collections.abc import Iterable

from loadr.coordination.messages import Ledger
from loadr.metrics.delta import CounterDelta, IntervalDelta

AUDITED = {
    "http_reqs": "requests",
    "iterations": "finished",
    "dropped_iterations": "dropped",
    "missed_iterations": "missed",
    "interrupted_iterations": "interrupted",
}
"""Metric → field of the ledger."""

ENDINGS = tuple(metric for metric in AUDITED if metric != "http_reqs")


class Sums:
    """Totals of the audited counters of one agent, by scenario."""

    __slots__ = ("_totals",)

    def __init__(self) -> None:
        self._totals: dict[str, dict[str, int]] = {metric: {} for metric in AUDITED}

    def add(self, interval: IntervalDelta) -> None:
        """Count what was merged."""
        for key, delta in interval.values.items():
            by_scenario = self._totals.get(key.metric)
            if by_scenario is not None and isinstance(delta, CounterDelta):
                scenario = dict(key.tags).get("scenario", "")
                by_scenario[scenario] = by_scenario.get(scenario, 0) + delta.total

    def total(self, metric: str) -> int:
        """Of all scenarios."""
        return sum(self._totals[metric].values())

    def accounted(self) -> dict[str, int]:
        """By scenario: iterations of which it is known how they ended."""
        out: dict[str, int] = {}
        for metric in ENDINGS:
            for scenario, total in self._totals[metric].items():
                out[scenario] = out.get(scenario, 0) + total
        return out

    def ledgers(self, scenarios: Iterable[str]) -> tuple[Ledger, ...]:
        """What was merged, as ledgers: of an agent whose own will not come."""
        out = []
        for scenario in scenarios:
            merged = {name: self._totals[metric].get(scenario, 0) for metric, name in AUDITED.items()}
            started = merged["finished"] + merged["interrupted"]
            planned = started + merged["dropped"] + merged["missed"]
            out.append(Ledger(scenario, planned=planned, started=started, **merged))
        return tuple(out)

    def differences(self, ledgers: Iterable[Ledger], unreported: Iterable[Ledger] = ()) -> list[str]:
        """What does not agree, one line each; empty if everything does.

        ``unreported`` is what workers that died had counted and could not report any more.

        Series that were folded into `other` have lost their scenario: such a metric is compared in total.
        """
        books = {ledger.scenario: ledger for ledger in ledgers}
        lacking: dict[str, list[Ledger]] = {}
        for ledger in unreported:
            lacking.setdefault(ledger.scenario, []).append(ledger)
        out = []
        for metric, name in AUDITED.items():
            merged = self._totals[metric]
            booked: dict[str, int] = {scenario: getattr(ledger, name) for scenario, ledger in books.items()}
            for scenario, lacks in lacking.items():
                booked[scenario] = booked.get(scenario, 0) - sum(getattr(ledger, name) for ledger in lacks)
            if merged.get("") or booked.get(""):
                merged, booked = {"": self.total(metric)}, {"": sum(booked.values())}
            for scenario in sorted(merged.keys() | booked.keys()):
                have, want = merged.get(scenario, 0), booked.get(scenario, 0)
                if have != want:
                    where = f" of {scenario}" if scenario else ""
                    out.append(f"{metric}{where}: {have} merged, but its ledger says {want}")
        return out
