"""Runs the deterministic simulator over many seeds.

    python tests/coordination/simulate.py --seeds 1000 --first 0

Prints what became of the runs. A seed that fails prints its story, writes it to ``--write`` (to become a file in
``regressions/``) and makes the exit code 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from coordination.simulator.play import Failure, simulate
from coordination.simulator.scenario import draw


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--write", type=Path, help="folder for the stories of failing seeds")
    parser.add_argument("--stop", action="store_true", help="stop at the first failure")
    arguments = parser.parse_args()
    began = time.monotonic()
    outcomes: Counter[str] = Counter()
    failed = []
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        scenario = draw(seed)
        try:
            outcome = simulate(scenario, record=seed % 10 == 0)
            outcomes[outcome.first.value if outcome.first else "controller gone"] += 1
        except Failure as failure:
            failed.append(seed)
            print(failure)
            if arguments.write:
                path = arguments.write / f"seed-{seed}.json"
                scenario.note = str(failure.violation)
                path.write_text(scenario.to_json())
            if arguments.stop:
                break
    took = time.monotonic() - began
    print(f"{arguments.seeds} seeds in {took:.1f} s: {dict(outcomes)}; failed: {failed or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
