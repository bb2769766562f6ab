"""What the controller says of connections that TLS turned away: a line in our words, and then a count.

gRPC's C core alone knows why a handshake failed, and tells nobody but file descriptor 2, a line for each. So
while this is open that descriptor is a pipe, which is read on the event loop: lines of gRPC become our words or
nothing, all others go where they went before. Python's own `sys.stderr` does not pass through it.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Callable

QUIET_S = 10.0
_MAX_LINE_BYTES = 64 * 1024
_OF_GRPC = re.compile(rb"(?:[IWEF]\d{4} [\d:.]+ +\d+ [\w./-]+:\d+\] |WARNING: All log messages before absl)")
_FAILED = re.compile(rb"Handshake failed .*?error:[0-9a-f]+:[^:]*:[^:]*:(\w+)(?:: (.*))?")
NO_TLS = "it does not speak TLS"
_WORDS: tuple[tuple[str, str], ...] = (
    ("certificate has expired", "its certificate has expired"),
    ("not yet valid", "its certificate is not valid yet"),
    ("unsupported certificate purpose", "its certificate is not one for agents"),
    ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "it showed no certificate"),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not signed by the CA of --tls-client-ca"),
    ("BAD_SIGNATURE", "its certificate is not signed by the CA of --tls-client-ca"),
    ("certificate signature failure", "its certificate is not signed by the CA of --tls-client-ca"),
    ("ALERT", "it turned our certificate down"),
    ("HTTP_REQUEST", NO_TLS),
    ("WRONG_VERSION_NUMBER", NO_TLS),
    ("BAD_PACKET_LENGTH", NO_TLS),
    ("UNSUPPORTED_PROTOCOL", "it speaks no version of TLS that we do"),
)
OTHER = "the handshake failed"


def explain(line: bytes) -> str | None:
    """Our words for a line of gRPC about a failed handshake; None for any other line."""
    failed = _FAILED.search(line)
    if failed is None:
        return None
    text = b" ".join(part for part in failed.groups() if part).decode("latin-1")
    return next((words for sign, words in _WORDS if sign in text), OTHER)


class Refusals:
    """Says the first of a kind at once, and how many followed once the quiet time is over."""

    def __init__(
        self, say: Callable[[str], None], loop: asyncio.AbstractEventLoop, quiet_s: float = QUIET_S
    ) -> None:
        self._say = say
        self._loop = loop
        self._quiet_s = quiet_s
        self._more: dict[str, int] = {}

    def add(self, why: str) -> None:
        """One more connection was turned away."""
        if why in self._more:
            self._more[why] += 1
            return
        self._more[why] = 0
        self._say(f"a connection was refused: {why}")
        self._loop.call_later(self._quiet_s, self._sum_up, why)

    def _sum_up(self, why: str) -> None:
        more = self._more.pop(why)
        if more:
            self._say(f"{more} more within {self._quiet_s:g} s: {why}")


class HandshakeLog:
    """To be opened before gRPC is imported in this process: that is when it settles what it says."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._saved = -1
        self._pipe = -1
        self._rest = b""

    def open(self) -> None:
        """Take file descriptor 2. Does nothing if somebody wants gRPC's own log (GRPC_VERBOSITY)."""
        if os.environ.get("GRPC_VERBOSITY", "NONE") != "NONE":
            return
        os.environ["GRPC_VERBOSITY"] = "INFO"
        loop = asyncio.get_running_loop()
        self._refusals = Refusals(self._say, loop)
        sys.stderr.flush()
        self._saved = os.dup(2)
        self._pipe, write_end = os.pipe()
        os.set_blocking(self._pipe, False)
        os.set_blocking(write_end, False)  # gRPC's threads must never wait for us; what has no room is lost
        os.dup2(write_end, 2)
        os.close(write_end)
        if sys.stderr.fileno() == 2:
            sys.stderr = os.fdopen(os.dup(self._saved), "w", buffering=1)
        loop.add_reader(self._pipe, self._read)

    def close(self) -> None:
        """Give file descriptor 2 back."""
        if self._saved < 0:
            return
        os.environ["GRPC_VERBOSITY"] = "NONE"
        asyncio.get_running_loop().remove_reader(self._pipe)
        os.dup2(self._saved, 2)
        os.close(self._saved)
        os.close(self._pipe)
        self._saved = -1

    def _read(self) -> None:
        try:
            data = os.read(self._pipe, _MAX_LINE_BYTES)
        except BlockingIOError:
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-_MAX_LINE_BYTES:]
        for line in lines:
            if not _OF_GRPC.match(line):
                os.write(self._saved, line + b"\n")
            elif (why := explain(line)) is not None:
                self._refusals.add(why)
