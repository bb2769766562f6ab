"""Contestants in turns, several rounds, medians: so that a neighbour's load hits them all alike.

Takes functions that run one contestant for a while and give a `Turn`; gives a table of CPU per request, requests
per second and the ratio to the first contestant of the same round.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Turn:
    """``cpu_s`` is user plus system time of the process that made the requests."""

    requests: int
    cpu_s: float
    wall_s: float

    @property
    def cpu_us(self) -> float:
        return self.cpu_s / self.requests * 1e6

    @property
    def per_s(self) -> float:
        return self.requests / self.wall_s


def run_pinned(core: int, command: list[str]) -> tuple[str, float]:
    """Output and CPU seconds (of the child and what it waited for) of a command on one core."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, preexec_fn=lambda: os.sched_setaffinity(0, {core}), text=True
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed with {os.waitstatus_to_exitcode(status)}")
    return output, usage.ru_utime + usage.ru_stime


def run_wrk(core: int, url: str, connections: int, seconds: float) -> Turn:
    """wrk with one thread."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{round(seconds)}s", url]
    output, cpu_s = run_pinned(core, command)
    requests = int(re.search(r"(\d+) requests in", output)[1])  # type: ignore[index]
    per_s = float(re.search(r"Requests/sec:\s*([\d.]+)", output)[1])  # type: ignore[index]
    return Turn(requests, cpu_s, requests / per_s)


def compete(contestants: Mapping[str, Callable[[], Turn]], rounds: int) -> dict[str, list[Turn]]:
    """``rounds`` turns of each, one after the other."""
    turns: dict[str, list[Turn]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name, run in contestants.items():
            print(f"\rround {number + 1}/{rounds}: {name:<30}", end="", file=sys.stderr, flush=True)
            turns[name].append(run())
    print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    return turns


def table(turns: Mapping[str, list[Turn]]) -> str:
    """Medians; in brackets the lowest and the highest of the rounds. The first contestant is the yardstick."""
    first = next(iter(turns.values()))
    lines = [f"{'':<26}{'CPU µs/request':>22}{'ratio':>22}{'requests/s':>12}"]
    for name, own in turns.items():
        ratios = [turn.cpu_us / yardstick.cpu_us for turn, yardstick in zip(own, first, strict=True)]
        lines.append(
            f"{name:<26}{_spread([turn.cpu_us for turn in own], 1):>22}{_spread(ratios, 2):>22}"
            f"{statistics.median(turn.per_s for turn in own):>12,.0f}"
        )
    return "\n".join(lines)


def _spread(values: list[float], digits: int) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} [{low:.{digits}f}–{high:.{digits}f}]"
