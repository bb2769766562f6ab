"""One worker process, from its agent's side."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path

import pytest

from loadr.engine.channel import ExitOrder, ReportMessage, WorkerReady
from loadr.engine.process import WorkerProcess
from loadr.errors import InternalFault

LIMIT_S = 20.0


class Watched:
    """A process with what it said and how it ended."""

    def __init__(self) -> None:
        self.reports: asyncio.Queue[ReportMessage] = asyncio.Queue()
        self.ends: list[str] = []
        self.process = WorkerProcess(
            3, lambda process, report: self.reports.put_nowait(report), lambda process, how: self.ends.append(how)
        )

    async def ready(self) -> WorkerReady:
        await self.process.spawn()
        report = await asyncio.wait_for(self.reports.get(), LIMIT_S)
        assert isinstance(report, WorkerReady)
        return report

    async def gone(self) -> str:
        await asyncio.wait_for(self.process.gone.wait(), LIMIT_S)
        assert self.ends == [self.process.how_ended]
        self.process.close()
        return self.ends[0]


def test_it_comes_up_says_so_and_leaves_when_told() -> None:
    async def main() -> None:
        watched = Watched()
        assert watched.process.pid == 0
        assert (await watched.ready()).pid == watched.process.pid
        watched.process.send(ExitOrder())
        how = await watched.gone()
        assert how.startswith(("left with exit code 0", "was killed by SIGKILL"))
        watched.process.kill()  # nobody is there: nothing happens
        watched.process.send(ExitOrder())

    asyncio.run(main())


def test_a_kill_from_outside_and_one_of_ours_are_told_apart() -> None:
    async def main() -> None:
        watched = Watched()
        await watched.ready()
        os.kill(watched.process.pid, signal.SIGTERM)
        assert await watched.gone() == "was killed by SIGTERM"
        ours = Watched()
        await ours.ready()
        ours.process.kill("it was frozen")
        assert await ours.gone() == "was killed by SIGKILL (it was frozen)"

    asyncio.run(main())


def test_a_real_time_signal_has_a_number() -> None:
    async def main() -> None:
        watched = Watched()
        await watched.ready()
        os.kill(watched.process.pid, signal.SIGRTMIN + 5)
        assert await watched.gone() == f"was killed by signal {signal.SIGRTMIN + 5}"

    asyncio.run(main())


def test_the_terminals_interrupt_does_not_end_it() -> None:
    async def main() -> None:
        watched = Watched()
        await watched.ready()
        os.kill(watched.process.pid, signal.SIGINT)
        os.kill(watched.process.pid, signal.SIGTERM)
        assert await watched.gone() == "was killed by SIGTERM"

    asyncio.run(main())


def test_a_program_that_can_not_start_is_gone_with_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadr.engine.headstart.sys.executable", "/bin/false")

    async def main() -> None:
        watched = Watched()
        await watched.process.spawn()
        assert await watched.gone() == "left with exit code 1"

    asyncio.run(main())


def test_a_program_that_does_not_exist_raises_and_leaves_no_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadr.engine.headstart.sys.executable", "/nowhere/python")

    async def main() -> None:
        watched = Watched()
        before = len(list(Path("/proc/self/fd").iterdir()))
        with pytest.raises(OSError, match="nowhere"):
            await watched.process.spawn()
        assert len(list(Path("/proc/self/fd").iterdir())) == before
        watched.process.close()

    asyncio.run(main())


def test_only_the_main_thread_may_spawn() -> None:
    caught: list[BaseException] = []

    async def spawn() -> None:
        watched = Watched()
        try:
            await watched.process.spawn()
        finally:
            watched.process.close()

    def body() -> None:
        try:
            asyncio.run(spawn())
        except InternalFault as fault:
            caught.append(fault)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join(LIMIT_S)
    assert len(caught) == 1
