"""Marks: the positions on Λ's axis at which iterations happen, in chunks of 4096.

Uniform marks are 1, 2, 3, … Poisson marks are sums of unit exponentials, which the time change Λ⁻¹ makes a
Poisson process of the shape's rate; how many there are below Λ(D) follows the seed.

Marks are the same to the last bit on every machine and with every version of numpy. The raw bits are Philox 4×64
(counter-based; J. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011), keyed by seed and
scenario, counted by chunk: numpy promises not to change the bits of a bit generator (NEP 19), while what
`numpy.random.Generator` makes of them may change. The logarithm is our own, because those of the C library and of
numpy's SIMD code differ from machine to machine in the last bits.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.random import Philox

from loadr.schedule.shape import FloatArray

CHUNK = 4096


class Marks(Protocol):
    """A finite ascending sequence of marks. Chunk i holds those of iterations 4096·i …"""

    def chunk(self, index: int) -> FloatArray:
        """Empty at and after the end; shorter than 4096 only at the end."""

    def count(self) -> int:
        """How many there are."""

    def chunk_at(self, mark: float) -> int:
        """The chunk that holds the first mark ≥ ``mark``; the one after the last mark if there is none."""

    def until(self, total: Fraction) -> Marks:
        """The same sequence with another end."""


class UniformMarks:
    """1, 2, 3, … up to and including ``total``, at most ``limit`` of them."""

    def __init__(self, total: Fraction, limit: int | None) -> None:
        self._limit = limit
        planned = math.floor(total)
        self._count = planned if limit is None else min(planned, limit)

    def chunk(self, index: int) -> FloatArray:
        first = index * CHUNK
        return np.arange(first + 1, min(first + CHUNK, self._count) + 1, dtype=np.float64)

    def count(self) -> int:
        return self._count

    def chunk_at(self, mark: float) -> int:
        earlier = max(0, math.ceil(mark) - 1)
        return min(earlier, self._count) // CHUNK

    def until(self, total: Fraction) -> UniformMarks:
        return UniformMarks(total, self._limit)


class PoissonMarks:
    """Sums of unit exponentials up to ``total``, at most ``limit`` of them.

    A chunk needs the sum of those before it, so reaching far ahead walks (about 40 ns for each mark); going
    back is free, as the sums are kept (2 bytes for 1000 marks).
    """

    def __init__(self, total: Fraction, limit: int | None, seed: int, scenario: str) -> None:
        self._total = float(total)
        self._limit = limit
        self._names = seed, scenario
        digest = hashlib.sha256(f"loadr arrivals {seed} {scenario}".encode()).digest()
        self._key = int.from_bytes(digest[:16], "little")
        self._reached = array("d", [0.0])  # the last mark before each chunk that was walked to

    def chunk(self, index: int) -> FloatArray:
        if self._limit is not None and index * CHUNK >= self._limit:
            return np.empty(0, dtype=np.float64)
        reached = self._reached
        while True:
            at = min(index, len(reached) - 1)
            if reached[at] > self._total:
                return np.empty(0, dtype=np.float64)
            # cumsum adds from left to right, always; sum may add in another order on another machine.
            marks = reached[at] + np.cumsum(unit_exponentials(self._key, at))
            if at == len(reached) - 1:
                reached.append(float(marks[-1]))
            if at == index:
                within = int(np.searchsorted(marks, self._total, side="right"))
                return marks[: within if self._limit is None else min(within, self._limit - index * CHUNK)]

    def count(self) -> int:
        index = 0
        while len(marks := self.chunk(index)) == CHUNK:
            index += 1
        return index * CHUNK + len(marks)

    def chunk_at(self, mark: float) -> int:
        index = 0
        while len(marks := self.chunk(index)) == CHUNK and marks[-1] < mark:
            index += 1
        return index

    def until(self, total: Fraction) -> PoissonMarks:
        other = PoissonMarks(total, self._limit, *self._names)
        other._reached = self._reached
        return other


def unit_exponentials(key: int, chunk: int) -> FloatArray:
    """4096 exponentials of mean 1 (from 10⁻¹⁶ to 36.8). The chunk's number is the counter's highest word."""
    raw = Philox(key=key, counter=chunk << 192).random_raw(CHUNK)
    # 52 random bits and a half: never 0 nor 1, and exact in the 53 bits of a double.
    uniform = ((raw >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
    return -natural_log(uniform)


_SQRT_HALF = math.sqrt(0.5)
# ln 2 in two parts (W. Cody and W. Waite, "Software Manual for the Elementary Functions", 1980): the first has
# few enough bits that its product with an exponent is exact.
_LN2_HIGH = 0.693145751953125
_LN2_LOW = 1.42860682030941723212e-6
_LOG_TERMS = tuple(1.0 / (2 * n + 1) for n in range(11, -1, -1))


def natural_log(x: FloatArray) -> FloatArray:
    """ln x for x > 0 (normal numbers), within 2 ulps, from + − × ÷ only: the same bits on every machine.

    x = m·2^e with √½ ≤ m < √2; with f = (m−1)/(m+1), ln m = 2·(f + f³/3 + f⁵/5 + …), and as |f| ≤ 0.172
    twelve terms leave less than 10⁻¹⁹.
    """
    mantissa, exponent = np.frexp(x)
    low = mantissa < _SQRT_HALF
    mantissa = np.where(low, mantissa * 2.0, mantissa)
    e = (exponent - low).astype(np.float64)
    f = (mantissa - 1.0) / (mantissa + 1.0)
    square = f * f
    series = np.full_like(f, _LOG_TERMS[0])
    for term in _LOG_TERMS[1:]:
        series *= square
        series += term
    return e * _LN2_HIGH + (e * _LN2_LOW + 2.0 * f * series)
