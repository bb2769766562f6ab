"""A machine that stands still for a while (SIGSTOP of an agent and its workers) and goes on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from loadr.errors import ExitCode
from support.fleet import Fleet, Process
from support.live import LiveRun, target_with_record, write_named

LATE_S = 0.25
"""What is later than this is dropped."""


def two_agents(fleet: Fleet) -> Process:
    """The first of two; each says its name at the target."""
    first, _ = [fleet.agent(name, env={"WHO": name}) for name in ("agent-0", "agent-1")]
    fleet.await_agents(2)
    return first


def test_a_stall_shorter_than_the_lease_drops_what_was_due_and_makes_no_burst(tmp_path: Path) -> None:
    with target_with_record() as target, Fleet() as fleet:
        agent = two_agents(fleet)
        run = LiveRun(fleet, target, write_named(tmp_path, target.url, rate=100, seconds=6, lease="10s"))
        run.until(1.5)
        agent.freeze()
        frozen_s = run.now_s
        run.until(frozen_s + 3)
        thawed_s = run.now_s
        agent.thaw()
        done = run.end()
    assert done.code == ExitCode.PASSED, done.said
    done.assert_exact()
    assert done.account["missed"] == 0
    assert done.account["dropped"] == len(done.not_seen(0, 6))
    assert len(done.not_seen(frozen_s, thawed_s - LATE_S)) >= 0.45 * 100 * (thawed_s - LATE_S - frozen_s)
    # After the thaw nothing of what was due in between is made up for; a request that had begun may end.
    mine = [seen for seen in done.seen if seen.who.startswith("agent-0") and seen.at_s > thawed_s]
    assert len(mine) > 50
    assert sum(seen.planned_s < thawed_s - LATE_S for seen in mine) <= 1
    assert done.loadr["validity"]["generator_limited"]
    assert [line["lost_at_s"] for line in done.loadr["agents"]] == [None, None]


def test_after_twice_the_lease_a_thawed_agent_sends_nothing_until_its_new_generation(tmp_path: Path) -> None:
    with target_with_record() as target, Fleet() as fleet:
        agent = two_agents(fleet)
        run = LiveRun(fleet, target, write_named(tmp_path, target.url, rate=100, seconds=13, lease="3s"))
        run.until(1.5)
        old = {f"agent-0.{pid}" for pid in agent.children}
        agent.freeze()
        frozen_s = run.now_s
        run.until(frozen_s + 6)
        thawed_s = run.now_s
        agent.thaw()
        done = run.end()
    assert done.code == ExitCode.PASSED, done.said
    lost, again = done.agent("agent-0"), done.agent("agent-0#2")
    assert frozen_s < lost["lost_at_s"] < lost["covered_at_s"] < thawed_s < again["joined_at_s"]
    # It came back with the numbers that it had: nothing is missing, and nothing came twice.
    done.assert_exact()
    assert done.loadr["headline"].startswith(
        f"agent-0 was lost at {lost['lost_at_s']:.1f} s, no request is missing"
    )
    mine = [seen for seen in done.seen if seen.who.startswith("agent-0") and seen.at_s > thawed_s]
    assert [seen for seen in mine if seen.who in old] == []
    assert len(mine) == again["requests"] > 50
    assert all(seen.planned_s >= again["joined_at_s"] for seen in mine)
    done.assert_on_target(lost["covered_at_s"], 13)
    # What came within the time for it counts in the second for which it was planned, else where it came.
    by_second = Counter(
        int(seen.planned_s if seen.at_s - seen.planned_s <= LATE_S else seen.at_s) for seen in done.seen
    )
    assert max(by_second.values()) <= 1.05 * 100 + 2
