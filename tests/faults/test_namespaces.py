"""A partition that is one: an agent in a network of its own, whose only cable to the controller is taken out."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from loadr.errors import ExitCode
from loadr.testing.process import TargetProcess
from support.fleet import LOADR, Fleet
from support.live import LiveRun, write_named
from support.packages import require
from support.privileges import need

# Two cables between two namespaces; nothing of this machine's own network is touched.
CONTROL, CONTROL_INSIDE = "10.0.0.1", "10.0.0.2"
LOAD, LOAD_INSIDE = "10.0.0.5", "10.0.0.6"
CLONE_NEWNET = 0x40000000


def ip(*words: str) -> None:
    subprocess.run([require("ip", "iproute2"), *words], check=True, capture_output=True, timeout=20)


def enter(namespace: int) -> None:
    """This thread, and the processes that it starts, are in the network of an open file from now on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@pytest.fixture
def far() -> Iterator[str]:
    """The name of a network namespace beside the one in which the test is, with a cable for control and one for
    load between them."""
    near, far = (f"loadr-{os.getpid()}-{which}" for which in ("near", "far"))
    with ExitStack() as stack:
        for name in (near, far):
            need(("ip", "netns", "add", name), "network namespaces", "iproute2")
            stack.callback(ip, "netns", "delete", name)  # and its cables with it
        ends = (("control", CONTROL, CONTROL_INSIDE), ("load", LOAD, LOAD_INSIDE))
        for cable, here, there in ends:
            pair = ("link", "add", "name", cable, "type", "veth", "peer", "name", cable, "netns", far)
            need(("ip", "-n", near, *pair), "pairs of network devices", "iproute2")
            for name, address in ((near, here), (far, there)):
                ip("-n", name, "address", "add", f"{address}/30", "dev", cable)
                ip("-n", name, "link", "set", "dev", cable, "up")
        ip("-n", near, "link", "set", "dev", "lo", "up")
        home = stack.enter_context(Path("/proc/thread-self/ns/net").open())
        enter(stack.enter_context(Path(f"/run/netns/{near}").open()).fileno())
        stack.callback(enter, home.fileno())
        yield far


def test_a_cable_that_is_out_for_three_seconds_is_not_noticed_in_the_totals(tmp_path: Path, far: str) -> None:
    with (
        TargetProcess("--record-arrivals", "9999", "--bind", f"{LOAD}:0") as target,
        Fleet("--bind", f"{CONTROL}:0", "--insecure") as fleet,
    ):
        join = [*LOADR, "agent", "--insecure", "--join", f"{CONTROL}:{fleet.port}", "--workers", "1", "--name"]
        fleet.start([*join, "here"], "here", {"WHO": "here"})
        inside = [require("ip", "iproute2"), "netns", "exec", far]
        fleet.start([*inside, *join, "away"], "away", {"WHO": "away"})
        fleet.await_agents(2)
        run = LiveRun(fleet, target, write_named(tmp_path, target.url, rate=80, seconds=8, lease="6s"))
        run.until(1)
        ip("-n", far, "link", "set", "dev", "control", "down")
        out_s = run.now_s
        run.until(out_s + 3)
        in_s = run.now_s
        ip("-n", far, "link", "set", "dev", "control", "up")
        done = run.end()
    assert done.code == ExitCode.PASSED, done.said
    done.assert_exact()
    assert done.account["missed"] == 0
    assert [line["state"] for line in done.loadr["agents"]] == ["finished", "finished"]
    meanwhile = [seen for seen in done.seen if out_s < seen.planned_s < in_s]
    assert sum(seen.who.startswith("away") for seen in meanwhile) > 0.4 * len(meanwhile)
