"""An agent is gone from one moment to the next: its load moves, and what is missing is bounded and named."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadr.errors import ExitCode
from support.fleet import Fleet
from support.live import LiveRun, target_with_record, write_counted

LEASE_S = 3


def test_after_kill_9_load_is_back_on_target_and_the_gap_is_within_the_printed_bound(tmp_path: Path) -> None:
    with target_with_record() as target, Fleet() as fleet:
        agents = [fleet.agent(f"agent-{number}") for number in range(2)]
        fleet.await_agents(2)
        plan = write_counted(tmp_path, target.url, rate=100, seconds=12, lease=f"{LEASE_S}s")
        run = LiveRun(fleet, target, plan)
        run.until(1.5)
        killed_s = run.now_s
        agents[0].kill()
        done = run.end()
    assert done.code == ExitCode.PASSED, done.said
    lost = done.agent("agent-0")
    assert (lost["state"], done.agent("agent-1")["state"]) == ("lost", "finished")
    # A second after the lease of its last beat, which was at most a fifth of a lease before its death.
    assert killed_s + LEASE_S * 0.8 <= lost["lost_at_s"] <= killed_s + LEASE_S + 2
    assert lost["lost_at_s"] <= lost["covered_at_s"] <= lost["lost_at_s"] + 1
    done.assert_within_bound()
    assert done.account["lost"] >= done.total - done.reported
    assert done.account["expected"] == 12 * 100
    done.assert_on_target(lost["lost_at_s"] + 2, 12)
    assert done.account["missed"] > 0, "between the end of the lease and the taking over nobody had the share"
    bound = f"at most {done.missing_at_most} requests are missing"
    assert done.loadr["headline"].startswith(f"agent-0 was lost at {lost['lost_at_s']:.1f} s, {bound}")
    assert f"PASSED  agent-0 was lost at {lost['lost_at_s']:.1f} s" in done.said


@pytest.mark.parametrize(
    ("policy", "code", "words"),
    [
        ("on_agent_loss: continue", ExitCode.PASSED, "load was 50% below target from then on"),
        ("on_agent_loss: abort", ExitCode.INCOMPLETE, "agent agent-0 was lost"),
        ("allowed_loss: 0", ExitCode.INCOMPLETE, "requests may be missing, and only 0 may be (allowed_loss)"),
    ],
    ids=["continue", "abort", "allowed-loss"],
)
def test_the_plan_says_what_a_loss_does_to_the_run(
    tmp_path: Path, policy: str, code: ExitCode, words: str
) -> None:
    with target_with_record() as target, Fleet() as fleet:
        agents = [fleet.agent(f"agent-{number}") for number in range(2)]
        fleet.await_agents(2)
        plan = write_counted(tmp_path, target.url, rate=50, seconds=6, lease="2s", extra=policy)
        run = LiveRun(fleet, target, plan)
        run.until(0.5)
        agents[0].kill()
        done = run.end()
    assert done.code == code, done.said
    assert words in " ".join([done.loadr["headline"], *done.loadr["notes"]])
    lost_s = done.agent("agent-0")["lost_at_s"]
    if policy == "on_agent_loss: continue":
        done.assert_within_bound()
        assert done.agent("agent-0")["covered_at_s"] is None
        hole = done.not_seen(lost_s, 6)
        assert len(hole) >= 0.4 * 50 * (6 - lost_s), "nobody takes the share"
    elif policy == "on_agent_loss: abort":
        assert done.loadr["duration_s"] < 6
        assert done.total - done.reported <= done.missing_at_most
    else:
        done.assert_within_bound()
        assert done.missing_at_most > 0
