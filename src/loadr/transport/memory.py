"""Links within one process: the behaviour of `loadr.transport.grpc_server` and `grpc_client` without a socket.

Messages cross as bytes, through the codec, so that what works here works on the wire.
"""

from __future__ import annotations

from loadr.coordination.messages import AgentMessage, ControllerMessage
from loadr.transport.codec import (
    encode_agent,
    encode_controller,
    pack_agent,
    unpack_agent,
    unpack_controller,
)
from loadr.transport.link import AgentLink, ControllerLink
from loadr.transport.pipe import Pipe
from loadr.transport.stream_link import LinkLimits, PeerFacts, StreamLink, WireEnd

_IN_FLIGHT = 16  # messages that a side may be ahead of the other


class _Direction:
    """Bytes from one end to the other. ``failure`` is why it broke, "" for an end in order."""

    def __init__(self) -> None:
        self.pipe: Pipe[bytes] = Pipe(_IN_FLIGHT)
        self.failure = ""

    def end(self, failure: str) -> None:
        self.failure = self.failure or failure
        self.pipe.close()


class _MemoryWire:
    """One end of a pair of directions."""

    def __init__(self, inward: _Direction, outward: _Direction) -> None:
        self._inward = inward
        self._outward = outward

    async def read(self) -> bytes:
        data = await self._inward.pipe.get()
        if data is None:
            failure = self._inward.failure
            raise WireEnd(failure or "the peer closed the session", clean=not failure)
        return data

    async def write(self, data: bytes) -> None:
        if not await self._outward.pipe.put(data):
            raise WireEnd(self._outward.failure or "the session is over", clean=False)

    async def finish(self) -> None:
        self._outward.end("")

    async def release(self, failure: str) -> None:
        self._outward.end(failure)
        self._inward.end(failure or "the session is over")


def memory_pair(
    agent: str = "agent", controller: str = "controller", *, limits: LinkLimits | None = None
) -> tuple[AgentLink, ControllerLink]:
    """(the agent's end, the controller's end) of one session; the names are what the other end calls ``peer``."""
    limits = limits or LinkLimits()
    up, down = _Direction(), _Direction()
    agent_side: StreamLink[AgentMessage, ControllerMessage] = StreamLink(
        _MemoryWire(down, up),
        PeerFacts(controller),
        encode=encode_agent,
        decode=unpack_controller,
        limits=limits,
        pack=pack_agent,
    )
    controller_side: StreamLink[ControllerMessage, AgentMessage] = StreamLink(
        _MemoryWire(up, down), PeerFacts(agent), encode=encode_controller, decode=unpack_agent, limits=limits
    )
    return agent_side, controller_side
