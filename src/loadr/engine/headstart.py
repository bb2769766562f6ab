"""Worker processes that are started before anything else.

Takes how many; gives, for each, the process, our end of its channel, and its page. Whoever knows that it will
need workers starts them first: they import their libraries while it imports its own. This module itself imports
next to nothing.

Workers are spawned (fork + exec), never forked, and from the main thread only: the signal that makes a worker die
with its agent follows the thread that created it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from loadr.engine.page import Page
from loadr.errors import InternalFault

_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""numpy's library starts a thread per core when it is imported; a worker has one core, and needs none of them."""


class Started(NamedTuple):
    """A worker process that nobody speaks to yet."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    page: Page


_ahead: deque[Started] = deque()


@contextmanager
def workers_ahead(count: int) -> Iterator[None]:
    """Start ``count`` workers for those who `take` them; at the end, what nobody took is killed."""
    with suppress(OSError):  # whoever takes one tries again, and says what is wrong
        for _ in range(count):
            _ahead.append(_start())
    try:
        yield
    finally:
        while _ahead:
            _end(_ahead.pop())


def take() -> Started:
    """A worker process: one that was started ahead, or else a new one. Raises `OSError` if none can be made."""
    return _ahead.popleft() if _ahead else _start()


def _start() -> Started:
    if threading.current_thread() is not threading.main_thread():
        raise InternalFault("workers must be spawned from the main thread")
    page = Page.create()
    ours, theirs = socket.socketpair()
    try:
        fds = (theirs.fileno(), page.fd)
        process = subprocess.Popen(
            (
                *(sys.executable, "-P", "-m", "loadr.engine.worker"),
                *("--channel-fd", str(fds[0]), "--page-fd", str(fds[1]), "--parent", str(os.getpid())),
            ),
            stdin=subprocess.DEVNULL,
            stdout=2,  # what a script prints goes to the agent's stderr
            pass_fds=fds,
            env={**_ONE_THREAD, **os.environ},
        )
    except BaseException:
        ours.close()
        page.close()
        raise
    finally:
        theirs.close()
    return Started(process, ours, page)


def _end(started: Started) -> None:
    started.process.kill()
    started.process.wait()
    started.channel.close()
    started.page.close()
