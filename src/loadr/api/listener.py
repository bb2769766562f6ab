"""Serves the API on the controller's own event loop: an address in, a listening socket out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import uvicorn

from loadr.api.facade import ControllerFacade
from loadr.api.server import create_app
from loadr.errors import ArgumentInvalid
from loadr.transport.address import parse_address
from loadr.transport.binding import bind_socket

MAX_REQUESTS = 32  # at once; uploads are held in memory
STOP_S = 2


class _Server(uvicorn.Server):
    """Signals belong to the controller."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class ApiListener:
    """Raises `ArgumentInvalid` when ``bind`` is no address of loopback: the API knows no passwords yet."""

    def __init__(self, bind: str, controller: ControllerFacade) -> None:
        self._address = parse_address(bind)
        if not self._address.loopback:
            raise ArgumentInvalid(
                f"the API has no passwords, so it can not listen on {self._address}",
                hint="give --api an address of loopback, and reach it from elsewhere through ssh -L",
            )
        config = uvicorn.Config(
            create_app(controller),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=MAX_REQUESTS,
            timeout_graceful_shutdown=STOP_S,
        )
        self._server = _Server(config)
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> tuple[str, int]:
        """Listen; gives the host and the port. Raises `ArgumentInvalid`, for instance when the port is in use."""
        listener = bind_socket(self._address, "--api")
        listener.listen(64)
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
