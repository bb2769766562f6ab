"""A target in its own process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from loadr.testing.process import TargetFault, TargetProcess

LIMIT_S = 10


def fetch(url: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=LIMIT_S) as answer:
        body = answer.read()
        assert isinstance(body, bytes)
        return body


def test_flags_reach_the_target_and_counters_come_back() -> None:
    with TargetProcess("--record-arrivals", "2", "--size", "500", "--seed", "3") as target:
        assert [len(fetch(target.url + path)) for path in ("/a", "/b", "/b?x=1")] == [500] * 3
        counters = target.counters()
        assert counters["total"] == 3
        assert counters["by_path"] == {"GET /a": 1, "GET /b": 2}
        first, second = counters["arrivals_ns"]
        assert first < second
        target.reset()
        assert target.counters()["total"] == 0


def test_it_is_gone_after_its_block_and_may_be_closed_twice() -> None:
    with TargetProcess() as target:
        assert fetch(target.url)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((target.host, target.port), LIMIT_S)
    target.close()
    with pytest.raises(TargetFault, match="does not answer"):
        target.counters()


def test_a_target_that_can_not_start_says_why() -> None:
    with pytest.raises(TargetFault, match="'soon' is not a duration"):
        TargetProcess("--delay", "soon")


def test_a_control_that_is_refused_is_a_fault() -> None:
    with TargetProcess() as target, pytest.raises(TargetFault, match="stalls for 1h at most"):
        target.stall(1e6)


def test_it_does_not_outlive_the_process_that_started_it() -> None:
    code = (
        "from loadr.testing.process import TargetProcess; import time;"
        "print(TargetProcess().port, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), LIMIT_S) as connection:
            os.kill(parent.pid, signal.SIGKILL)
            try:
                assert connection.recv(1) == b""
            except ConnectionResetError:
                pass
