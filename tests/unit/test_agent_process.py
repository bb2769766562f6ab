"""One agent process, told to leave while nobody is there whom it could join."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from loadr.errors import ExitCode

LIMIT_S = 30.0


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


def start(address: str, *flags: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "loadr", "agent", "--join", address, "--name", "a", "--workers", "1", *flags]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr.readline() == f"loadr agent a: joining {address} with 1 worker\n"
    return process


def test_told_to_leave_by_a_signal_it_does_in_words(nobody: str) -> None:
    with start(nobody) as process:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == ExitCode.PASSED
    assert "told to leave by SIGTERM" in said and "Traceback" not in said


def test_it_does_not_outlive_who_started_it(nobody: str) -> None:
    with start(nobody, "--until-stdin-ends") as process:
        _, said = process.communicate(timeout=LIMIT_S)  # closes its stdin
    assert process.returncode == ExitCode.PASSED
    assert "who started it is gone" in said and "Traceback" not in said


def test_an_input_that_nobody_holds_open_has_ended(nobody: str) -> None:
    command = [sys.executable, "-m", "loadr", "agent", "--join", nobody, "--workers", "1", "--until-stdin-ends"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == ExitCode.PASSED, done.stderr
    assert "who started it is gone" in done.stderr and "bug" not in done.stderr
