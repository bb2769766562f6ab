"""A TCP proxy in user space for tests: forwards, counts, and on request is as bad as a network can be.

It resets links and refuses new ones, keeps one end of a link open when the other is gone, holds bytes back in one
direction or both, delays them, and lets only so many through in a second. Runs in a thread of its own, so that a
test may block. Real sockets on both sides; a reset is a real RST, and what was held back arrives later, as after
TCP has sent it again.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

LINGER_RST = struct.pack("ii", 1, 0)
READ_BYTES = 4096
MAX_HELD = 16  # pieces of one link and direction under way; then the sender feels that nothing goes on
SLICES_PER_S = 50  # a slow link passes this many pieces in a second


class Way:
    """One direction of all links. ``bytes`` were taken from the senders; ``delay_s`` and ``bytes_per_s`` (None:
    no limit) may be changed at any time."""

    def __init__(self) -> None:
        self.bytes = 0
        self.delay_s = 0.0
        self.bytes_per_s: int | None = None
        self._open = asyncio.Event()
        self._open.set()

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until the sender ends, which is passed on; a broken link is broken on both sides."""
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(MAX_HELD)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._take(reader, held))
                both.create_task(self._give(held, writer))
        except* (OSError, RuntimeError):
            writer.transport.abort()

    async def _take(self, reader: asyncio.StreamReader, held: asyncio.Queue[tuple[float, bytes]]) -> None:
        now = asyncio.get_running_loop().time
        while data := await reader.read(READ_BYTES):
            self.bytes += len(data)
            await held.put((now() + self.delay_s, data))
        await held.put((now() + self.delay_s, b""))

    async def _give(self, held: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        now = asyncio.get_running_loop().time
        while True:
            due, data = await held.get()
            await asyncio.sleep(max(0.0, due - now()))
            if not data:
                await self._open.wait()
                writer.write_eof()
                return
            while data:
                await self._open.wait()
                limit = self.bytes_per_s
                size = len(data) if limit is None else max(1, limit // SLICES_PER_S)
                piece, data = data[:size], data[size:]
                writer.write(piece)
                await writer.drain()
                if limit is not None:
                    await asyncio.sleep(len(piece) / limit)

    def hold(self, is_held: bool) -> None:
        if is_held:
            self._open.clear()
        else:
            self._open.set()


class Proxy:
    """Forwards 127.0.0.1:`port` to ``target_port``. ``up`` is the way from the clients, ``down`` to them."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._links: dict[
            tuple[asyncio.StreamWriter, asyncio.StreamWriter], asyncio.Future[tuple[None, None]]
        ] = {}
        self._silent: list[asyncio.StreamWriter] = []  # of those whose target is gone, unheard of
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: asyncio.Server
        self.port = 0
        self.accepted = 0
        self.up = Way()
        self.down = Way()

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._start(0))
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @property
    def bytes_up(self) -> int:
        """From those who connect."""
        return self.up.bytes

    @property
    def bytes_down(self) -> int:
        """To them."""
        return self.down.bytes

    def cut_and_refuse(self) -> None:
        """Reset every open connection and refuse new ones until `allow`."""
        self._call(self._cut())

    def allow(self) -> None:
        """Listen again on the same port."""
        self._call(self._start(self.port))

    def stall(self, *, up: bool = True, down: bool = True) -> None:
        """Nothing passes in the named directions until `flow`, on links that are open and on new ones."""
        self._call(self._hold(up, down))

    def flow(self) -> None:
        """Everything passes, and first what was held back."""
        self._call(self._hold(False, False))

    def half_open(self) -> None:
        """Every open link is gone for the target, and those who connected hear nothing of it. New ones work."""
        self._call(self._halve())

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _start(self, port: int) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _hold(self, up: bool, down: bool) -> None:
        self.up.hold(up)
        self.down.hold(down)

    async def _cut(self) -> None:
        self._server.close()  # nobody listens: the kernel refuses
        for writer in [*self._silent, *(writer for pair in self._links for writer in pair)]:
            _reset(writer)
        self._silent.clear()

    async def _halve(self) -> None:
        for (writer, onward), forwarding in tuple(self._links.items()):
            self._silent.append(writer)
            forwarding.cancel()
            _reset(onward)

    async def _stop(self) -> None:
        await self._cut()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            onward_reader, onward = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, onward)
        forwarding = asyncio.gather(self.up.forward(reader, onward), self.down.forward(onward_reader, writer))
        self._links[pair] = forwarding
        try:
            await forwarding
        except asyncio.CancelledError:
            return  # the proxy ends, or halves the link; a cancelled handler would be logged as if it had failed
        finally:
            del self._links[pair]
            for each in pair:
                if each not in self._silent:
                    each.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RST)
    writer.transport.abort()
