"""The link over a wire that the test holds in its hands: priorities, stalls, ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from loadr.coordination import messages as m
from loadr.transport.codec import (
    Unknown,
    encode_agent,
    encode_controller,
    pack_agent,
    unpack_agent,
    unpack_controller,
)
from loadr.transport.stream_link import LinkLimits, PeerFacts, StreamLink, WireEnd

LIMITS = LinkLimits(queue_messages=20, stall_s=0.05, slowest_bytes_per_s=1e9, close_s=0.1, received_messages=2)
AgentSide = StreamLink[m.AgentMessage, m.ControllerMessage]


class HandWire:
    """Reads what the test puts in (bytes, or an end); writes only while ``gate`` is set."""

    def __init__(self) -> None:
        self.inward: asyncio.Queue[bytes | WireEnd] = asyncio.Queue()
        self.written: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.reads_cancelled = 0
        self.write_failure: WireEnd | None = None
        self.finished = False
        self.released: list[str] = []

    async def read(self) -> bytes:
        try:
            data = await self.inward.get()
        except asyncio.CancelledError:
            self.reads_cancelled += 1
            raise
        if isinstance(data, WireEnd):
            raise data
        return data

    async def write(self, data: bytes) -> None:
        await self.gate.wait()
        if self.write_failure is not None:
            raise self.write_failure
        self.written.append(data)

    async def finish(self) -> None:
        self.finished = True

    async def release(self, failure: str) -> None:
        self.released.append(failure)


def with_link(test: Callable[[HandWire, AgentSide], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        wire = HandWire()
        link = AgentSide(wire, PeerFacts("test"), encode=encode_agent, decode=unpack_controller, limits=LIMITS)
        async with asyncio.timeout(5):
            await test(wire, link)
            await link.close("the test is over")
        assert len(wire.released) == 1
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def beat(number: int) -> bytes:
    return encode_controller(m.ControllerBeat(number, 0, 0, 0))


async def drain(link: AgentSide) -> list[m.ControllerMessage]:
    return [message async for message in link.messages()]


def test_what_waits_behind_a_slow_write_is_sent_by_priority() -> None:
    async def test(wire: HandWire, link: AgentSide) -> None:
        batch = m.Metrics("r", 1, 1, (), ())
        link.send(batch)
        link.send(m.AgentBeat(1, 0))
        link.send(m.Prepared("r", 1))
        await link.close("done")
        assert wire.written == [encode_agent(x) for x in (m.Prepared("r", 1), m.AgentBeat(1, 0), batch)]
        assert wire.finished and wire.released == [""]

    with_link(test)


def test_messages_that_wait_together_are_written_as_one_where_the_link_packs() -> None:
    async def main() -> None:
        wire = HandWire()
        link = AgentSide(
            wire,
            PeerFacts("test"),
            encode=encode_agent,
            decode=unpack_controller,
            limits=LIMITS,
            pack=pack_agent,
        )
        batch, beat = m.Metrics("r", 1, 1, (), ()), m.AgentBeat(1, 0)
        link.send(batch)
        link.send(beat)
        await link.close("done")
        assert [unpack_agent(data, Unknown()) for data in wire.written] == [[beat, batch]]

    asyncio.run(main())


def test_a_write_that_stalls_cuts_the_link_and_says_so() -> None:
    async def test(wire: HandWire, link: AgentSide) -> None:
        wire.gate.clear()
        link.send(m.AgentBeat(1, 0))
        assert await drain(link) == []
        assert link.reason.startswith("the peer takes no more: ")
        await link.close("late")
        assert wire.released == [link.reason] and not wire.finished

    with_link(test)


def test_a_large_message_is_given_the_time_of_a_slow_line() -> None:
    limits = LinkLimits()
    allowed_s = limits.stall_s + 512 * 1024 / limits.slowest_bytes_per_s
    assert allowed_s > 512 * 1024 * 8 / 64_000, "half a megabyte at 64 kbit/s"


def test_the_peers_end_flushes_what_is_queued() -> None:
    async def test(wire: HandWire, link: AgentSide) -> None:
        wire.gate.clear()
        link.send(m.AgentBeat(1, 0))
        wire.inward.put_nowait(WireEnd("closed by the peer", clean=True))
        assert await drain(link) == []
        wire.gate.set()
        await link.close("late")
        assert link.reason == "closed by the peer"
        assert len(wire.written) == 1 and wire.finished and wire.released == [""]

    with_link(test)


def test_a_broken_stream_ends_at_once_after_what_had_come() -> None:
    async def test(wire: HandWire, link: AgentSide) -> None:
        for item in (beat(1), beat(2), WireEnd("reset", clean=False)):
            wire.inward.put_nowait(item)
        assert await drain(link) == [m.ControllerBeat(1, 0, 0, 0), m.ControllerBeat(2, 0, 0, 0)]
        assert link.reason == "reset"

    with_link(test)


def test_a_failed_write_ends_the_link() -> None:
    async def test(wire: HandWire, link: AgentSide) -> None:
        wire.write_failure = WireEnd("broken pipe", clean=False)
        link.send(m.AgentBeat(1, 0))
        assert await drain(link) == []
        assert link.reason == "broken pipe"

    with_link(test)


def test_a_slow_consumer_makes_the_peer_wait() -> None:
    async def test(wire: HandWire, link: AgentSide) -> None:
        for number in range(1, 11):
            wire.inward.put_nowait(beat(number))
        first = await anext(link.messages())
        assert first == m.ControllerBeat(1, 0, 0, 0)
        for _ in range(20):
            await asyncio.sleep(0)
        assert wire.inward.qsize() >= 5, "two wait in the link, one is in the reader's hands"
        wire.inward.put_nowait(WireEnd("end", clean=True))
        assert len(await drain(link)) == 9

    with_link(test)


def test_messages_of_a_later_version_are_counted_and_passed_over() -> None:
    async def test(wire: HandWire, link: AgentSide) -> None:
        wire.inward.put_nowait(b"\x9a\x06\x02hi")
        wire.inward.put_nowait(beat(2))
        assert await anext(link.messages()) == m.ControllerBeat(2, 0, 0, 0)
        assert link.unknown == 1

    with_link(test)


def test_waiting_for_messages_may_be_cancelled_without_touching_the_read() -> None:
    async def test(wire: HandWire, link: AgentSide) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await drain(link)
        assert wire.reads_cancelled == 0 and link.reason == ""

    with_link(test)


def test_a_close_that_is_cancelled_goes_on() -> None:
    async def test(wire: HandWire, link: AgentSide) -> None:
        link.send(m.AgentBeat(1, 0))
        closing = asyncio.create_task(link.close("done"))
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait({closing})
        await link.close("again")
        assert len(wire.written) == 1 and wire.released == [""]

    with_link(test)
