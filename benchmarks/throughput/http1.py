"""CPU per request of the engine's HTTP/1.1 client beside wrk: one core, same target, same connections, in turns.

    .venv/bin/python benchmarks/throughput/http1.py [--rounds 5] [--seconds 3]

nginx answers 60 bytes of JSON on core 1; contestants run on core 0, closed loop, keep-alive, 50 connections. The
goal is 1.5 times wrk for a compiled flow with a check and 1.7 times for an ``async def``. Ratios are within one
round, medians over rounds; with a busy neighbour look at the lowest.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from functools import partial
from pathlib import Path

from nginx import Nginx, missing
from rounds import Turn, compete, run_pinned, run_wrk, table

_CLIENT = Path(__file__).parent / "client.py"
_CONNECTIONS = 50


def run_engine(core: int, url: str, style: str, seconds: float) -> Turn:
    """The engine in a process of its own; its CPU time is without the start of the interpreter."""
    command = [sys.executable, str(_CLIENT), url, "--style", style, "--vus", str(_CONNECTIONS)]
    output, _ = run_pinned(core, [*command, "--seconds", str(seconds)])
    told = json.loads(output)
    if told["failures"]:
        sys.exit(f"{told['failures']} requests failed: this measures nothing")
    return Turn(told["requests"], told["cpu_s"], told["wall_s"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    given = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    reason = missing("nginx", "wrk") or ("" if len(cores) > 1 else "it needs two cores")
    if reason:
        print(f"skipped: {reason}")
        return
    with Nginx(cores[1]) as nginx:
        turns = compete(
            {
                "wrk": partial(run_wrk, cores[0], nginx.url, _CONNECTIONS, given.seconds),
                "loadr, compiled flow": partial(run_engine, cores[0], nginx.url, "seam", given.seconds),
                "loadr, async def": partial(run_engine, cores[0], nginx.url, "script", given.seconds),
            },
            given.rounds,
        )
    print(table(turns))
    print(f"load average during the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
