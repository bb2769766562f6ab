"""`make bench`: the benchmarks of one machine, one after the other, none beside another. About three minutes.

Takes nothing; prints what each prints, under the command that repeats it, and fails if one of them does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
LIMIT_S = 600
BENCHMARKS = (
    ("throughput/http1.py", "--rounds", "5"),
    ("accuracy/open_model.py",),
    ("coordination/uplink.py",),
    ("throughput/startup.py",),
)


def main() -> int:
    load = " ".join(f"{average:.2f}" for average in os.getloadavg())
    print(f"{len(os.sched_getaffinity(0))} cores, load average {load} before the first one")
    failed = 0
    for name, *arguments in BENCHMARKS:
        command = [sys.executable, str(HERE / name), *arguments]
        print(f"\n$ python benchmarks/{' '.join((name, *arguments))}", flush=True)
        failed += subprocess.run(command, timeout=LIMIT_S, check=False).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
