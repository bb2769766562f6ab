"""Workers of an agent that die or stand still: the others have their share at once, no lease is waited for."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from loadr.errors import ExitCode
from support.fleet import Fleet
from support.live import LiveRun, target_with_record, write_counted

RATE = 100


@pytest.mark.parametrize(
    ("end", "seconds"), [(signal.SIGKILL, 5), (signal.SIGSTOP, 10)], ids=["killed", "frozen"]
)
def test_the_share_of_one_worker_of_four_moves_at_once_and_the_gap_is_bounded(
    tmp_path: Path, end: signal.Signals, seconds: int
) -> None:
    with target_with_record() as target, Fleet() as fleet:
        agent = fleet.agent("agent-0", "--workers", "4")
        fleet.agent("agent-1")
        fleet.await_agents(2)
        plan = write_counted(tmp_path, target.url, rate=RATE, seconds=seconds, lease="30s")
        run = LiveRun(fleet, target, plan)
        run.until(1.5)
        victim = agent.children[1]
        hit_s = run.now_s
        os.kill(victim, end)
        run.await_gone(victim)
        gone_s = run.now_s
        done = run.end()
    assert done.code == ExitCode.PASSED, done.said
    done.assert_within_bound()
    assert [line["state"] for line in done.loadr["agents"]] == ["finished", "finished"]
    # A fifth of the load had nobody while the worker was gone and the agent did not know it. The lease of the
    # agent, 30 s, was not waited for.
    done.assert_on_target(gone_s + 0.5, seconds)
    hole = done.not_seen(hit_s - 0.5, gone_s + 0.5)
    assert len(hole) <= 0.2 * RATE * (gone_s - hit_s + 1) + 2 + done.dropped(hit_s - 0.5, gone_s + 1)
    notes = " ".join(done.loadr["notes"])
    assert "agent agent-0 lost a worker (worker 1" in notes
    assert ("frozen" in notes) == (end is signal.SIGSTOP)
    assert done.loadr["headline"].startswith("a worker was lost, ") or done.missing_at_most == 0
