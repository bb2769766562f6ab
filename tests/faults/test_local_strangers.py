"""A local fleet listens on loopback, which everybody on the machine can reach: strangers do not get its plan."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from support.fleet import END_LIMIT_S, LOADR, await_condition, run_loadr
from support.plans import write_steady


def listening_ports(pid: int) -> set[int]:
    """TCP ports of loopback on which a process listens, by the kernel's tables."""
    folder = Path(f"/proc/{pid}/fd")
    try:
        links = [os.readlink(folder / name) for name in os.listdir(folder)]  # noqa: PTH208, PTH115 - texts
    except OSError:
        return set()
    inodes = {match[1] for link in links if (match := re.fullmatch(r"socket:\[(\d+)\]", link))}
    tables = [Path("/proc/net") / name for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A" and row[9] in inodes}


def test_an_agent_without_the_runs_token_is_refused(tmp_path: Path) -> None:
    plan = write_steady(tmp_path, "http://127.0.0.1:9", rate=5, seconds=20)
    run = subprocess.Popen([*LOADR, "run", str(plan), "--agents", "1", "--quiet"], stdout=subprocess.DEVNULL)
    try:
        await_condition(lambda: bool(listening_ports(run.pid)), "the run's controller listens")
        (port,) = listening_ports(run.pid)
        done = run_loadr("agent", "--join", f"127.0.0.1:{port}", "--name", "stranger", "--workers", "1")
        assert done.returncode == 122 and "it showed no join token" in done.stderr, done.stderr
    finally:
        run.terminate()
        try:
            run.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            run.kill()
            run.wait()
