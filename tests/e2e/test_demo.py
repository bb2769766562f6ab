"""What `make demo` runs, stopped by a person after a few seconds; whole it is run by `.ci/run`."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from loadr.errors import ExitCode
from support.fleet import Process

DEMO = Path(__file__).parents[2] / "examples" / "demo" / "run.py"
# The demo writes into the current folder; a terminal's Ctrl-C goes to the whole group of processes.
IN_FOLDER = "import os, runpy, sys; os.chdir(sys.argv[1]); runpy.run_path(sys.argv[2], run_name='__main__')"


def test_ctrl_c_in_the_demo_ends_it_with_a_summary_and_a_report(tmp_path: Path) -> None:
    demo = Process([sys.executable, "-c", IN_FOLDER, str(tmp_path), str(DEMO)], tmp_path, "demo")
    try:
        demo.await_words(r"demo shop: running, 3 agents", limit_s=40)
        demo.await_words(r"s/20s +[\d.]+/s of", limit_s=40)
        os.killpg(demo.popen.pid, signal.SIGINT)
        code = demo.popen.wait(40)
    finally:
        demo.end()
    assert code == ExitCode.INTERRUPTED, demo.said
    assert "INTERRUPTED" in demo.said and "Traceback" not in demo.said
    summary = json.loads((tmp_path / "demo-out" / "summary.json").read_text())
    assert summary["loadr"]["accounting"]["balanced"] is True
    assert "demo shop" in (tmp_path / "demo-out" / "report.html").read_text()
