"""Wall clocks that are wrong, and step while an agent is lost: nobody looks at them."""

from __future__ import annotations

from pathlib import Path

from loadr.errors import ExitCode
from support.fleet import LOADR, Fleet
from support.live import LiveRun, target_with_record, write_counted
from support.packages import require_faketime

# The library is loaded by now; the agent's workers are not to have it, because it bends their timerfd as well.
AGENT = """
import os, sys
del os.environ["LD_PRELOAD"]
from loadr.cli import main
sys.exit(main(sys.argv[1:]))
"""


def set_clock(path: Path, offset_s: int) -> None:
    """From now on the wall clock of whoever follows the file is so far ahead."""
    beside = path.with_suffix(".new")
    beside.write_text(f"{offset_s:+d}\n")
    beside.replace(path)


def test_wrong_and_stepping_wall_clocks_change_nothing_about_a_loss(tmp_path: Path) -> None:
    library = require_faketime()
    clocks = {name: tmp_path / f"{name}.clock" for name in ("ahead", "behind", "doomed")}
    with target_with_record() as target, Fleet() as fleet:
        for (name, clock), offset_s in zip(clocks.items(), (3600, -5, 0), strict=True):
            set_clock(clock, offset_s)
            env = {
                "LD_PRELOAD": str(library),
                "FAKETIME_TIMESTAMP_FILE": str(clock),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
            join = ["agent", "--join", f"127.0.0.1:{fleet.port}", "--workers", "1", "--name", name]
            agent = fleet.start([LOADR[0], "-c", AGENT, *join], name, env)
        fleet.await_agents(3)
        plan = write_counted(tmp_path, target.url, rate=90, seconds=9, lease="3s")
        run = LiveRun(fleet, target, plan)
        run.until(1)
        set_clock(clocks["ahead"], -3600)
        set_clock(clocks["behind"], 5)
        agent.kill()
        run.until(2)
        set_clock(clocks["ahead"], 0)
        done = run.end()
    assert done.code == ExitCode.PASSED, done.said
    done.assert_within_bound()
    lost = done.agent("doomed")
    assert [done.agent(name)["lost_at_s"] for name in ("ahead", "behind")] == [None, None]
    assert lost["lost_at_s"] <= lost["covered_at_s"]
    done.assert_on_target(lost["lost_at_s"] + 2, 9)
    assert len(done.not_seen(0, 1)) <= done.account["dropped"]
    assert all(line["start_skew_ms"] is not None for line in done.loadr["agents"])
    # A step was really seen: the last beat of one tells the clock that it has now.
    assert abs(done.agent("behind")["wall_error_ms"] - 5000) < 1000
