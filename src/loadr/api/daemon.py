"""The process `loadr controller`: one port for agents, one for people, until it is told to stop.

Takes flags and gives an exit code. What people and scripts read are the first two lines that it prints.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from loadr.api.desk import Desk
from loadr.api.listener import ApiListener
from loadr.controller import Controller
from loadr.transport.filestore import Uploads
from loadr.transport.grpc_server import GrpcServer
from loadr.transport.tls import server_tls

UPLOADS_QUOTA_BYTES = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ControllerOptions:
    """The flags of `loadr controller`. ``data_dir`` None: a temporary folder that goes with the process."""

    bind: str
    api: str
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    insecure: bool = False
    data_dir: Path | None = None


def serve(options: ControllerOptions) -> int:
    """Serve until SIGTERM or SIGINT. Raises `ArgumentInvalid` for what the flags get wrong."""
    if options.data_dir is not None:
        return asyncio.run(_serve(options, options.data_dir))
    with tempfile.TemporaryDirectory(prefix="loadr-controller-") as folder:
        return asyncio.run(_serve(options, Path(folder)))


async def _serve(options: ControllerOptions, data_dir: Path) -> int:
    controller = Controller(_log)
    server = GrpcServer(
        options.bind,
        tls=server_tls(options.tls_cert, options.tls_key, options.tls_client_ca),
        insecure=options.insecure,
        on_link=controller.accept,
    )
    api = ApiListener(options.api, Desk(controller, Uploads(data_dir / "uploads", UPLOADS_QUOTA_BYTES)))
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    controller.open()
    try:
        host, port = await server.start()
        api_host, api_port = await api.start()
        _log("info", f"agents join at {host}:{port}")
        _log("info", f"API at http://{api_host}:{api_port}")
        await stopped.wait()
        _log("info", "stopping; agents end their load when their lease ends, at the latest")
    finally:
        await api.stop()
        await controller.close()
        await server.stop()
    return 0


def _log(level: str, text: str) -> None:
    mark = "" if level == "info" else f"{level}: "
    print(f"loadr controller: {mark}{text}", file=sys.stderr, flush=True)
