"""Agents that come to a running test, leave it, or come back as another process."""

from __future__ import annotations

import signal
from pathlib import Path

from loadr.errors import ExitCode
from support.fleet import Fleet
from support.live import LiveRun, target_with_record, write_counted, write_named

RATE = 90


def test_an_agent_that_joins_takes_its_share_and_one_that_is_told_to_leave_hands_it_over(tmp_path: Path) -> None:
    with target_with_record() as target, Fleet() as fleet:
        first, _ = [fleet.agent(name, env={"WHO": name}) for name in ("agent-0", "agent-1")]
        fleet.await_agents(2)
        run = LiveRun(fleet, target, write_named(tmp_path, target.url, rate=RATE, seconds=9, lease="10s"))
        run.until(1)
        fleet.agent("late", env={"WHO": "late"})
        registered_s = run.await_words(fleet, "agent late joined")
        run.await_arrivals("late", 10)
        run.until(run.now_s + 1.5)
        told_s = run.now_s
        first.popen.send_signal(signal.SIGTERM)
        left = first.popen.wait(10)
        left_s = run.now_s
        done = run.end()
    assert done.code == ExitCode.PASSED, done.said
    done.assert_exact()
    assert done.account["missed"] == 0
    assert done.account["planned"] == done.account["expected"] == 9 * RATE
    assert done.account["dropped"] == len(done.not_seen(0, 9))
    # The newcomer owned a third soon, and did it.
    joined_s = done.agent("late")["joined_at_s"]
    assert joined_s <= registered_s + 3
    between = [seen for seen in done.seen if joined_s <= seen.planned_s < told_s]
    mine = [seen for seen in between if seen.who.startswith("late")]
    assert 0.25 <= len(mine) / len(between) <= 0.42
    assert all(seen.planned_s >= joined_s for seen in done.seen if seen.who.startswith("late"))
    # Who was told to leave left in mid-run with all that it had; nobody calls that a loss.
    assert left == ExitCode.PASSED
    assert left_s < 8
    assert done.agent("agent-0")["lost_at_s"] is None
    assert done.loadr["headline"].startswith("no thresholds set")
    assert max(seen.planned_s for seen in done.seen if seen.who.startswith("agent-0")) < left_s
    assert "agent agent-0 was asked to leave; its share goes to others" in done.loadr["events"]
    assert not any("was asked to leave" in note for note in done.loadr["notes"])


def test_an_agent_that_is_restarted_in_mid_run_joins_as_another_and_no_row_is_used_twice(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(2000)))
    with target_with_record() as target, Fleet() as fleet:
        first, _ = [fleet.agent(name) for name in ("agent-0", "agent-1")]
        fleet.await_agents(2)
        plan = write_counted(tmp_path, target.url, rate=RATE, seconds=13, lease="4s")
        # The path ends with the row; in open models that is the number of the iteration.
        text = plan.read_text().replace("${iteration}", "${rows.n}")
        plan.write_text(text + "data: { rows: { file: rows.csv, mode: unique, on_end: stop } }\n")
        run = LiveRun(fleet, target, plan)
        run.until(1)
        first.kill()
        again = fleet.agent("agent-0")
        done = run.end()
        said = again.said
    assert done.code == ExitCode.PASSED, done.said
    lost, joined = done.agent("agent-0"), done.agent("agent-0#2")
    assert lost["lost_at_s"] < joined["joined_at_s"] < 12
    assert "may not be over yet" in said, said
    assert joined["requests"] > 20
    assert (joined["lost_at_s"], joined["missing_at_most"]) == (None, 0)
    done.assert_within_bound()
    done.assert_on_target(max(lost["lost_at_s"] + 2, joined["joined_at_s"]), 13)
