"""Rows that this worker was granted, for VUs of closed models: each row for one iteration of the whole fleet.

Takes how many VUs want rows, and blocks from the controller; gives a row at a time. The next block is asked for
when half of one is used, and blocks grow until one lasts for about a second, so that as a rule nobody waits.
"""

from __future__ import annotations

from collections.abc import Callable

from loadr.engine.channel import ValueOrder
from loadr.engine.fleet_values import BLOCK, VALUE_BLOCK, FleetValues
from loadr.units import NS_PER_S

LEAST_ROWS = 16
MOST_ROWS = 16_384
LASTS_NS = NS_PER_S


class Stock:
    """Of one data set on one worker. ``is_out``: there will never be more rows. Whoever waits for rows says so
    with `on_change`."""

    def __init__(self, name: str, values: FleetValues, clock: Callable[[], int]) -> None:
        self.is_out = False
        self._name = name
        self._values = values
        self._clock = clock
        self._blocks: list[range] = []
        self._left = 0  # rows in all blocks
        self._size = LEAST_ROWS
        self._vus: dict[str, int] = {}  # by scenario
        self._used = 0  # since the last claim
        self._is_asking = False
        self._asked_ns = 0
        self._listeners: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call it whenever rows have come, or there are no more."""
        self._listeners.append(listener)

    def expect(self, scenario: str, vus: int) -> None:
        """So many VUs of a scenario take rows from now on."""
        self._vus[scenario] = vus
        if sum(self._vus.values()):
            self._ask()

    @property
    def has_rows(self) -> bool:
        """Whether `take` may be called."""
        return self._left > 0

    def take(self) -> int:
        """The next row. Only while `has_rows`."""
        block = self._blocks[0]
        if len(block) == 1:
            del self._blocks[0]
        else:
            self._blocks[0] = block[1:]
        self._left -= 1
        self._used += 1
        if self._left * 2 <= self._size:
            self._ask()
        return block[0]

    def _ask(self) -> None:
        if self._is_asking or self.is_out or self._left * 2 > self._size:
            return
        now_ns = self._clock()
        lasted = self._asked_ns and self._used * 2 >= self._size and now_ns - self._asked_ns < LASTS_NS // 2
        least = max(LEAST_ROWS, 2 * sum(self._vus.values()))
        self._size = min(max(least, self._size * 2 if lasted else self._size), MOST_ROWS)
        self._is_asking, self._asked_ns = True, now_ns
        used, self._used = self._used, 0
        self._values.claim(BLOCK, self._name, self._size, self._given, used=used)

    def _given(self, value: ValueOrder) -> None:
        self._is_asking = False
        if value.kind != VALUE_BLOCK or value.first == value.end:
            self.is_out = True
        else:
            self._blocks.append(range(value.first, value.end))
            self._left += value.end - value.first
        for listener in self._listeners:
            listener()


class Shelf:
    """Which row each VU of one scenario has now, by the VU's id."""

    __slots__ = ("current", "stock")

    def __init__(self, stock: Stock) -> None:
        self.stock = stock
        self.current: dict[int, int] = {}

    def take(self, vu: int) -> None:
        """A row for the iteration that this VU is about to begin. Only while the stock has rows."""
        self.current[vu] = self.stock.take()
