"""From a target to a connection: name, TCP, TLS, each with its time and its kind of failure.

Takes a `Target` and a deadline; gives an `Opening`: a connection with the time of each phase, or a kind of
failure. Names are resolved once per worker and run: a load test must not be a load test of the name server.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import NamedTuple

from loadr.engine import failures
from loadr.engine.http1 import Connection, KnownHeads
from loadr.engine.requests import Target
from loadr.units import NS_PER_S

_MAX_HOSTS = 10_000

Address = tuple[int, int, int, tuple[str, int] | tuple[str, int, int, int]]  # family, type, protocol, address


class Opening(NamedTuple):
    """``connection`` is None if it failed."""

    connection: Connection | None
    connecting_ns: int = 0
    tls_ns: int = 0
    failure: str = ""
    failure_detail: str = ""


class Opener:
    """One per worker. ``connections`` holds every connection that is open."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], int]) -> None:
        self.connections: set[Connection] = set()
        self.known_heads: KnownHeads = {}
        self._loop = loop
        self._clock = clock
        self._addresses: dict[tuple[str, int], list[Address]] = {}
        self._resolving: dict[tuple[str, int], asyncio.Task[list[Address]]] = {}

    async def open(self, target: Target, deadline_at: int, context: ssl.SSLContext | None) -> Opening:
        """Connect, and shake hands if there is a ``context``. Raises nothing but cancellation."""
        clock = self._clock
        late = failures.DNS
        left_s = max((deadline_at - clock()) / NS_PER_S, 0.0)
        try:
            async with asyncio.timeout(left_s):
                addresses = await self._resolve(target)
                late = failures.CONNECT_TIMEOUT
                begin_at = clock()
                sock = await self._connect(addresses)
                connected_at = clock()
                late = failures.TLS_HANDSHAKE if context else failures.CONNECT_TIMEOUT
                connection = await self._attach(sock, target, context, left_s)
        except TimeoutError:
            return Opening(None, failure=late, failure_detail="timed out")
        except UnicodeError as error:
            return Opening(None, failure=failures.DNS, failure_detail=str(error))
        except OSError as error:
            kind = failures.classify_opening(error)
            if late == failures.TLS_HANDSHAKE and kind != failures.TLS_CERTIFICATE:
                kind = late  # the peer hung up on the handshake
            return Opening(None, failure=kind, failure_detail=error.strerror or str(error))
        tls_ns = clock() - connected_at if context else 0
        return Opening(connection, connected_at - begin_at, tls_ns)

    async def _resolve(self, target: Target) -> list[Address]:
        """The addresses of a host, in the resolver's order; the one that worked last stands first."""
        key = (target.host, target.port)
        found = self._addresses.get(key)
        if found is not None:
            return found
        task = self._resolving.get(key)
        if task is None:
            task = self._resolving[key] = self._loop.create_task(self._look_up(key))
            task.add_done_callback(lambda done: self._resolved(key, done))
        return await asyncio.shield(task)  # others wait for it too

    async def _look_up(self, key: tuple[str, int]) -> list[Address]:
        found = await self._loop.getaddrinfo(*key, type=socket.SOCK_STREAM)
        return [(family, kind, protocol, address) for family, kind, protocol, _, address in found]  # type: ignore[misc]

    def _resolved(self, key: tuple[str, int], task: asyncio.Task[list[Address]]) -> None:
        del self._resolving[key]
        if (
            not task.cancelled() and task.exception() is None
        ):  # failures are not kept: the next request asks again
            if len(self._addresses) >= _MAX_HOSTS:
                self._addresses.clear()
            self._addresses[key] = task.result()

    async def _connect(self, addresses: list[Address]) -> socket.socket:
        """The first address that answers. Raises the `OSError` of the last one."""
        failed: OSError = OSError("the host has no address")
        for position, (family, kind, protocol, address) in enumerate(tuple(addresses)):
            try:
                sock = socket.socket(family, kind, protocol)
            except OSError as error:
                failed = error
                continue
            try:
                sock.setblocking(False)
                await self._loop.sock_connect(sock, address)
            except OSError as error:
                sock.close()
                failed = error
                continue
            except BaseException:
                sock.close()
                raise
            if position and position < len(addresses):
                addresses.insert(0, addresses.pop(position))
            return sock
        raise failed

    async def _attach(
        self, sock: socket.socket, target: Target, context: ssl.SSLContext | None, left_s: float
    ) -> Connection:
        try:
            _, connection = await self._loop.create_connection(
                lambda: Connection(self._loop, self._clock, self.known_heads, self.connections.discard),
                sock=sock,
                ssl=context,
                server_hostname=target.host if context else None,
                ssl_handshake_timeout=max(left_s, 0.001) if context else None,
            )
        except BaseException:
            sock.close()
            raise
        if context is None:
            connection.use_socket(sock)
        self.connections.add(connection)
        return connection

    async def close(self) -> None:
        """Abort every connection and every look-up."""
        for task in tuple(self._resolving.values()):
            task.cancel()
        now = self._clock()
        for connection in tuple(self.connections):
            connection.interrupt(now)
        await asyncio.sleep(0)
