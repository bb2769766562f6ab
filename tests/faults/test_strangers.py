"""Strangers at the port: scans, garbage, handshakes that never end, sessions without a word. All are let go of.

Limits are made short here; `loadr.transport.channel_options` and `loadr.coordination.timing` hold the real ones.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from loadr.controller import Controller
from loadr.coordination import messages as m
from loadr.coordination.timing import TIMING
from loadr.transport.channel_options import SERVER
from loadr.transport.codec import MAX_REGISTER_BYTES
from loadr.transport.grpc_client import GrpcDialer
from loadr.transport.grpc_server import GrpcServer
from loadr.transport.tls import ClientTls, ServerTls
from support.certificates import Certificates, write_certificates

LIMIT_S = 20
SHORT = {
    "grpc.server_handshake_timeout_ms": 500,
    "grpc.max_connection_idle_ms": 500,
    "grpc.max_allowed_incoming_connections": 8,
}
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"
WORDS = {
    "nothing": b"",
    "half of a client hello": b"\x16\x03\x01\x02\x00\x01",
    "zeros": b"\0" * 4096,
    "noise": os.urandom(4096),
    "a web browser": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "half of the preface of HTTP/2": PREFACE[:10],
    "HTTP/2 without settings": PREFACE,
    "HTTP/2 without a session": PREFACE + SETTINGS,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return write_certificates(tmp_path_factory.mktemp("certs"))


@asynccontextmanager
async def serving(
    tls: ServerTls | None, register_ns: int = TIMING.register_ns
) -> AsyncIterator[tuple[str, int, list[str]]]:
    said: list[str] = []
    shell = Controller(lambda level, text: said.append(text), replace(TIMING, register_ns=register_ns))
    server = GrpcServer("127.0.0.1:0", tls=tls, insecure=False, on_link=shell.accept, options=SHORT)
    shell.open()
    host, port = await server.start()
    try:
        yield host, port, said
    finally:
        await shell.close()
        await server.stop()


async def until_closed(host: str, port: int, words: bytes) -> None:
    """Say something, keep the connection open, and wait until the other end lets go of it."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(words)
    try:
        while await reader.read(65536):
            pass
    except OSError:
        pass  # a reset is an end as good as any
    finally:
        writer.close()


async def join(address: str, tls: ClientTls | None, register: m.Register) -> m.ControllerMessage | None:
    """The answer to a registration; None if the session ended without one."""
    link = await GrpcDialer(address, tls=tls, insecure=False).dial(5.0)
    link.send(register)
    answer = await anext(link.messages(), None)
    await link.close("done")
    return answer


GOOD = m.Register(1, 1, "a1", "a1", "a1/1", "1.0", 1, 1, 1)


@pytest.mark.parametrize("secure", [False, True], ids=["plaintext", "TLS"])
def test_whatever_strangers_say_they_are_closed_and_agents_are_served(made: Certificates, secure: bool) -> None:
    server = ServerTls(made.controller_cert, made.controller_key) if secure else None
    client = ClientTls(made.ca) if secure else None

    async def main() -> None:
        async with asyncio.timeout(LIMIT_S), serving(server) as (host, port, said):
            await asyncio.gather(*(until_closed(host, port, words) for words in WORDS.values()))
            assert isinstance(await join(f"{host}:{port}", client, GOOD), m.Registered)
            assert len(said) < 5

    asyncio.run(main())


def test_connections_beyond_the_limit_are_closed_at_once_and_room_is_made_again() -> None:
    async def main() -> None:
        async with asyncio.timeout(LIMIT_S), serving(None) as (host, port, _):
            # The silent ones that are within the limit go after the time for a handshake, the others at once.
            await asyncio.gather(*(until_closed(host, port, b"") for _ in range(40)))
            assert isinstance(await join(f"{host}:{port}", None, GOOD), m.Registered)

    asyncio.run(main())


def test_a_session_that_does_not_register_is_ended() -> None:
    async def main() -> None:
        async with asyncio.timeout(LIMIT_S), serving(None, register_ns=200_000_000) as (host, port, _):
            link = await GrpcDialer(f"{host}:{port}", tls=None, insecure=False).dial(5.0)
            async for _message in link.messages():
                pass
            assert link.reason

    asyncio.run(main())


def test_a_registration_as_long_as_a_book_ends_its_session() -> None:
    async def main() -> None:
        async with asyncio.timeout(LIMIT_S), serving(None) as (host, port, _):
            long = replace(GOOD, labels={"k": "v" * MAX_REGISTER_BYTES})
            assert await join(f"{host}:{port}", None, long) is None
            assert isinstance(await join(f"{host}:{port}", None, GOOD), m.Registered)

    asyncio.run(main())


def test_the_real_limits() -> None:
    assert SERVER["grpc.server_handshake_timeout_ms"] == 10_000
    assert SERVER["grpc.max_connection_idle_ms"] == 5_000
    assert SERVER["grpc.max_allowed_incoming_connections"] == 5_000
    assert TIMING.register_ns == 5_000_000_000
