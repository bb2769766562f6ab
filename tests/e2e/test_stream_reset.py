"""The stream of one agent is reset and refused for two seconds: nothing is lost, load goes on."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from pathlib import Path

from loadr.testing.process import TargetProcess
from loadr.testing.proxy import Proxy
from support.fleet import LOADR, Fleet, await_condition
from support.plans import assert_balanced, read_summary, write_steady

RATE = 90
SECONDS = 8


def test_totals_are_exact_and_load_goes_on_when_a_stream_is_reset(tmp_path: Path) -> None:
    with (
        TargetProcess("--record-arrivals", "100000") as target,
        Fleet() as fleet,
        Proxy(fleet.port) as proxy,
    ):
        fleet.agent("agent-0")
        fleet.agent("agent-1")
        fleet.agent("agent-2", port=proxy.port)
        fleet.await_agents(3)
        plan = write_steady(tmp_path, target.url, rate=RATE, seconds=SECONDS, lease="10s")
        export = tmp_path / "summary.json"
        run = subprocess.Popen(
            [*LOADR, "run", str(plan), "--controller", fleet.api, "--quiet", "--summary-export", str(export)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            await_condition(lambda: target.counters()["total"] > 2 * RATE, "load arrives")
            cut_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            connections = proxy.accepted
            proxy.cut_and_refuse()
            await_condition(
                lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME) > cut_ns + 2_000_000_000, "two seconds"
            )
            proxy.allow()
            said, _ = run.communicate(timeout=40)
        finally:
            run.kill()
        counters = target.counters()
        assert proxy.accepted > connections, "the agent came back through the proxy"
    assert run.returncode == 0, said
    summary = read_summary(export)
    assert summary["metrics"]["http_reqs"]["count"] == counters["total"]
    assert_balanced(summary)
    assert summary["loadr"]["verdict"] == "passed"
    # The share of the cut agent goes on: in the two seconds, what was planned arrived, but for what is recorded
    # as dropped by a busy machine.
    during = Counter((at - cut_ns) // 1_000_000_000 for at in counters["arrivals_ns"])
    dropped = sum(account["dropped"] for account in summary["loadr"]["accounting"]["scenarios"])
    assert during[0] + during[1] >= 2 * RATE - dropped - RATE // 10
