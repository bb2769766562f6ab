"""A target for tests that sends exactly the bytes it is told to: broken ones, late ones, or none.

Takes an ``async def`` of a connection (`asyncio` streams) or a list of answers; gives a server on a free port of
loopback, on the loop of the test. `run` runs a test's coroutine on uvloop within a limit.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import uvloop

LIMIT_S = 20

T = TypeVar("T")
Handler = Callable[["Peer"], Awaitable[object]]


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a test's coroutine, on uvloop; `TimeoutError` after a while."""

    async def limited() -> T:
        return await asyncio.wait_for(coroutine, LIMIT_S)

    return uvloop.run(limited())


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until something holds; `TimeoutError` after a while."""
    async with asyncio.timeout(LIMIT_S / 2):
        while not condition():  # noqa: ASYNC110 - what is awaited has no event to set
            await asyncio.sleep(0.001)


class Peer:
    """One connection, from the target's side. ``number`` counts connections from 0."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader = reader
        self.writer = writer
        self.number = number

    async def request(self) -> bytes:
        """The next request, head and body; empty at the end of the connection."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return b""
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                return head + await self.reader.readexactly(int(value))
        return head

    async def send(self, *chunks: bytes) -> None:
        """Each chunk in a write of its own."""
        for chunk in chunks:
            self.writer.write(chunk)
            await self.writer.drain()

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """Close with RST."""
        self.writer.transport.abort()


class Scripted:
    """``async with Scripted(handler) as target``: ``port``, ``requests`` as they came, ``connections`` so far."""

    def __init__(self, handler: Handler, *, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._handler = handler
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    def answering(cls, *answers: bytes, tls: ssl.SSLContext | None = None) -> Scripted:
        """Each request of a connection gets the next answer, and again the last one when they are used up."""

        async def handle(peer: Peer) -> None:
            left = list(answers)
            while request := await peer.request():
                target.requests.append(request)
                await peer.send(left.pop(0) if len(left) > 1 else left[0])

        target = cls(handle, tls=tls)
        return target

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Scripted:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        try:
            await self._handler(Peer(reader, writer, self.connections - 1))
        except (ConnectionError, asyncio.CancelledError):
            pass  # the other end is gone, or the test is over
        finally:
            writer.close()


def answer(body: bytes = b"ok", status: str = "200 OK", *headers: str) -> bytes:
    """A response with content-length."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body
