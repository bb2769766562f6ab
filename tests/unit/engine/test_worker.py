"""The worker process itself: how it ends with its agent, and what it does with orders that are none."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from loadr.engine.channel import (
    ArmOrder,
    FrameReader,
    OrderMessage,
    ReportMessage,
    StartOrder,
    StopOrder,
    WorkerArmed,
    WorkerDone,
    WorkerReady,
    encode_frame,
    report_decoder,
)
from loadr.engine.faults import Fault
from loadr.engine.page import ALIVE_AT, Page

LIMIT_S = 20.0


class BareWorker:
    """A worker without a pool: its socket and its page in our hands."""

    def __init__(self, parent: int | None = None) -> None:
        self.page = Page.create()
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(LIMIT_S)
        fds = (theirs.fileno(), self.page.fd)
        command = (
            *(sys.executable, "-P", "-m", "loadr.engine.worker"),
            *("--channel-fd", str(fds[0]), "--page-fd", str(fds[1]), "--parent", str(parent or os.getpid())),
        )
        self.process = subprocess.Popen(command, pass_fds=fds, stderr=subprocess.PIPE)
        theirs.close()
        self._reader = FrameReader(report_decoder)
        self._waiting: list[ReportMessage] = []

    def send(self, order: OrderMessage) -> None:
        self.socket.sendall(encode_frame(order))

    def next(self) -> ReportMessage | None:
        """The next report; None at the end of the stream."""
        while not self._waiting:
            data = self.socket.recv(65536)
            if not data:
                return None
            self._waiting = self._reader.feed(data)
        return self._waiting.pop(0)

    def end(self) -> tuple[int, str]:
        """Exit code, and what was said on stderr."""
        _, said = self.process.communicate(timeout=LIMIT_S)
        self.socket.close()
        self.page.close()
        return self.process.returncode, said.decode()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def test_it_says_that_it_is_ready_and_leaves_at_the_end_of_its_channel() -> None:
    worker = BareWorker()
    assert worker.next() == WorkerReady(pid=worker.process.pid)
    assert worker.page.words[ALIVE_AT] > 0
    worker.socket.shutdown(socket.SHUT_WR)
    assert worker.next() is None
    assert worker.end() == (0, "")


def test_a_stop_before_any_plan_is_answered_and_ends_it() -> None:
    worker = BareWorker()
    assert isinstance(worker.next(), WorkerReady)
    worker.send(StopOrder(graceful=True, cause="called off"))
    assert worker.next() == WorkerDone(ledgers=[], cause="called off")
    assert worker.next() is None
    assert worker.end() == (0, "")


def test_an_order_out_of_turn_ends_it_with_words() -> None:
    worker = BareWorker()
    assert isinstance(worker.next(), WorkerReady)
    worker.send(ArmOrder(shares=[]))
    answer = worker.next()
    assert isinstance(answer, WorkerArmed)
    assert answer.fault == Fault.INTERNAL
    worker.send(StartOrder(start_boot_ns=1))
    code, said = worker.end()
    assert code == 1
    assert "before the plan was prepared" in said


def test_rubbish_on_its_channel_ends_it_with_words() -> None:
    worker = BareWorker()
    assert isinstance(worker.next(), WorkerReady)
    worker.socket.sendall(b"\xff" * 8)
    _, said = worker.end()
    assert "can not be read" in said


def test_it_does_not_outlive_an_agent_that_was_gone_before_it_came_up() -> None:
    worker = BareWorker(parent=1 if os.getpid() != 1 else 2)
    assert worker.next() is None
    assert worker.end() == (0, "")


@pytest.mark.slow
def test_it_dies_with_its_agent_however_that_ends() -> None:
    """An agent is killed while it holds a worker whose loop is blocked, so that no end of stream helps."""
    script = """
        import asyncio, os, sys, tempfile, pathlib
        from loadr.engine.pool import WorkerPool
        from loadr.plan.model import Plan

        async def main():
            folder = pathlib.Path(tempfile.mkdtemp())
            (folder / "block.py").write_text("import time\\ntime.sleep(60)\\n")
            pool = WorkerPool(1, lambda event: None)
            await pool.spawn()
            body = {"executor": "constant-vus", "vus": 1, "duration": "1s", "script": "block.py"}
            plan = Plan.model_validate({"scenarios": {"block": body}})
            pool.prepare("run", plan.canonical_json(), str(folder))
            await asyncio.sleep(0.2)
            print(pool.pids[0], flush=True)
            await asyncio.sleep(60)

        asyncio.run(main())
    """
    agent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True)
    assert agent.stdout is not None
    pid = int(agent.stdout.readline())
    assert Path(f"/proc/{pid}").exists()
    agent.kill()
    agent.wait(LIMIT_S)
    agent.stdout.close()

    def gone() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True

    wait_until(gone, "the worker outlives its agent")


def test_the_module_can_be_imported_without_a_loop() -> None:
    import loadr.engine.worker

    assert callable(loadr.engine.worker.main)
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
