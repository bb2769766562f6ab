"""Rows of instants, appended one by one on the hot path and kept as arrays.

Takes integers through `Rows.append`; gives them back as an (n, width) array. Appending is the `extend` of a plain
list, the cheapest way there is (64 ns for four numbers; `array.array` needs five times that). Long lists are
packed into arrays between times, so that the work of a whole second does not stop the loop at once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int64]

_PACK_AT = 1_024  # numbers in the list; below that an array of its own costs more than it saves


class Rows:
    """``append`` takes a tuple of ``width`` integers, or several rows in one flat tuple."""

    __slots__ = ("_blocks", "_flat", "_width", "append")

    def __init__(self, width: int) -> None:
        self._width = width
        self._flat: list[int] = []
        self._blocks: list[Samples] = []
        self.append: Callable[[tuple[int, ...]], None] = self._flat.extend

    def pack(self) -> None:
        """Turn what has been appended into an array, if it is much."""
        if len(self._flat) >= _PACK_AT:
            self._pack()

    def take(self) -> Samples:
        """Everything, in the order of appending; nothing is left."""
        if self._flat:
            self._pack()
        blocks, self._blocks = self._blocks, []
        if len(blocks) == 1:
            return blocks[0]
        return np.concatenate(blocks) if blocks else np.empty((0, self._width), np.int64)

    def give_back(self, rows: Samples) -> None:
        """Rows that were taken too early; the next take gives them first."""
        self._blocks.insert(0, rows)

    def _pack(self) -> None:
        flat = self._flat
        self._blocks.append(np.fromiter(flat, np.int64, len(flat)).reshape(-1, self._width))
        flat.clear()
