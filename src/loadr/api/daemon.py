"""The process `loadr controller`: one port for agents, one for people, until it is told to stop.

Takes flags and gives an exit code. What people and scripts read are the first two lines that it prints.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import uvloop

from loadr.api.desk import Desk
from loadr.api.listener import ApiListener
from loadr.controller import Controller
from loadr.errors import ArgumentInvalid
from loadr.transport.address import parse_address
from loadr.transport.filestore import Uploads
from loadr.transport.handshake_log import HandshakeLog
from loadr.transport.tls import api_tls, server_tls
from loadr.transport.tokens import TokenReader, TokenStore

UPLOADS_QUOTA_BYTES = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ControllerOptions:
    """The flags of `loadr controller`. ``data_dir`` None: a temporary folder that goes with the process."""

    bind: str
    api: str
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    token_file: Path | None = None
    api_tls_cert: Path | None = None
    api_tls_key: Path | None = None
    api_token_file: Path | None = None
    insecure: bool = False
    data_dir: Path | None = None


def serve(options: ControllerOptions) -> int:
    """Serve until SIGTERM or SIGINT. Raises `ArgumentInvalid` for what the flags get wrong."""
    spare_the_collector()
    if options.data_dir is not None:
        return uvloop.run(_serve(options, options.data_dir))
    with tempfile.TemporaryDirectory(prefix="loadr-controller-") as folder:
        return uvloop.run(_serve(options, Path(folder)))


def spare_the_collector() -> None:
    """Look for cycles of garbage rarely: messages leave none, and a full search stops the loop for as long as it
    takes to visit all that is known of a thousand agents (100 ms)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


async def _serve(options: ControllerOptions, data_dir: Path) -> int:
    _refuse_open_door(options)
    controller = Controller(_log, tokens=_tokens(options.token_file, "--token-file"))
    tls = server_tls(options.tls_cert, options.tls_key, options.tls_client_ca)
    handshakes = HandshakeLog(lambda text: _log("warning", text))
    if tls is not None:
        handshakes.open()
    from loadr.transport.grpc_server import GrpcServer  # after that: it imports gRPC

    server = GrpcServer(
        options.bind,
        tls=tls,
        insecure=options.insecure,
        on_link=controller.accept,
    )
    api = ApiListener(
        options.api,
        Desk(controller, Uploads(data_dir / "uploads", UPLOADS_QUOTA_BYTES)),
        tls=api_tls(options.api_tls_cert, options.api_tls_key),
        tokens=_tokens(options.api_token_file, "--api-token-file"),
    )
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    controller.open()
    try:
        host, port = await server.start()
        api_host, api_port = await api.start()
        _log("info", f"agents join at {host}:{port}")
        _log("info", f"API at {api.scheme}://{api_host}:{api_port}")
        if tls is None and not parse_address(options.bind).loopback:
            _log("warning", "agents get everything, secrets too, in plaintext (--insecure)")
        await stopped.wait()
        _log("info", "stopping; agents end their load when their lease ends, at the latest")
    finally:
        await api.stop()
        await controller.close()
        await server.stop()
        handshakes.close()
    return 0


def _tokens(path: Path | None, flag: str) -> TokenReader | None:
    return None if path is None else TokenReader(TokenStore(path, flag))


def _refuse_open_door(options: ControllerOptions) -> None:
    """TLS keeps listeners out, but not strangers that join as agents and are sent plans and secrets."""
    known = options.tls_client_ca is not None or options.token_file is not None
    if known or options.insecure or options.tls_cert is None or parse_address(options.bind).loopback:
        return
    raise ArgumentInvalid(
        f"anybody who reaches {options.bind} could join as an agent",
        hint="give --tls-client-ca (certificates) or --token-file (tokens), or accept it with --insecure",
    )


def _log(level: str, text: str) -> None:
    mark = "" if level == "info" else f"{level}: "
    print(f"loadr controller: {mark}{text}", file=sys.stderr, flush=True)
