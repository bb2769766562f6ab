"""Memory of the processes of a soak: samples every few seconds in, for each process a robust line out.

What counts is `RssAnon`: what a process has made itself. Pages of libraries are shared by all of them, and whose
they are changes when others come and go. The first third of a life is warm-up (imports, buffers, what the
allocator keeps); over the rest a Theil–Sen line (the median of the slopes of all pairs) says how it goes,
which a few spikes do not bend.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

LONG_S = 300.0
"""Processes that lived for so long are judged (in a short soak: half of it)."""
GROWTH_MB = {"controller": 10.0, "agent": 6.0, "worker": 6.0}
"""What the line may rise over the part of a life that is judged.

Controller: at most 600 points of merged histograms are kept of a run, after which their resolution is halved; of
this plan that is about 6 MB between its lowest and its highest, wherever the line begins. Every part of an agent
has books of a few KB, and there are two or three parts a minute. Agents and workers keep one second of series and
a bounded queue; what they add is the allocator's. A leak of one object of 100 bytes per request would be 20 MB in
20 minutes of this plan, one of 1 KB per second and series 30 MB.
"""


def own_mb(pid: int) -> float | None:
    """None if it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return None


@dataclass(slots=True)
class Life:
    """One process: (seconds of the soak, MB)."""

    role: str
    name: str
    samples: list[tuple[float, float]] = field(default_factory=list)

    @property
    def length_s(self) -> float:
        return self.samples[-1][0] - self.samples[0][0] if self.samples else 0.0


@dataclass(frozen=True, slots=True)
class Line:
    """How the memory of one process went in the part of its life that is judged."""

    role: str
    name: str
    over_s: float
    first_mb: float  # of the line
    growth_mb: float
    spread_mb: float  # highest less lowest sample

    @property
    def per_hour_mb(self) -> float:
        return self.growth_mb / self.over_s * 3600

    @property
    def is_flat(self) -> bool:
        return self.growth_mb <= GROWTH_MB[self.role]


class Memory:
    """All processes that were ever seen."""

    def __init__(self) -> None:
        self.lives: dict[tuple[str, int], Life] = {}

    def sample(self, at_s: float, role: str, name: str, pid: int) -> float | None:
        """Look at one process now."""
        mb = own_mb(pid)
        if mb is not None:
            self.lives.setdefault((name, pid), Life(role, name)).samples.append((at_s, mb))
        return mb

    def lines(self, from_s: float, to_s: float) -> list[Line]:
        """Of those that lived long within [from, to)."""
        long_s = min(LONG_S, (to_s - from_s) / 2)
        out = []
        for life in self.lives.values():
            within = Life(life.role, life.name, [s for s in life.samples if from_s <= s[0] < to_s])
            if within.length_s >= long_s and (line := _line(within)) is not None:
                out.append(line)
        return sorted(out, key=lambda line: (line.role != "controller", line.role, -line.over_s))


def _line(life: Life) -> Line | None:
    begin_s = life.samples[0][0] + life.length_s / 3
    judged = np.array([sample for sample in life.samples if sample[0] >= begin_s])
    if len(judged) < 3:
        return None
    at, mb = judged[:, 0], judged[:, 1]
    first, second = np.triu_indices(len(at), 1)
    slope = float(np.median((mb[second] - mb[first]) / (at[second] - at[first])))
    over_s = float(at[-1] - at[0])
    start = float(np.median(mb - slope * (at - at[0])))
    return Line(life.role, life.name, over_s, start, slope * over_s, float(mb.max() - mb.min()))
