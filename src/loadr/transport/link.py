"""A link: one live session between an agent and the controller, alike on both ends, over gRPC and in memory.

Takes messages of `loadr.coordination.messages` and gives those of the other end, in order within a priority.
A link ends once, for one `reason`; whatever ended it, `messages` then stops and `send` does nothing any more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol, TypeVar

from loadr.coordination.messages import AgentMessage, ControllerMessage

Out_contra = TypeVar("Out_contra", contravariant=True)
In_co = TypeVar("In_co", covariant=True)


class Link(Protocol[Out_contra, In_co]):
    """Used from one event loop. Times out by itself where the peer is to answer; beats are the caller's task."""

    @property
    def peer(self) -> str:
        """The other end's address for people: ``127.0.0.1:40312``, or a name in memory."""

    @property
    def identities(self) -> tuple[str, ...]:
        """The SANs of the peer's verified certificate, on the controller's side under mTLS (one empty name if it
        has none); else empty."""

    @property
    def loopback(self) -> bool:
        """Whether both ends are on this machine."""

    @property
    def reason(self) -> str:
        """Why the link ended, in words; ``""`` while it is open."""

    @property
    def unknown(self) -> int:
        """How many messages and parts of messages of a later version were ignored."""

    def send(self, message: Out_contra) -> None:
        """Queue a message; never waits. Orders and registration go before beats, beats before measurements,
        measurements before chunks of files; within each of these the order stays.

        A full queue (10,000 messages or 64 MiB) ends the link with the reason "send queue full". After the end
        messages are dropped. Raises `MessageTooLarge` and `InternalFault` of the codec: our own faults.
        """

    def messages(self) -> AsyncIterator[In_co]:
        """What the peer sends, until the link ends (see `reason`). For one consumer; may be cancelled freely."""

    async def close(self, reason: str) -> None:
        """Send what is queued, half-close, wait at most a few seconds for the peer's end, then cut."""

    def cut(self, reason: str) -> None:
        """End at once: what is queued is dropped, and the peer sees a broken stream."""


AgentLink = Link[AgentMessage, ControllerMessage]  # the agent's end
ControllerLink = Link[ControllerMessage, AgentMessage]  # the controller's end
