"""The demo target in a process of its own, for tests, benchmarks and the demo.

Takes the flags of ``loadr target``; gives its address and its counters, and never leaves it behind: it ends with
`close`, and also when this process dies, because it watches its standard input.
"""

from __future__ import annotations

import http.client
import json
import select
import ssl
import subprocess
import sys
import tempfile
from types import TracebackType
from typing import Any, Self

from loadr.errors import LoadrError
from loadr.testing.target import READY

START_LIMIT_S = 20.0
ANSWER_LIMIT_S = 10.0
END_LIMIT_S = 5.0


class TargetFault(LoadrError):
    """The target did not start, or does not answer."""


class TargetProcess:
    """``with TargetProcess("--delay", "20ms") as target: …``; it listens when the constructor returns.

    It listens on a free port of 127.0.0.1 unless ``--bind`` is among the flags. Raises `TargetFault` with what it
    said when it did not come up within 20 s.
    """

    def __init__(self, *flags: str) -> None:
        bind = () if "--bind" in flags else ("--bind", "127.0.0.1:0")
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loadr.testing.target", "--until-stdin-ends", *bind, *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            start_new_session=True,  # the terminal's Ctrl-C is not meant for it
        )
        try:
            self.url = self._await_ready()
        except BaseException:
            self.close()
            raise
        self._https = self.url.startswith("https:")
        self.host, _, port = self.url.partition("://")[2].rpartition(":")
        self.port = int(port)
        self.pid = self._process.pid

    def _await_ready(self) -> str:
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], START_LIMIT_S)
        line = self._process.stdout.readline().decode() if readable else ""
        if not line.startswith(READY):
            self._complaints.seek(0)
            said = self._complaints.read().decode(errors="replace").strip() or f"nothing in {START_LIMIT_S:g} s"
            raise TargetFault(f"the demo target did not start; it said: {said}")
        return line.removeprefix(READY).strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def counters(self) -> dict[str, Any]:
        """`loadr.testing.counters.TargetCounters.to_json` of now."""
        counters = json.loads(self._ask("GET", "/control/counters"))
        assert isinstance(counters, dict)
        return counters

    def stall(self, seconds: float) -> None:
        """No answer leaves for so long from now; requests are still taken and counted."""
        self._ask("POST", f"/control/stall?for={seconds:.9f}")

    def reset(self) -> None:
        """Count from zero."""
        self._ask("POST", "/control/reset")

    def close(self) -> None:
        """SIGTERM, then SIGKILL; safe to call twice."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(END_LIMIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(END_LIMIT_S)
        for stream in (self._process.stdin, self._process.stdout, self._complaints):
            if stream is not None:
                stream.close()

    def _ask(self, method: str, path: str) -> bytes:
        """One request to the control's paths. Raises `TargetFault`."""
        host = self.host.strip("[]")
        connection = (
            http.client.HTTPSConnection(host, self.port, timeout=ANSWER_LIMIT_S, context=_trusting())
            if self._https
            else http.client.HTTPConnection(host, self.port, timeout=ANSWER_LIMIT_S)
        )
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as fault:
            raise TargetFault(f"the demo target at {self.url} does not answer: {fault}") from fault
        finally:
            connection.close()
        if answer.status != 200:
            raise TargetFault(f"{method} {path} gave {answer.status}: {body.decode(errors='replace')}")
        return body


def _trusting() -> ssl.SSLContext:
    """The target is our own child: nothing is to be proven."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
