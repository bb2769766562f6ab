"""A real fleet for tests: `loadr controller` and `loadr agent` processes on loopback, ended by pid at the end.

Every wait has a limit; what the processes said is in the message when something does not come about.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

LOADR = (sys.executable, "-m", "loadr")
START_LIMIT_S = 20.0
END_LIMIT_S = 15.0


def await_condition(condition: Callable[[], bool], what: str, limit_s: float = 20.0) -> None:
    """Look every 20 ms until ``condition`` holds; `AssertionError` in words after ``limit_s``."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {limit_s:g} s")
        time.sleep(0.02)


def run_loadr(
    *arguments: str, limit_s: float = 60.0, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """One command, as a person runs it without a terminal."""
    return subprocess.run(
        [*LOADR, *arguments],
        capture_output=True,
        text=True,
        timeout=limit_s,
        cwd=cwd,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )


class Process:
    """One process of the fleet; its words go to a file that `said` reads."""

    def __init__(
        self, command: Sequence[str], folder: Path, name: str, env: dict[str, str] | None = None
    ) -> None:
        self.name = name
        self._log_path = folder / f"{name}.log"
        self._log: IO[bytes] = self._log_path.open("wb")
        self.popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(env or {})},
        )

    @property
    def said(self) -> str:
        return self._log_path.read_text(errors="replace")

    def await_words(self, pattern: str, limit_s: float = START_LIMIT_S) -> re.Match[str]:
        """The first match of ``pattern`` in what it said."""
        deadline = time.monotonic() + limit_s
        while (match := re.search(pattern, self.said)) is None:
            if self.popen.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{self.name} did not say {pattern!r}; it said:\n{self.said}")
            time.sleep(0.02)
        return match

    @property
    def children(self) -> list[int]:
        """Pids: the workers of an agent."""
        pid = self.popen.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def freeze(self) -> None:
        """SIGSTOP, and its workers with it."""
        os.killpg(self.popen.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT for all of them."""
        os.killpg(self.popen.pid, signal.SIGCONT)

    def kill(self) -> None:
        """kill -9, and reap."""
        self.popen.kill()
        self.popen.wait(END_LIMIT_S)

    def end(self) -> None:
        """SIGTERM; SIGKILL after a limit."""
        if self.popen.poll() is None:
            self.thaw()  # what is frozen would not hear of it
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(END_LIMIT_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self._log.close()


class Fleet:
    """A controller; agents are added with `agent`."""

    def __init__(self, *controller_flags: str) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="loadr-test-")
        self.folder = Path(self._temporary.name)
        self.processes: list[Process] = []
        command = [*LOADR, "controller", "--bind", "127.0.0.1:0", "--api", "127.0.0.1:0", *controller_flags]
        self.controller = self.start(command, "controller")
        try:
            self.port = int(self.controller.await_words(r"agents join at \S+?:(\d+)")[1])
            self.api = self.controller.await_words(r"API at (?:https?://)?(\S+:\d+)")[1]
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def agent(
        self, name: str, *flags: str, port: int | None = None, env: dict[str, str] | None = None
    ) -> Process:
        """One more agent; not yet joined when this returns (see `await_agents`)."""
        command = [
            *(*LOADR, "agent", "--join", f"127.0.0.1:{port or self.port}", "--name", name),
            *("--workers", "1", *flags),
        ]
        return self.start(command, name, env)

    def await_agents(self, count: int) -> None:
        """Until so many agents have joined, by the controller's own words."""
        await_condition(
            lambda: len(set(re.findall(r"agent (\S+) joined", self.controller.said))) >= count,
            f"{count} agents join; the controller said:\n{self.controller.said}",
        )

    def close(self) -> None:
        for process in reversed(self.processes):
            process.end()
        self._temporary.cleanup()

    def start(self, command: Sequence[str], name: str, env: dict[str, str] | None = None) -> Process:
        """One more process, which ends with the fleet."""
        process = Process(command, self.folder, name, env)
        self.processes.append(process)
        return process
