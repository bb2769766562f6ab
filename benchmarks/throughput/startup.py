"""What `loadr run` costs over the plan's own time, and how long `loadr --help` takes.

Takes nothing and prints a table of medians (and extremes) over several runs of whole processes. The goals are 1 s
over the plan's own time, and 0.3 s.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from loadr.testing.process import TargetProcess

PLAN = """
defaults: {{ http: {{ base_url: "{url}" }} }}
scenarios:
  one:
    executor: constant-arrival-rate
    rate: 50
    duration: 1s
    max_vus: 10
    flow: [ {{ request: {{ get: / }} }} ]
"""


def timed(command: Sequence[str], rounds: int) -> list[float]:
    """Wall seconds of each run, after one that is not counted."""
    out = []
    for number in range(rounds + 1):
        begun = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        if number:
            out.append(time.perf_counter() - begun)
    return out


def line(what: str, seconds: list[float], goal: str) -> str:
    low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
    return f"{what:<44} {middle:6.2f} s  ({low:.2f} to {high:.2f})  goal {goal}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    loadr = (sys.executable, "-m", "loadr")
    print(line("loadr --help", timed([*loadr, "--help"], rounds), "0.30 s"))
    with TargetProcess() as target, tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan.yaml"
        plan.write_text(PLAN.format(url=target.url))
        plain = [seconds - 1 for seconds in timed([*loadr, "run", str(plan), "--quiet"], rounds)]
        print(line("loadr run, over the plan's own second", plain, "1.00 s"))
        fleet = [seconds - 1 for seconds in timed([*loadr, "run", str(plan), "--quiet", "--agents", "3"], rounds)]
        print(line("loadr run --agents 3, likewise", fleet, "none"))


if __name__ == "__main__":
    main()
