"""Serves the API on the controller's own event loop: an address in, a listening socket out."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from loadr.api.facade import ControllerFacade
from loadr.api.server import create_app
from loadr.errors import ArgumentInvalid
from loadr.transport.address import parse_address
from loadr.transport.binding import bind_socket
from loadr.transport.tokens import TokenReader

MAX_REQUESTS = 32  # at once; uploads are held in memory
STOP_S = 2
HANDSHAKE_S = 10.0
FIRST_REQUEST_S = 5.0


class _Connection(H11Protocol):
    """Closed when no request has come a while after it was opened: idle connections must not use up the few."""

    limit_s = FIRST_REQUEST_S

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.loop.call_later(self.limit_s, self._mind_request)

    def _mind_request(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()


class _Server(uvicorn.Server):
    """Signals belong to the controller, and a handshake has a limit."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        config = self.config
        make = partial(_Connection, config=config, server_state=self.server_state, app_state={})
        self.servers = [
            await asyncio.get_running_loop().create_server(
                make, sock=sock, ssl=config.ssl, ssl_handshake_timeout=HANDSHAKE_S if config.ssl else None
            )
            for sock in sockets or ()
        ]
        self.started = True


class ApiListener:
    """``tls``: certificate and key; ``tokens``: those that a request must bear one of.

    Raises `ArgumentInvalid` when ``bind`` is no address, or is off loopback without both: the API takes code.
    """

    def __init__(
        self,
        bind: str,
        controller: ControllerFacade,
        *,
        tls: tuple[Path, Path] | None = None,
        tokens: TokenReader | None = None,
    ) -> None:
        self._address = parse_address(bind)
        if not self._address.loopback and (tls is None or tokens is None):
            raise ArgumentInvalid(
                f"the API takes code, so it can not listen on {self._address} without TLS and tokens",
                hint="give --api-tls-cert, --api-tls-key and --api-token-file; or give --api an address of"
                " loopback, and reach it from elsewhere through ssh -L",
            )
        self.scheme = "http" if tls is None else "https"
        config = uvicorn.Config(
            create_app(controller, tokens=tokens, loopback_only=self._address.loopback),
            http=_Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",  # what strangers send is no news, and there is no end of it
            access_log=False,
            server_header=False,
            limit_concurrency=MAX_REQUESTS,
            timeout_graceful_shutdown=STOP_S,
            ssl_certfile=None if tls is None else tls[0],
            ssl_keyfile=None if tls is None else tls[1],
        )
        self._server = _Server(config)
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> tuple[str, int]:
        """Listen; gives the host and the port. Raises `ArgumentInvalid`, for instance when the port is in use."""
        listener = bind_socket(self._address, "--api")
        listener.listen(64)
        listener.setblocking(False)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        return self._address.host, listener.getsockname()[1]

    async def stop(self) -> None:
        """Let requests end within a few seconds."""
        if self._serving is None:
            return
        self._server.should_exit = True
        _, late = await asyncio.wait({self._serving}, timeout=2 * STOP_S)
        for task in late:
            task.cancel()
