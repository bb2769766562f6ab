"""What `make demo` runs: the bundled target, a controller, three agents, and the merged result.

Takes nothing; leaves `demo-out/report.html` and `demo-out/summary.json`, and exits as `loadr run` did. At the end
it asks the target how many requests it counted itself, and fails if the summary says anything else.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from loadr.testing.process import TargetProcess

HERE = Path(__file__).parent
OUT = Path("demo-out")
LIMIT_S = 120


def main() -> int:
    signal.signal(signal.SIGINT, lambda *_: None)  # a terminal's Ctrl-C reaches `loadr run` too, which drains
    OUT.mkdir(exist_ok=True)
    with TargetProcess() as target:
        command = [
            *("run", os.path.relpath(HERE / "plan.yaml")),
            *("--agents", "3", "--workers", "1"),
            *("-e", f"TARGET={target.url}"),
            *("--report", str(OUT / "report.html")),
            *("--summary-export", str(OUT / "summary.json")),
        ]
        print("$ loadr target --bind", target.url.removeprefix("http://"))
        print("$ loadr", " ".join(command), flush=True)
        code = subprocess.run([sys.executable, "-m", "loadr", *command], timeout=LIMIT_S, check=False).returncode
        counted = target.counters()["total"]
    if code != 0:
        return code
    reported = json.loads((OUT / "summary.json").read_text())["metrics"]["http_reqs"]["count"]
    print(f"the target counted {counted:,} requests itself; the merged summary says {reported:,}")
    if counted != reported:
        print("these must be equal; please report it with demo-out/summary.json", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
