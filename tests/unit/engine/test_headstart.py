"""Workers that are started ahead: taken in order, made anew when there are none, and never left behind."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from loadr.engine import headstart
from loadr.engine.channel import ExitOrder, OrderMessage, ReportMessage, WorkerReady
from loadr.engine.headstart import Started, take, workers_ahead
from loadr.engine.process import WorkerProcess
from loadr.errors import InternalFault
from support.workers import until


def is_there(started: Started) -> bool:
    return started.process.poll() is None


def end(started: Started) -> None:
    started.process.kill()
    started.process.wait()
    started.channel.close()
    started.page.close()


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_those_started_ahead_are_taken_first_and_the_rest_is_ended() -> None:
    with workers_ahead(2):
        first, second = list(headstart._ahead)
        taken = take()
        assert taken is first and is_there(second)
    assert is_there(taken) and not is_there(second)
    assert second.channel.fileno() == -1 and second.page.fd == -1
    end(taken)


def test_without_a_head_start_one_is_made() -> None:
    started = take()
    assert is_there(started) and os.pread(started.page.fd, 8, 0) == bytes(8)
    end(started)


def test_one_that_was_started_ahead_works_as_any_other() -> None:
    async def go() -> None:
        reports: list[ReportMessage] = []
        ended: list[str] = []
        worker = WorkerProcess(0, lambda _, report: reports.append(report), lambda _, how: ended.append(how))
        with workers_ahead(1):
            pid = headstart._ahead[0].process.pid
            await worker.spawn()
            assert worker.pid == pid
            await until(lambda: bool(reports), "the worker is up")
        assert isinstance(reports[0], WorkerReady) and reports[0].pid == pid
        order: OrderMessage = ExitOrder()
        worker.send(order)
        await until(lambda: bool(ended), "it is gone")
        assert ended == ["left with exit code 0"]
        worker.close()

    asyncio.run(go())


def test_workers_are_started_by_the_main_thread_only() -> None:
    seen: list[Exception] = []

    def elsewhere() -> None:
        try:
            take()
        except InternalFault as fault:
            seen.append(fault)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert len(seen) == 1 and "main thread" in str(seen[0])


def test_when_no_process_can_be_made_only_who_takes_one_hears_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError("too many processes")

    monkeypatch.setattr(headstart.subprocess, "Popen", refuse)
    before = descriptors()
    with workers_ahead(3):
        assert not headstart._ahead
        with pytest.raises(BlockingIOError):
            take()
    assert descriptors() == before
