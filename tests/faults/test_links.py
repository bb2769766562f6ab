"""Bad links between agents and controller, through a proxy: short cuts cost nothing, long ones move load."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from loadr.errors import ExitCode
from loadr.testing.proxy import Proxy
from support.fleet import Fleet, await_condition
from support.live import LiveRun, target_with_record, write_named

SLOW_BYTES_PER_S = 8_000
"""64 kbit/s."""


def test_cuts_shorter_than_the_lease_and_slow_links_cost_nothing(tmp_path: Path) -> None:
    """Four agents, each with a trouble of its own; under a lease of 10 s the longest is 8 s."""
    names = ("silent", "reset", "half-open", "slow")
    with target_with_record() as target, Fleet() as fleet, ExitStack() as stack:
        links = {name: stack.enter_context(Proxy(fleet.port)) for name in names}
        slow = links["slow"]
        for way in (slow.up, slow.down):
            way.bytes_per_s, way.delay_s = SLOW_BYTES_PER_S, 0.02
        for name in names:
            fleet.agent(name, port=links[name].port, env={"WHO": name})
        fleet.await_agents(4)
        plan = write_named(tmp_path, target.url, rate=80, seconds=12, lease="10s")
        run = LiveRun(fleet, target, plan)
        run.until(1.5)
        heard = links["silent"].down.bytes
        await_condition(lambda: links["silent"].down.bytes > heard, "a beat is answered")
        cut_s = run.now_s
        links["silent"].stall()
        links["reset"].cut_and_refuse()
        links["half-open"].half_open()
        run.until(cut_s + 1)
        links["reset"].allow()
        run.until(cut_s + 8)
        links["silent"].flow()
        dials = {name: link.accepted for name, link in links.items()}
        done = run.end()
        said = fleet.controller.said
    assert done.code == ExitCode.PASSED, done.said
    assert dials["reset"] > 1 and dials["half-open"] > 1 and dials["slow"] == 1
    assert "agent silent is suspect" in said and "agent slow is suspect" not in said
    done.assert_exact()
    assert done.account["missed"] == 0
    assert done.account["dropped"] == len(done.not_seen(0, 12))
    assert {line["name"]: line["state"] for line in done.loadr["agents"]} == dict.fromkeys(names, "finished")
    done.assert_on_target(0, 12)


def test_a_partition_of_more_than_twice_the_lease_moves_load_and_ends_with_exact_totals(tmp_path: Path) -> None:
    """One agent is cut off in both directions; of another only what the controller says does not arrive."""
    lease_s = 3
    with target_with_record() as target, Fleet() as fleet, Proxy(fleet.port) as both, Proxy(fleet.port) as down:
        fleet.agent("whole", env={"WHO": "whole"})
        fleet.agent("both", port=both.port, env={"WHO": "both"})
        fleet.agent("down", port=down.port, env={"WHO": "down"})
        fleet.await_agents(3)
        plan = write_named(tmp_path, target.url, rate=90, seconds=15, lease=f"{lease_s}s")
        run = LiveRun(fleet, target, plan)
        run.until(1.5)
        cut_s = run.now_s
        both.stall()
        down.stall(up=False)
        run.until(cut_s + 2.5 * lease_s)
        healed_s = run.now_s
        both.flow()
        down.flow()
        done = run.end()
    assert done.code == ExitCode.PASSED, done.said
    done.assert_exact()
    for name in ("both", "down"):
        lost, again = done.agent(name), done.agent(f"{name}#2")
        assert cut_s < lost["lost_at_s"] < lost["covered_at_s"] < healed_s < again["joined_at_s"]
        of_this = [seen for seen in done.seen if seen.who.startswith(f"{name}.")]
        before = [seen.at_s for seen in of_this if seen.at_s < healed_s]
        after = [seen.planned_s for seen in of_this if seen.at_s >= healed_s]
        # The lease counts from when a beat was sent, and the last that was answered was sent before the cut.
        assert cut_s < max(before) <= cut_s + lease_s
        assert min(after) >= again["joined_at_s"]
    done.assert_on_target(max(done.agent(name)["covered_at_s"] for name in ("both", "down")), 15)
