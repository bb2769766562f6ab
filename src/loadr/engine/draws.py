"""Seeded draws: the same seed gives the same draws for the same iteration, on any number of agents.

Takes the plan's seed, a scenario's name and the identity of an iteration (its fleet-wide number in open
models; VU and its own count in closed ones) and gives a `random.Random` or one integer. The generator is
SplitMix64 (Steele, Lea, Flood: *Fast Splittable Pseudorandom Number Generators*, OOPSLA 2014): 64 bits of
state, so that starting a new sequence for each iteration costs one integer, where the Mersenne Twister of the
standard library fills 2.5 KB.
"""

from __future__ import annotations

import hashlib
import random
from typing import Any, NoReturn

_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15  # 2⁶⁴ / golden ratio, odd: the increment of SplitMix64
_SECOND_GAMMA = 0xD1B54A32D192ED03  # another odd constant, so that (v, j) and (j, v) differ


def mix(value: int) -> int:
    """SplitMix64's finaliser: a bijection on 64-bit integers in which each input bit moves half of the
    output."""
    value &= _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def stream_seed(plan_seed: int, *names: str) -> int:
    """64 bits for what ``names`` tell apart: a scenario, or a scenario and a data set."""
    text = "\0".join((str(plan_seed), *names)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little")


def iteration_key(stream: int, vu: int, iteration: int) -> int:
    """64 bits for one iteration of a stream. Open models pass ``vu`` 0: who carries an iteration does not
    matter."""
    return mix(stream + _GAMMA * (iteration + 1) + _SECOND_GAMMA * vu)


def draw_below(key: int, bound: int) -> int:
    """One integer in [0, bound) from a key; the bias is below bound / 2⁶⁴."""
    return (mix(key) * bound) >> 64


class Draws(random.Random):
    """A `random.Random` over SplitMix64. One per VU, restarted per iteration with `restart`."""

    def __init__(self, key: int = 0) -> None:
        self._state = key & _MASK
        super().__init__(0)

    def restart(self, key: int) -> None:
        """From here on, the sequence of ``key``."""
        self._state = key & _MASK
        self.gauss_next = None

    def _next(self) -> int:
        self._state = (self._state + _GAMMA) & _MASK
        return mix(self._state)

    def random(self) -> float:
        """Uniform in [0, 1), 53 bits."""
        return (self._next() >> 11) * 2.0**-53

    def getrandbits(self, k: int) -> int:
        """``k`` random bits."""
        if k < 0:
            raise ValueError("number of bits must be non-negative")
        words = (k + 63) // 64
        value = 0
        for _ in range(words):
            value = (value << 64) | self._next()
        return value >> (words * 64 - k)

    def seed(self, *args: object, **kwargs: object) -> None:
        """Does nothing: draws belong to the iteration, and a script can not make two agents differ."""

    def getstate(self) -> NoReturn:
        """Not offered, as by `random.SystemRandom`: draws can not be kept for another iteration."""
        raise NotImplementedError("the draws of a VU have no state to keep")

    def setstate(self, state: tuple[Any, ...]) -> NoReturn:
        """Not offered, see `getstate`."""
        raise NotImplementedError("the draws of a VU have no state to set")
