"""The one implementation of `Link`, over any `Wire`: gRPC on either end, or memory.

One reader task and one writer task per stream. Reading is never cancelled to enforce a time limit (cancelling a
read of gRPC cancels the call), and nobody but the writer writes (concurrent writes fail).

A link ends in one of two ways: in order (`close`, or the peer's end of stream): what is queued is flushed and the
stream half-closed, all within `LinkLimits.close_s`; or at once (`cut`, a broken stream, a broken protocol, a full
queue, a write that stalls).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from loadr.coordination import messages as m
from loadr.errors import PeerFault
from loadr.transport.codec import MAX_PACKED, Unknown
from loadr.transport.pipe import Outbox, Pipe

Out = TypeVar("Out")
In = TypeVar("In")

PRIORITIES: dict[type, int] = {
    m.Register: 0,
    m.Registered: 0,
    m.Refused: 0,
    m.Assignment: 0,
    m.Desired: 0,
    m.Drain: 0,
    m.FileRequest: 0,
    m.Claim: 0,
    m.Value: 0,
    m.Prepared: 0,
    m.Armed: 0,
    m.AgentBeat: 1,
    m.ControllerBeat: 1,
    m.Metrics: 2,
    m.RunEvent: 2,  # shares its numbers with Metrics, so neither may overtake the other
    m.FileChunk: 3,
    m.Goodbye: 3,  # the last word: nothing that was queued before may come after it
}


PACKED_BYTES = 256 * 1024  # of messages that are written as one


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """A write may take ``stall_s`` and what its bytes need at ``slowest_bytes_per_s`` (half of 64 kbit/s, the
    slowest line that is supported), so that a large message on a slow line is no stall."""

    queue_messages: int = 10_000
    queue_bytes: int = 64 * 1024 * 1024
    received_messages: int = 8  # decoded but not consumed; beyond it the peer is made to wait
    stall_s: float = 10.0
    slowest_bytes_per_s: float = 4096.0
    close_s: float = 2.0  # for each of: flushing, the peer's end of stream


class WireEnd(Exception):
    """The stream is over. ``clean``: the peer half-closed it; otherwise it broke."""

    def __init__(self, reason: str, *, clean: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.clean = clean


class Wire(Protocol):
    """One bidirectional stream of byte messages."""

    async def read(self) -> bytes:
        """The next message. Raises `WireEnd`."""

    async def write(self, data: bytes) -> None:
        """Returns when the message was accepted, not delivered. Raises `WireEnd`."""

    async def finish(self) -> None:
        """Half-close: nothing more will be written. Raises `WireEnd`."""

    async def release(self, failure: str) -> None:
        """Give up the stream and what it holds. ``failure`` is for the peer; "" after an end in order."""


@dataclass(frozen=True, slots=True)
class PeerFacts:
    """See `Link`."""

    peer: str
    identities: tuple[str, ...] = ()
    loopback: bool = True


class StreamLink(Generic[Out, In]):
    """`Link` over a `Wire`. Must be made in a running event loop; it starts at once.

    With ``pack``, messages that wait together are written as one.
    """

    def __init__(
        self,
        wire: Wire,
        facts: PeerFacts,
        *,
        encode: Callable[[Out], bytes],
        decode: Callable[[bytes, Unknown], Sequence[In]],
        limits: LinkLimits,
        pack: Callable[[Sequence[bytes]], bytes] | None = None,
    ) -> None:
        self._wire = wire
        self._facts = facts
        self._encode = encode
        self._decode = decode
        self._pack = pack
        self._limits = limits
        self._unknown = Unknown()
        self._reason = ""
        self._outbox = Outbox(priorities=4, max_messages=limits.queue_messages, max_bytes=limits.queue_bytes)
        self._received: Pipe[In] = Pipe(limits.received_messages)
        self._reader = asyncio.create_task(self._read_on(), name=f"read {facts.peer}")
        self._writer = asyncio.create_task(self._write_on(), name=f"write {facts.peer}")
        self._ending: asyncio.Task[None] | None = None

    @property
    def peer(self) -> str:
        return self._facts.peer

    @property
    def identities(self) -> tuple[str, ...]:
        return self._facts.identities

    @property
    def loopback(self) -> bool:
        return self._facts.loopback

    @property
    def reason(self) -> str:
        return self._reason

    @property
    def unknown(self) -> int:
        return self._unknown.count

    def send(self, message: Out) -> None:
        """See `Link.send`."""
        if self._reason:
            return
        if not self._outbox.put(PRIORITIES[type(message)], self._encode(message)):
            self.cut("send queue full")

    async def messages(self) -> AsyncIterator[In]:
        """See `Link.messages`."""
        while (message := await self._received.get()) is not None:
            yield message

    async def close(self, reason: str) -> None:
        """See `Link.close`."""
        self._end(reason, flush=True)
        if self._ending is not None:
            await asyncio.wait({self._ending})

    def cut(self, reason: str) -> None:
        """See `Link.cut`."""
        self._end(reason, flush=False)

    async def _read_on(self) -> None:
        try:
            while True:
                for message in self._decode(await self._wire.read(), self._unknown):
                    await self._received.put(message)
        except WireEnd as end:
            self._end(end.reason, flush=end.clean)
        except PeerFault as fault:
            self.cut(f"the peer broke the protocol: {fault.message}")

    async def _write_on(self) -> None:
        most = 1 if self._pack is None else MAX_PACKED
        data = b""
        try:
            while several := await self._outbox.get_several(most, PACKED_BYTES):
                data = several[0] if self._pack is None else self._pack(several)
                allowed_s = self._limits.stall_s + len(data) / self._limits.slowest_bytes_per_s
                async with asyncio.timeout(allowed_s):
                    await self._wire.write(data)
            await self._wire.finish()
        except WireEnd as end:
            self.cut(end.reason)
        except TimeoutError:
            self.cut(f"the peer takes no more: {len(data)} bytes could not be written in {allowed_s:.0f} s")

    def _end(self, reason: str, *, flush: bool) -> None:
        """Only the first call counts."""
        if self._reason:
            return
        self._reason = reason or "ended"
        if not flush:
            self._stop_tasks()
        self._outbox.close()
        self._received.close()
        self._ending = asyncio.create_task(self._wind_up(flush=flush), name=f"end {self.peer}")

    async def _wind_up(self, *, flush: bool) -> None:
        if flush:
            await asyncio.wait({self._writer}, timeout=self._limits.close_s)
            await asyncio.wait({self._reader}, timeout=self._limits.close_s)
        self._stop_tasks()
        await asyncio.wait({self._writer, self._reader})
        await self._wire.release("" if flush else self._reason)

    def _stop_tasks(self) -> None:
        self._writer.cancel()
        self._reader.cancel()
