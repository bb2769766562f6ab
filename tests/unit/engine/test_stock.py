"""Granted rows on one worker: each is given once, the next block is asked for in time, and the end is the end."""

from __future__ import annotations

from loadr.engine.channel import ValueOrder, WorkerClaim
from loadr.engine.fleet_values import REFUSED, VALUE_BLOCK, FleetValues
from loadr.engine.stock import LEAST_ROWS, MOST_ROWS, Shelf, Stock
from loadr.units import NS_PER_S


class Bench:
    """A stock, its claims, and a clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_ns = 1
        self.claims: list[WorkerClaim] = []
        self.values = FleetValues(self.claims.append)
        self.stock = Stock("users", self.values, lambda: self.now_ns)
        self.changes = 0
        self.stock.on_change(self._note)

    def _note(self) -> None:
        self.changes += 1

    def give(self, first: int, end: int, kind: int = VALUE_BLOCK) -> None:
        self.values.give(ValueOrder(self.claims[-1].ticket, kind, first, end))

    def take(self, count: int) -> list[int]:
        return [self.stock.take() for _ in range(count)]


def test_nothing_is_asked_for_before_somebody_wants_rows_and_a_block_is_for_all_who_do() -> None:
    bench = Bench()
    bench.stock.expect("a", 0)
    assert not bench.claims and not bench.stock.has_rows
    bench.stock.expect("a", 30)
    assert [(claim.key, claim.count) for claim in bench.claims] == [("users", 60)]
    assert bench.changes == 0
    bench.give(100, 160)
    assert bench.changes == 1 and bench.stock.has_rows
    assert bench.take(3) == [100, 101, 102]


def test_the_next_block_is_asked_for_when_half_of_one_is_used_and_only_once() -> None:
    bench = Bench()
    bench.stock.expect("a", 1)
    bench.give(0, LEAST_ROWS)
    bench.take(LEAST_ROWS // 2 - 1)
    assert len(bench.claims) == 1
    bench.take(2)
    assert [claim.used for claim in bench.claims] == [0, LEAST_ROWS // 2]
    bench.give(50, 66)
    assert bench.take(LEAST_ROWS // 2) == [*range(LEAST_ROWS // 2 + 1, LEAST_ROWS), 50]


def test_blocks_grow_until_one_lasts_for_a_second_and_not_beyond_a_limit() -> None:
    bench = Bench()
    bench.stock.expect("a", 1)
    at = 0
    for _ in range(20):
        size = bench.claims[-1].count
        bench.give(at, at + size)
        at += size
        while bench.stock.has_rows:
            bench.stock.take()
    counts = [claim.count for claim in bench.claims]
    assert counts[:3] == [16, 32, 64] and max(counts) == MOST_ROWS
    slow = Bench()
    slow.stock.expect("a", 1)
    for _ in range(3):
        slow.give(0, 16)
        slow.now_ns += NS_PER_S
        slow.take(16 if not slow.stock._blocks[1:] else 8)
    assert {claim.count for claim in slow.claims} == {16}


def test_a_smaller_block_than_was_asked_for_is_followed_by_the_next_claim() -> None:
    bench = Bench()
    bench.stock.expect("a", 1)
    bench.give(0, 2)
    assert bench.take(1) == [0]
    assert len(bench.claims) == 2


def test_an_empty_block_and_a_refusal_are_the_end() -> None:
    for kind in (VALUE_BLOCK, REFUSED):
        bench = Bench()
        bench.stock.expect("a", 1)
        bench.give(0, 0, kind)
        assert bench.stock.is_out and bench.changes == 1
        bench.stock.expect("b", 5)
        assert len(bench.claims) == 1


def test_a_shelf_keeps_the_row_of_each_vu_until_it_takes_another() -> None:
    bench = Bench()
    bench.stock.expect("a", 2)
    bench.give(7, 20)
    shelf = Shelf(bench.stock)
    for vu in (1, 2, 1):
        shelf.take(vu)
    assert shelf.current == {1: 9, 2: 8}
