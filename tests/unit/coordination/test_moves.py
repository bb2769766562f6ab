"""Moves: one at a time, givers first, never before what was said earlier."""

from __future__ import annotations

from typing import Any

from loadr.coordination.dealer import holes
from loadr.coordination.moves import Moves
from loadr.schedule.ownership import from_bitmap
from support.conversation import MS, S, plan

DELAY = 500 * MS


class Bench:
    """Two parts, and whoever is added to ``weights``."""

    def __init__(self) -> None:
        self.weights = {"a": 1.0, "b": 1.0}
        self.said: list[tuple[str, int, int]] = []  # key, from, slots
        self.settled: list[int] = []
        self.moves = Moves(
            plan(), 2, weights=lambda: self.weights, publish=self._publish, on_settled=self.settled.append
        )
        self.moves.dealer.first(self.weights)

    def _publish(self, key: str, shares: Any) -> int:
        self.said.append((key, shares[0].from_run_ns, len(from_bitmap(shares[0].slots))))
        return len(self.said)

    def add(self, key: str) -> None:
        self.weights[key] = 1.0
        self.moves.dealer.join(key)

    @property
    def holes(self) -> int:
        return holes(self.moves.dealer.held.values())


def test_takers_are_told_when_the_last_giver_has_applied_its_revision() -> None:
    bench = Bench()
    bench.add("c")
    bench.moves.rebalance(10 * S, DELAY)
    assert [key for key, _, _ in bench.said] == ["a", "b"]
    bench.moves.applied("a", 1, 10 * S + 10 * MS, DELAY)
    bench.moves.applied("b", 1, 10 * S + 10 * MS, DELAY)
    assert bench.settled == [], "b has only applied what it was told before"
    bench.moves.applied("b", 2, 10 * S + 20 * MS, DELAY)
    assert bench.said[2:] == [("c", 10 * S + DELAY, 342)] or bench.said[2:] == [("c", 10 * S + DELAY, 341)]
    assert bench.settled == [10 * S + DELAY] and bench.holes == 0


def test_when_givers_were_slow_takers_own_from_later_on() -> None:
    bench = Bench()
    bench.add("c")
    bench.moves.rebalance(10 * S, DELAY)
    for key in ("a", "b"):
        bench.moves.applied(key, 9, 13 * S, DELAY)
    assert bench.said[2][:2] == ("c", 13 * S + DELAY)


def test_who_is_gone_has_given() -> None:
    bench = Bench()
    bench.add("c")
    bench.moves.rebalance(10 * S, DELAY)
    bench.moves.applied("a", 1, 11 * S, DELAY)
    del bench.weights["b"]
    bench.moves.gone("b", 20 * S, DELAY)
    assert bench.settled == [20 * S + DELAY]
    bench.moves.rebalance(20 * S, DELAY)
    assert bench.holes == 0


def test_without_givers_takers_are_told_at_once() -> None:
    bench = Bench()
    del bench.weights["b"]
    bench.moves.gone("b", 10 * S, DELAY)
    bench.moves.rebalance(10 * S, DELAY)
    assert bench.said == [("a", 10 * S + DELAY, 1024)] and bench.holes == 0


def test_what_is_wished_for_in_the_middle_of_a_move_follows_it() -> None:
    bench = Bench()
    bench.add("c")
    bench.moves.rebalance(10 * S, DELAY)
    bench.add("d")
    bench.moves.rebalance(10 * S, DELAY)
    assert len(bench.said) == 2
    for _ in range(2):
        for key in ("a", "b", "c"):
            bench.moves.applied(key, 99, 11 * S, DELAY)
    assert bench.holes == 0 and len(bench.settled) == 2
    assert {key for key, _, _ in bench.said} == {"a", "b", "c", "d"}


def test_a_later_move_never_takes_effect_before_an_earlier_one() -> None:
    bench = Bench()
    bench.add("c")
    bench.moves.rebalance(10 * S, 8 * S)
    for key in ("a", "b"):
        bench.moves.applied(key, 99, 11 * S, 8 * S)
    assert bench.moves.from_run_ns == 18 * S
    del bench.weights["a"]
    bench.moves.gone("a", 12 * S, DELAY)
    bench.moves.rebalance(12 * S, DELAY)
    assert bench.moves.from_run_ns == 18 * S
    assert {at for _, at, _ in bench.said} == {18 * S}


def test_with_nobody_to_own_anything_nothing_moves() -> None:
    bench = Bench()
    bench.weights.clear()
    bench.moves.rebalance(10 * S, DELAY)
    assert bench.said == [] and not bench.moves.dealer.is_moving


def test_what_moves_nothing_settles_and_says_nothing() -> None:
    bench = Bench()
    bench.moves.rebalance(10 * S, DELAY)
    assert bench.said == [] and bench.settled == [10 * S + DELAY]


def test_after_the_end_nothing_is_said() -> None:
    bench = Bench()
    bench.add("c")
    bench.moves.rebalance(10 * S, DELAY)
    before = list(bench.said)
    assert before and bench.moves.dealer.is_moving
    bench.moves.end()
    for key in ("a", "b"):
        bench.moves.applied(key, 99, 10 * S, DELAY)
    assert bench.said == before and bench.settled == []
