"""The controller's end over real gRPC on loopback: sessions, their ends, and strangers at the port."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from loadr.coordination import messages as m
from loadr.errors import ArgumentInvalid
from loadr.transport.codec import MAX_MESSAGE_BYTES, MessageTooLarge
from loadr.transport.grpc_client import GrpcDialer
from loadr.transport.grpc_server import GrpcServer
from loadr.transport.link import AgentLink, ControllerLink
from loadr.transport.stream_link import LinkLimits
from loadr.transport.tls import ClientTls, ServerTls
from support.certificates import Authority, write_certificates

LIMIT_S = 10.0
QUICK = LinkLimits(close_s=0.2)


class Sessions:
    """Keeps the controller's end of each session, and every message that came over it."""

    def __init__(self) -> None:
        self.links: asyncio.Queue[ControllerLink] = asyncio.Queue()
        self.received: asyncio.Queue[m.AgentMessage] = asyncio.Queue()
        self.ended: asyncio.Queue[str] = asyncio.Queue()

    async def serve(self, link: ControllerLink) -> None:
        await self.links.put(link)
        async for message in link.messages():
            await self.received.put(message)
        await self.ended.put(link.reason)


@asynccontextmanager
async def serving(
    tls: ServerTls | None = None, limits: LinkLimits = QUICK
) -> AsyncIterator[tuple[str, Sessions, GrpcServer]]:
    sessions = Sessions()
    server = GrpcServer("127.0.0.1:0", tls=tls, insecure=False, on_link=sessions.serve, limits=limits)
    host, port = await server.start()
    async with asyncio.timeout(LIMIT_S):
        try:
            yield f"{host}:{port}", sessions, server
        finally:
            await server.stop()


async def dial(address: str, tls: ClientTls | None = None) -> AgentLink:
    return await GrpcDialer(address, tls=tls, insecure=False, limits=QUICK).dial(5.0)


async def drain(link: AgentLink) -> list[m.ControllerMessage]:
    return [message async for message in link.messages()]


def test_messages_cross_both_ways_and_goodbye_ends_both_sides() -> None:
    async def main() -> None:
        async with serving() as (address, sessions, _):
            agent = await dial(address)
            agent.send(m.AgentBeat(1, 5))
            controller = await sessions.links.get()
            assert await sessions.received.get() == m.AgentBeat(1, 5)
            controller.send(m.ControllerBeat(1, 6, 1, 5))
            assert await anext(agent.messages()) == m.ControllerBeat(1, 6, 1, 5)
            assert agent.peer == address and agent.loopback
            assert controller.peer.startswith("127.0.0.1:") and controller.loopback
            assert controller.identities == ()
            agent.send(m.Goodbye("done", True))
            await agent.close("bye")
            assert await sessions.received.get() == m.Goodbye("done", True)
            assert await sessions.ended.get() == "the stream ended"

    asyncio.run(main())


def test_what_was_queued_before_close_arrives() -> None:
    async def main() -> None:
        async with serving() as (address, sessions, _):
            agent = await dial(address)
            agent.send(m.AgentBeat(1, 5))
            controller = await sessions.links.get()
            for number in range(1, 201):
                controller.send(m.ControllerBeat(number, 6, 1, 5))
            controller.send(m.Refused("go away", "", False))
            got = asyncio.create_task(drain(agent))
            await controller.close("refused")
            messages = await got
            assert len(messages) == 201
            assert m.Refused("go away", "", False) in messages
            assert agent.reason == "the peer closed the session"

    asyncio.run(main())


def test_a_cut_by_the_controller_tells_the_agent_why() -> None:
    async def main() -> None:
        async with serving() as (address, sessions, _):
            agent = await dial(address)
            agent.send(m.AgentBeat(1, 5))
            (await sessions.links.get()).cut("quarantined")
            assert await drain(agent) == []
            assert agent.reason == "the controller ended the session: quarantined"

    asyncio.run(main())


def test_a_cut_by_the_agent_ends_the_session() -> None:
    async def main() -> None:
        async with serving() as (address, sessions, _):
            agent = await dial(address)
            agent.send(m.AgentBeat(1, 5))
            await sessions.received.get()
            agent.cut("gone")
            assert await sessions.ended.get() in ("the stream ended", "the connection was lost")

    asyncio.run(main())


def test_a_message_over_the_limit_is_refused_at_the_sender_and_the_session_lives_on() -> None:
    async def main() -> None:
        async with serving() as (address, sessions, _):
            agent = await dial(address)
            with pytest.raises(MessageTooLarge):
                agent.send(m.Goodbye("x" * (MAX_MESSAGE_BYTES + 1), False))
            largest = m.Goodbye("x" * (MAX_MESSAGE_BYTES - 32), False)
            agent.send(largest)
            assert await sessions.received.get() == largest

    asyncio.run(main())


def test_malformed_messages_end_the_session() -> None:
    async def main() -> None:
        async with serving() as (address, sessions, _):
            agent = await dial(address)
            agent.send(m.AgentBeat(0, 5))
            assert (await sessions.ended.get()).startswith("the peer broke the protocol: AgentBeat.number")
            await drain(agent)
            assert "the peer broke the protocol" in agent.reason

    asyncio.run(main())


def test_an_agent_that_reads_nothing_is_cut_off_and_the_queue_stays_bounded() -> None:
    async def main() -> None:
        limits = LinkLimits(stall_s=0.1, slowest_bytes_per_s=1e9, close_s=0.1)
        async with serving(limits=limits) as (address, sessions, _):
            agent = await dial(address)
            agent.send(m.AgentBeat(1, 5))
            controller = await sessions.links.get()
            for number in range(60):
                controller.send(m.FileChunk("r", "ab" * 32, number, bytes(65536)))
                controller.send(m.Assignment("r", 1, bytes(900_000), "", (), 1))
            reason = await sessions.ended.get()
            assert reason.startswith("the peer takes no more: ")
            agent.cut("done")

    asyncio.run(main())


def test_stop_closes_the_sessions_in_order() -> None:
    async def main() -> None:
        async with serving() as (address, sessions, server):
            agent = await dial(address)
            agent.send(m.AgentBeat(1, 5))
            await sessions.links.get()
            got = asyncio.create_task(drain(agent))
            await server.stop()
            assert await sessions.ended.get() == "the controller stops"
            assert await got == []
            assert agent.reason == "the peer closed the session"
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*address.split(":"))

    asyncio.run(main())


def test_the_end_of_the_handler_closes_the_link() -> None:
    async def main() -> None:
        async def leave_at_once(link: ControllerLink) -> None:
            await anext(link.messages())

        server = GrpcServer("127.0.0.1:0", tls=None, insecure=False, on_link=leave_at_once, limits=QUICK)
        host, port = await server.start()
        async with asyncio.timeout(LIMIT_S):
            agent = await dial(f"{host}:{port}")
            agent.send(m.AgentBeat(1, 5))
            assert await drain(agent) == []
            await server.stop()

    asyncio.run(main())


def test_a_second_controller_on_the_port_is_refused() -> None:
    async def main() -> None:
        async with serving() as (address, sessions, _):
            second = GrpcServer(address, tls=None, insecure=False, on_link=sessions.serve)
            with pytest.raises(ArgumentInvalid, match=f"the address {address} is already in use"):
                await second.start()

    asyncio.run(main())


@pytest.mark.parametrize("bind", ["0.0.0.0:0", "[::]:0", "10.1.2.3:7625", "controller.example:7625"])
def test_plaintext_off_loopback_must_be_asked_for(bind: str) -> None:
    async def nothing(_: ControllerLink) -> None: ...

    with pytest.raises(ArgumentInvalid, match="plaintext on") as caught:
        GrpcServer(bind, tls=None, insecure=False, on_link=nothing)
    assert "--insecure" in caught.value.hint and "--tls-cert" in caught.value.hint
    assert GrpcServer(bind, tls=None, insecure=True, on_link=nothing)


def test_garbage_at_the_port_is_closed_and_the_server_serves_on() -> None:
    async def main() -> None:
        async with serving() as (address, sessions, _):
            host, port = address.split(":")
            for garbage in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(4096), b"\x16\x03\x01\x02\x00\x01"):
                reader, writer = await asyncio.open_connection(host, port)
                writer.write(garbage)
                try:
                    writer.write_eof()
                    await reader.read()
                except OSError:
                    pass  # a reset is an end as good as any
                writer.close()
            agent = await dial(address)
            agent.send(m.AgentBeat(1, 5))
            assert await sessions.received.get() == m.AgentBeat(1, 5)

    asyncio.run(main())


def test_mutual_tls_gives_the_names_in_the_agents_certificate(tmp_path: Path) -> None:
    made = write_certificates(tmp_path)
    cert, key = made.authority.issue("a1", ("a1", "10.0.0.7"))

    async def main() -> None:
        async with serving(ServerTls(made.controller_cert, made.controller_key, made.ca)) as (
            address,
            sessions,
            _,
        ):
            agent = await dial(address, ClientTls(made.ca, cert, key))
            agent.send(m.AgentBeat(1, 5))
            assert await sessions.received.get() == m.AgentBeat(1, 5)
            assert (await sessions.links.get()).identities == ("a1", "10.0.0.7")

    asyncio.run(main())


def test_a_certificate_that_was_not_asked_for_gives_no_names(tmp_path: Path) -> None:
    made = write_certificates(tmp_path, agents=("a1",))

    async def main() -> None:
        async with serving(ServerTls(made.controller_cert, made.controller_key)) as (address, sessions, _):
            agent = await dial(address, ClientTls(made.ca, made.agent_cert("a1"), made.agent_key("a1")))
            agent.send(m.AgentBeat(1, 5))
            assert (await sessions.links.get()).identities == ()

    asyncio.run(main())


def test_new_sessions_use_renewed_certificates_and_old_ones_live_on(tmp_path: Path) -> None:
    made = write_certificates(tmp_path / "old")
    other = write_certificates(tmp_path / "new")

    async def main() -> None:
        async with serving(ServerTls(made.controller_cert, made.controller_key)) as (address, sessions, _):
            before = await dial(address, ClientTls(made.ca))
            before.send(m.AgentBeat(1, 5))
            assert await sessions.received.get() == m.AgentBeat(1, 5)
            made.controller_cert.write_bytes(other.controller_cert.read_bytes())  # half a change is not used
            (await dial(address, ClientTls(made.ca))).cut("seen")
            made.controller_key.write_bytes(other.controller_key.read_bytes())
            after = await dial(address, ClientTls(other.ca))
            after.send(m.AgentBeat(2, 5))
            assert await sessions.received.get() == m.AgentBeat(2, 5)
            before.send(m.AgentBeat(3, 5))
            assert await sessions.received.get() == m.AgentBeat(3, 5)

    asyncio.run(main())


def test_a_handshake_that_never_ends_holds_no_session(tmp_path: Path) -> None:
    made = write_certificates(tmp_path)

    async def main() -> None:
        async with serving(ServerTls(made.controller_cert, made.controller_key)) as (address, sessions, _):
            host, port = address.split(":")
            with socket.create_connection((host, int(port))):
                agent = await dial(address, ClientTls(made.ca))
                agent.send(m.AgentBeat(1, 5))
                assert await sessions.received.get() == m.AgentBeat(1, 5)
                assert sessions.links.qsize() == 1

    asyncio.run(main())


def test_the_authority_of_the_tests_is_made_anew_each_time(tmp_path: Path) -> None:
    assert Authority(tmp_path / "a").ca.read_bytes() != Authority(tmp_path / "b").ca.read_bytes()
