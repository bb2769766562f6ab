"""Either end of the control channel on an event loop: whole messages in, frames out, both bounded.

Takes a connected stream socket; gives messages of `loadr.engine.channel` to a function, and one call when the
other end is gone or has sent what can not be read.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Generic, TypeVar, cast

import msgspec

from loadr.engine.channel import MAX_FRAME_BYTES, FrameReader, OrderMessage, ReportMessage, encode_frame

T = TypeVar("T")
MAX_UNSENT_BYTES = 2 * MAX_FRAME_BYTES
"""What may wait for a peer that does not read, such as an agent that is frozen; beyond it the link is cut."""


class Link(asyncio.Protocol, Generic[T]):
    """``on_lost`` is called once, with "" at a plain end of stream or else with what went wrong."""

    def __init__(
        self,
        decoder: msgspec.msgpack.Decoder[T],
        on_message: Callable[[T], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._reader = FrameReader(decoder)
        self._on_message = on_message
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._why_lost = ""

    async def attach(self, sock: socket.socket) -> None:
        """Take over a connected socket; it is closed with the link."""
        sock.setblocking(False)
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=sock)

    def send(self, message: OrderMessage | ReportMessage) -> None:
        """Queue one message. Ignored once the other end is gone. Raises `ValueError` on an oversized frame."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(encode_frame(message))
        if transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self._cut("the other end has stopped reading")

    def close(self) -> None:
        """Send what waits, then end the stream."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the stream now."""
        if self._transport is not None:
            self._transport.abort()

    def _cut(self, why: str) -> None:
        self._why_lost = why
        self.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by name

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._reader.feed(data)
        except (ValueError, msgspec.DecodeError) as error:
            self._cut(f"the other end sent what can not be read: {error}")
            return
        for message in messages:
            self._on_message(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._on_lost(self._why_lost or (str(exc) if exc else ""))
