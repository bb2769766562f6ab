"""A TCP proxy in user space for tests: forwards, counts, and on request resets links and refuses new ones.

Runs in a thread of its own, so that a test may block. Real sockets on both sides; a reset is a real RST.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

LINGER_RST = struct.pack("ii", 1, 0)


class Proxy:
    """Forwards 127.0.0.1:`port` to ``target_port``."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._refusing = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: asyncio.Server
        self.port = 0
        self.accepted = 0
        self.bytes_up = 0  # from those who connect
        self.bytes_down = 0  # to them

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._start(0))
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def cut_and_refuse(self) -> None:
        """Reset every open connection and refuse new ones until `allow`."""
        self._call(self._cut())

    def allow(self) -> None:
        """Listen again on the same port."""
        self._call(self._start(self.port))

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _start(self, port: int) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _cut(self) -> None:
        self._server.close()  # nobody listens: the kernel refuses
        for pair in tuple(self._pairs):
            for writer in pair:
                sock = writer.get_extra_info("socket")
                if sock is not None:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RST)
                writer.transport.abort()

    async def _stop(self) -> None:
        await self._cut()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, onward_writer)
        self._pairs.add(pair)
        try:
            await asyncio.gather(
                _copy(reader, onward_writer, self._count_up), _copy(onward_reader, writer, self._count_down)
            )
        except asyncio.CancelledError:
            return  # the proxy ends; a cancelled handler would be logged as if it had failed
        finally:
            self._pairs.discard(pair)
            for each in pair:
                each.close()

    def _count_up(self, size_bytes: int) -> None:
        self.bytes_up += size_bytes

    def _count_down(self, size_bytes: int) -> None:
        self.bytes_down += size_bytes


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: Callable[[int], None]) -> None:
    try:
        while data := await reader.read(65536):
            count(len(data))
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except (OSError, RuntimeError):
        writer.transport.abort()
