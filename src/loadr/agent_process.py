"""The process `loadr agent`: its flags, its log, its signals, and the one agent in it.

Takes the flags; serves until told to leave, and gives the exit code. A line of log goes to stderr.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

from loadr.agent import Agent, AgentSetup, open_corpora
from loadr.transport.corpora import Corpora
from loadr.transport.grpc_client import GrpcDialer
from loadr.transport.tls import client_tls


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """The flags of `loadr agent`. ``join`` is HOST:PORT; ``workers`` None: one per core."""

    join: str
    name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    workers: int | None = None
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    token_file: Path | None = None
    insecure: bool = False
    work_dir: Path | None = None
    corpora: Mapping[str, Path] = field(default_factory=dict)
    until_stdin_ends: bool = False  # for a parent that must not leave the agent behind


def serve(options: AgentOptions) -> int:
    """Run one agent until it is told to leave (SIGTERM, SIGINT: drain; twice: at once). The exit code."""
    return asyncio.run(_serve(options))


async def _serve(options: AgentOptions) -> int:
    name = options.name or f"{socket.gethostname()}-{token_hex(2)}"
    workers = options.workers or len(os.sched_getaffinity(0))
    dialer = GrpcDialer(
        options.join,
        tls=client_tls(options.tls_ca, options.tls_cert, options.tls_key),
        insecure=options.insecure,
        token_file=options.token_file,
    )

    def log(level: str, text: str) -> None:
        mark = "" if level == "info" else f"{level}: "
        print(f"loadr agent {name}: {mark}{text}", file=sys.stderr, flush=True)

    corpora = await open_corpora(Corpora(options.corpora, options.work_dir), lambda text: log("info", text))
    agent = Agent(AgentSetup(name, workers, options.labels, options.work_dir, corpora), dialer, log)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, agent.drain, f"told to leave by {signal.Signals(number).name}")
    if dialer.in_the_open:
        log("warning", f"everything, tokens and secrets too, travels in plaintext to {options.join} (--insecure)")
    if options.until_stdin_ends:
        _watch_stdin(loop, agent)
    plural = "s" if workers != 1 else ""
    log("info", f"joining {options.join} with {workers} worker{plural}")
    return await agent.run()


def _watch_stdin(loop: asyncio.AbstractEventLoop, agent: Agent) -> None:
    """Leave at once when stdin ends: nobody is left who would take what is delivered."""
    stdin = sys.stdin.fileno()

    def leave() -> None:
        for _ in range(2):
            agent.drain("who started it is gone")

    def look() -> None:
        if not os.read(stdin, 4096):
            loop.remove_reader(stdin)
            leave()

    try:
        loop.add_reader(stdin, look)
    except PermissionError:  # a file or /dev/null, which nobody holds open
        leave()
