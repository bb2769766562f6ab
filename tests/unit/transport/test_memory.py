"""Links in memory behave as those of gRPC do."""

from __future__ import annotations

import asyncio

import pytest

from loadr.coordination import messages as m
from loadr.transport.codec import MAX_MESSAGE_BYTES, MessageTooLarge
from loadr.transport.link import AgentLink, ControllerLink
from loadr.transport.memory import memory_pair
from loadr.transport.stream_link import LinkLimits


async def collect(link: AgentLink | ControllerLink) -> list[object]:
    async def everything() -> list[object]:
        return [message async for message in link.messages()]

    return await asyncio.wait_for(everything(), 5)


def test_messages_cross_both_ways_and_the_ends_know_each_other() -> None:
    async def main() -> None:
        agent, controller = memory_pair("a1", "c1")
        assert (agent.peer, controller.peer) == ("c1", "a1")
        assert agent.loopback and controller.identities == () and agent.reason == ""
        agent.send(m.AgentBeat(1, 5))
        controller.send(m.ControllerBeat(1, 6, 1, 5))
        assert await anext(controller.messages()) == m.AgentBeat(1, 5)
        assert await anext(agent.messages()) == m.ControllerBeat(1, 6, 1, 5)
        await asyncio.gather(agent.close("done"), controller.close("done"))

    asyncio.run(main())


def test_beats_overtake_chunks_and_orders_overtake_beats() -> None:
    async def main() -> None:
        agent, controller = memory_pair()
        chunks = [m.FileChunk("r", "ab" * 32, n, b"x") for n in range(3)]
        beat = m.ControllerBeat(1, 6, 1, 5)
        kill = m.Desired("r", 1, 2, m.RunPhase.KILLED)
        for message in (*chunks, beat, kill):
            controller.send(message)
        await controller.close("done")
        assert await collect(agent) == [kill, beat, *chunks]

    asyncio.run(main())


def test_goodbye_never_overtakes_measurements() -> None:
    async def main() -> None:
        agent, controller = memory_pair()
        agent.send(m.Goodbye("drained", True))
        agent.send(m.Metrics("r", 1, 1, (), ()))
        await agent.close("bye")
        kinds = [type(message) for message in await collect(controller)]
        assert kinds == [m.Metrics, m.Goodbye]

    asyncio.run(main())


def test_close_delivers_what_was_queued_and_ends_both_sides_in_order() -> None:
    async def main() -> None:
        agent, controller = memory_pair()
        for number in range(1, 101):
            agent.send(m.AgentBeat(number, 0))
        got = asyncio.create_task(collect(controller))
        await agent.close("bye")
        assert len(await got) == 100
        assert (agent.reason, controller.reason) == ("bye", "the peer closed the session")
        agent.send(m.AgentBeat(101, 0))  # dropped without a word
        await agent.close("again")
        assert agent.reason == "bye"

    asyncio.run(main())


def test_close_is_bounded_when_the_peer_reads_nothing() -> None:
    async def main() -> None:
        agent, controller = memory_pair(limits=LinkLimits(close_s=0.05))
        for number in range(1, 101):
            agent.send(m.AgentBeat(number, 0))
        await asyncio.wait_for(agent.close("bye"), 2)
        await controller.close("done")
        assert agent.reason == "bye"

    asyncio.run(main())


def test_a_cut_breaks_the_stream_for_the_peer() -> None:
    async def main() -> None:
        agent, controller = memory_pair()
        agent.cut("pulled the plug")
        assert await collect(controller) == []
        assert controller.reason == "pulled the plug"
        assert await collect(agent) == []

    asyncio.run(main())


def test_a_full_queue_ends_the_link() -> None:
    async def main() -> None:
        agent, controller = memory_pair(limits=LinkLimits(queue_messages=50))
        for number in range(1, 52):
            agent.send(m.AgentBeat(number, 0))
        assert agent.reason == "send queue full"
        await collect(controller)
        assert controller.reason == "send queue full"

    asyncio.run(main())


def test_a_write_that_stalls_ends_the_link() -> None:
    async def main() -> None:
        agent, controller = memory_pair(limits=LinkLimits(stall_s=0.05, received_messages=1))
        for number in range(1, 1001):
            agent.send(m.AgentBeat(number, 0))
        await collect(agent)
        assert agent.reason.startswith("the peer takes no more")
        await controller.close("done")

    asyncio.run(main())


def test_a_peer_that_breaks_the_protocol_loses_its_link() -> None:
    async def main() -> None:
        agent, controller = memory_pair()
        agent.send(m.Metrics("", 1, 1, (), ()))
        assert await collect(controller) == []
        assert controller.reason.startswith("the peer broke the protocol: Metrics.run_id")
        assert await collect(agent) == []

    asyncio.run(main())


def test_a_message_over_the_limit_is_refused_at_the_sender_and_the_link_lives_on() -> None:
    async def main() -> None:
        agent, controller = memory_pair()
        with pytest.raises(MessageTooLarge):
            controller.send(m.Assignment("r", 1, bytes(MAX_MESSAGE_BYTES), "", (), 1))
        controller.send(m.ControllerBeat(1, 6, 1, 5))
        assert await anext(agent.messages()) == m.ControllerBeat(1, 6, 1, 5)
        await asyncio.gather(agent.close("done"), controller.close("done"))

    asyncio.run(main())


def test_a_consumer_may_be_cancelled_and_another_goes_on() -> None:
    async def main() -> None:
        agent, controller = memory_pair()
        waiting = asyncio.create_task(collect(controller))
        await asyncio.wait({waiting}, timeout=0.01)
        waiting.cancel()
        agent.send(m.AgentBeat(1, 0))
        assert await anext(controller.messages()) == m.AgentBeat(1, 0)
        await asyncio.gather(agent.close("done"), controller.close("done"))

    asyncio.run(main())


def test_no_task_is_left_behind() -> None:
    async def main() -> None:
        agent, controller = memory_pair()
        await asyncio.gather(agent.close("done"), controller.close("done"))
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
