"""Clocks of the simulated world: each machine has its own monotonic clock, with an offset and a drift."""

from __future__ import annotations

from dataclasses import dataclass

BILLION = 1_000_000_000


@dataclass(slots=True)
class MachineClock:
    """``drift_ppb``: how much faster than true time it runs, in parts per billion. ``wall_error_ms`` may step."""

    offset_ns: int
    drift_ppb: int
    wall_error_ms: int = 0

    def mono_ns(self, true_ns: int) -> int:
        return self.offset_ns + true_ns + true_ns * self.drift_ppb // BILLION

    def true_ns(self, mono_ns: int) -> int:
        """The first true instant at which the clock shows ``mono_ns`` or more."""
        guess = (mono_ns - self.offset_ns) * BILLION // (BILLION + self.drift_ppb) - 2
        while self.mono_ns(guess) < mono_ns:
            guess += 1
        return guess

    def wall_ms(self, true_ns: int) -> int:
        return 1_700_000_000_000 + true_ns // 1_000_000 + self.wall_error_ms
