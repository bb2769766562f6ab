"""The demo target: an HTTP/1.1 server to put load on, which counts exactly what arrived.

`Target` serves within a running event loop; `serve` is the whole command ``loadr target`` (also
``python -m loadr.testing.target``): it prints one line when it listens, runs till SIGINT or SIGTERM, and prints
its totals. What it answers stands in `loadr.testing.target_routes`.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import gc
import os
import resource
import signal
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from loadr.errors import ArgumentInvalid, LoadrError
from loadr.testing.counters import TargetCounters
from loadr.testing.target_behaviour import Behaviour, parse_delay, parse_rate, parse_size
from loadr.testing.target_connection import Connection
from loadr.testing.target_site import Site

BACKLOG = 4096
HANDSHAKE_LIMIT_S = 10
READY = "loadr target is listening on"


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """The flags of ``loadr target``, as texts where people write them so.

    ``delay``, ``error_rate`` and ``size`` hold for every answer whose request does not say otherwise;
    ``record_arrivals`` keeps the instants of the last so many requests; certificate and key are PEM files.
    """

    bind: str = "127.0.0.1:8080"
    delay: str = ""
    error_rate: str = "0"
    size: str = "0"
    seed: int = 0
    record_arrivals: int = 0
    tls_cert: Path | None = None
    tls_key: Path | None = None
    until_stdin_ends: bool = False  # for a parent that must not leave the target behind

    def behaviour(self) -> Behaviour:
        """Raises `ArgumentInvalid`."""
        try:
            return Behaviour(
                parse_delay(self.delay) if self.delay else None,
                parse_rate(self.error_rate),
                parse_size(self.size),
            )
        except ValueError as fault:
            raise ArgumentInvalid(str(fault), hint="see loadr target --help") from None

    def address(self) -> tuple[str, int]:
        """Host and port of ``bind``. Raises `ArgumentInvalid`."""
        host, colon, port = self.bind.rpartition(":")
        if not colon or not port.isdigit() or int(port) > 65535:
            raise ArgumentInvalid(
                f"{self.bind!r} is not an address", hint="write HOST:PORT, such as 127.0.0.1:8080"
            )
        return host.removeprefix("[").removesuffix("]"), int(port)

    def tls(self) -> ssl.SSLContext | None:
        """What the connections are encrypted with. Raises `ArgumentInvalid`."""
        if self.tls_cert is None and self.tls_key is None:
            return None
        if self.tls_cert is None or self.tls_key is None:
            raise ArgumentInvalid("one of --tls-cert and --tls-key is missing", hint="TLS needs both")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.tls_cert, self.tls_key)
        except OSError as fault:  # ssl.SSLError is one
            raise ArgumentInvalid(
                f"{self.tls_cert} and {self.tls_key} can not be used: {fault.strerror or fault}",
                hint="give a certificate and its private key as PEM files",
            ) from None
        return context


class Target:
    """A server and what its connections share."""

    def __init__(self, behaviour: Behaviour | None = None, *, seed: int = 0, record_arrivals: int = 0) -> None:
        self._site = Site(behaviour or Behaviour(), seed, record_arrivals)
        self._server: asyncio.Server | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0, ssl: ssl.SSLContext | None = None) -> int:
        """Listen; gives the port (``port`` 0: any free one). Raises `ArgumentInvalid` where it can not."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                partial(Connection, self._site, loop),
                host,
                port,
                ssl=ssl,
                backlog=BACKLOG,
                ssl_handshake_timeout=HANDSHAKE_LIMIT_S if ssl else None,
            )
        except OSError as fault:
            raise _can_not_listen(host, port, fault) from None
        return int(self._server.sockets[0].getsockname()[1])

    def counters(self) -> TargetCounters:
        """What was counted until now; it goes on counting."""
        return self._site.counters

    async def close(self) -> None:
        """Listen no more and end every connection."""
        if self._server is not None:
            self._server.close()
            for connection in list(self._site.connections):
                connection.close()
            await self._server.wait_closed()
            self._server = None


def _can_not_listen(host: str, port: int, fault: OSError) -> ArgumentInvalid:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if fault.errno == errno.EADDRINUSE:
        return ArgumentInvalid(
            f"{address} is in use by another program",
            hint="stop that program, or choose another address with --bind (port 0: any free one)",
        )
    return ArgumentInvalid(f"can not listen on {address}: {fault.strerror or fault}", hint="see --bind")


def serve(options: TargetOptions) -> None:
    """Serve until SIGINT or SIGTERM. Raises `ArgumentInvalid` when it can not start."""
    import uvloop

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(_serve(options))


async def _serve(options: TargetOptions) -> None:
    target = Target(options.behaviour(), seed=options.seed, record_arrivals=options.record_arrivals)
    host, port = options.address()
    tls = options.tls()
    port = await target.start(host, port, tls)
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end.set)
    if options.until_stdin_ends:
        stdin = sys.stdin.fileno()
        loop.add_reader(stdin, lambda: None if os.read(stdin, 4096) else end.set())
    shown = f"[{host}]" if ":" in host else host
    print(f"{READY} {'https' if tls else 'http'}://{shown}:{port}", flush=True)
    gc.freeze()
    await end.wait()
    await target.close()
    print(_totals(target.counters()), flush=True)


def _totals(counters: TargetCounters) -> str:
    answers = ", ".join(f"{count:,} × {status}" for status, count in sorted(counters.by_status.items()))
    requests = f"{counters.total:,} request{'' if counters.total == 1 else 's'}"
    return f"loadr target counted {requests}{f' and answered {answers}' if answers else ''}"


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m loadr.testing.target``; gives the exit code."""
    parser = argparse.ArgumentParser("python -m loadr.testing.target", description="Start the demo target.")
    parser.add_argument("--bind", default="127.0.0.1:8080", help="HOST:PORT, port 0 for any free one")
    parser.add_argument(
        "--delay", default="", help="50ms, uniform:10ms,50ms, exponential:20ms, lognormal:20ms,0.5"
    )
    parser.add_argument("--error-rate", default="0", help="part of answers that are a 500, 0 to 1")
    parser.add_argument("--size", default="0", help="fill up JSON answers to this size, such as 2KB")
    parser.add_argument("--seed", type=int, default=0, help="of delays and errors")
    parser.add_argument("--record-arrivals", type=int, default=0, metavar="N", help="keep the last N instants")
    parser.add_argument("--tls-cert", type=Path, help="PEM file")
    parser.add_argument("--tls-key", type=Path, help="PEM file")
    parser.add_argument("--until-stdin-ends", action="store_true", help="end when standard input is closed")
    try:
        serve(TargetOptions(**vars(parser.parse_args(arguments))))
    except LoadrError as fault:
        print(f"loadr target: {fault.message}\n  {fault.hint}", file=sys.stderr)
        return int(fault.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
