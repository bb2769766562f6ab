"""One worker process, as its agent holds it: how it is taken up, spoken to, watched and killed.

Takes an index and two functions; gives the reports of the worker, and one call, when it is gone, that says how.
How it is started is in `headstart`.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

from loadr.engine.channel import OrderMessage, ReportMessage, report_decoder
from loadr.engine.headstart import Started, take
from loadr.engine.link import Link
from loadr.engine.page import Page

_LAST_WORDS_S = 1.0
"""How long after the death of a worker its channel may still hold messages. It ends at once, unless a script
left children of its own behind that keep the socket open."""


class WorkerProcess:
    """``on_exit`` gets "left with exit code 3" or "was killed by SIGKILL", after the last report was handed
    on."""

    def __init__(
        self,
        index: int,
        on_report: Callable[[WorkerProcess, ReportMessage], None],
        on_exit: Callable[[WorkerProcess, str], None],
    ) -> None:
        self.index = index
        self.how_ended = ""
        self._on_report = on_report
        self._on_exit = on_exit
        self._link: Link[ReportMessage] = Link(report_decoder, self._report, self._link_lost)
        self._link_up = False
        self._started: Started | None = None
        self._pidfd = -1
        self._exited = False
        self._why_killed = ""
        self.gone = asyncio.Event()

    async def spawn(self) -> None:
        """Start the process and take up its channel. It says `WorkerReady` once its libraries are imported.

        Raises `OSError` if the process can not be created.
        """
        started = self._started = take()
        self._pidfd = os.pidfd_open(started.process.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._process_exited)
        self._link_up = True
        await self._link.attach(started.channel)

    @property
    def pid(self) -> int:
        """0 before `spawn`."""
        return self._started.process.pid if self._started else 0

    @property
    def page(self) -> Page:
        """Not before `spawn`, nor after `close`."""
        assert self._started is not None
        return self._started.page

    def send(self, order: OrderMessage) -> None:
        """Queue an order; ignored when the worker is gone."""
        self._link.send(order)

    def kill(self, why: str = "") -> None:
        """SIGKILL, if it still runs. ``why`` is added to what `on_exit` is told."""
        if self._started is not None and not self._exited:
            self._why_killed = self._why_killed or why
            self._started.process.kill()

    def close(self) -> None:
        """Give back the page. Only once `gone` is set."""
        if self._started is not None:
            self._started.page.close()

    def _report(self, message: ReportMessage) -> None:
        self._on_report(self, message)

    def _link_lost(self, why: str) -> None:
        self._link_up = False
        if self._exited:
            self._finish()
        else:
            self.kill(why)  # a worker that can not be spoken to is of no use, and must not put on load

    def _process_exited(self) -> None:
        assert self._started is not None
        code = self._started.process.poll()
        if code is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._exited = True
        how = f"was killed by {_signal_name(-code)}" if code < 0 else f"left with exit code {code}"
        self.how_ended = f"{how} ({self._why_killed})" if self._why_killed else how
        if self._link_up:
            loop.call_later(_LAST_WORDS_S, self._stop_listening)
        else:
            self._finish()

    def _stop_listening(self) -> None:
        self._link.abort()
        self._finish()

    def _finish(self) -> None:
        if not self.gone.is_set():
            self.gone.set()
            self._on_exit(self, self.how_ended)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # a real-time signal has no name
