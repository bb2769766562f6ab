"""Runs the deterministic simulator over many seeds, one process for each core.

    python tests/coordination/simulate.py --seeds 1000 --first 0

Prints what became of the runs. A seed that fails prints its story, writes it to ``--write`` (to become a file in
``regressions/``) and makes the exit code 1.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from coordination.simulator.play import Failure, simulate
from coordination.simulator.scenario import draw

TOLD_EVERY = 1000


def play(seed: int) -> tuple[int, str, str]:
    """Seed, what became of its first run, and what failed."""
    try:
        outcome = simulate(draw(seed), record=seed % 10 == 0)
    except Failure as failure:
        return seed, "violation", str(failure)
    return seed, outcome.first.value if outcome.first else "controller gone", ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--write", type=Path, help="folder for the stories of failing seeds")
    parser.add_argument("--stop", action="store_true", help="stop at the first failure")
    arguments = parser.parse_args()
    began = time.monotonic()
    outcomes: Counter[str] = Counter()
    failed = []
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    with get_context("spawn").Pool(arguments.processes) as pool:
        for seed, outcome, failure in pool.imap_unordered(play, seeds, chunksize=10):
            outcomes[outcome] += 1
            if failure:
                failed.append(seed)
                print(failure, flush=True)
                if arguments.write:
                    scenario = draw(seed)
                    scenario.note = failure.splitlines()[0]
                    (arguments.write / f"seed-{seed}.json").write_text(scenario.to_json() + "\n")
                if arguments.stop:
                    break
            if sum(outcomes.values()) % TOLD_EVERY == 0:
                print(f"{sum(outcomes.values())} seeds in {time.monotonic() - began:.0f} s", flush=True)
    took = time.monotonic() - began
    played = sum(outcomes.values())
    print(f"{played} seeds in {took:.1f} s: {dict(outcomes)}; failed: {sorted(failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
