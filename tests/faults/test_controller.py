"""A controller that stands still, and a second one at the same address."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from loadr.errors import ExitCode
from support.fleet import Fleet, run_loadr
from support.live import LiveRun, target_with_record, write_counted


def test_load_ends_with_the_lease_when_the_controller_stands_still_and_the_fleet_is_whole_afterwards(
    tmp_path: Path,
) -> None:
    lease_s = 2
    with target_with_record() as target, Fleet() as fleet:
        agents = [fleet.agent(name) for name in ("agent-0", "agent-1")]
        fleet.await_agents(2)
        plan = write_counted(tmp_path, target.url, rate=50, seconds=20, lease=f"{lease_s}s")
        run = LiveRun(fleet, target, plan)
        run.until(2)
        fleet.controller.popen.send_signal(signal.SIGSTOP)
        stopped_s = run.now_s
        run.until(stopped_s + 2 * lease_s)
        fleet.controller.popen.send_signal(signal.SIGCONT)
        done = run.end()
        for agent in agents:
            agent.await_words("orphaned")
        target.reset()
        after = LiveRun(fleet, target, write_counted(tmp_path, target.url, rate=50, seconds=2, lease="10s")).end()
    # It can not know that it was itself that stood still: everybody was silent for longer than a lease.
    assert done.code == ExitCode.INCOMPLETE, done.said
    assert re.match(r"all agents were lost; agent agent-[01] was lost", done.loadr["headline"])
    assert stopped_s < max(seen.at_s for seen in done.seen) <= stopped_s + lease_s
    done.assert_within_bound()
    assert done.account["lost"] >= done.total - done.reported
    assert after.code == ExitCode.PASSED, after.said
    after.assert_exact()


def test_a_second_controller_on_the_same_port_does_not_start_and_says_why() -> None:
    with Fleet() as fleet:
        again = run_loadr("controller", "--bind", f"127.0.0.1:{fleet.port}", "--api", "127.0.0.1:0", limit_s=20)
        assert again.returncode == ExitCode.INVALID, again.stderr
        assert f"127.0.0.1:{fleet.port}" in again.stderr and "Traceback" not in again.stderr
        assert "in use" in again.stderr
        api = run_loadr("controller", "--bind", "127.0.0.1:0", "--api", fleet.api, limit_s=20)
        assert api.returncode == ExitCode.INVALID, api.stderr
        assert fleet.api in api.stderr and "in use" in api.stderr
        fleet.agent("agent-0")
        fleet.await_agents(1)
