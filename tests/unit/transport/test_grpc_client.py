"""Dialing: a link, or one clear line about what stands in the way."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from loadr.coordination import messages as m
from loadr.errors import ArgumentInvalid, LoadrError, PeerRefused, Unreachable
from loadr.transport.grpc_client import GrpcDialer
from loadr.transport.grpc_server import GrpcServer
from loadr.transport.link import ControllerLink
from loadr.transport.tls import ClientTls, ServerTls
from support.certificates import LOOPBACK, Authority, write_certificates


async def echo_beats(link: ControllerLink) -> None:
    async for message in link.messages():
        if isinstance(message, m.AgentBeat):
            link.send(m.ControllerBeat(message.number, 1, message.number, 1))


@asynccontextmanager
async def controller(tls: ServerTls | None = None, bind: str = "127.0.0.1:0") -> AsyncIterator[str]:
    server = GrpcServer(bind, tls=tls, insecure=False, on_link=echo_beats)
    host, port = await server.start()
    try:
        yield f"{host}:{port}"
    finally:
        await server.stop()


def failure_of(tls: ClientTls | None, server: ServerTls | None) -> tuple[str, LoadrError]:
    """(address, what dialing it raised)."""

    async def main() -> tuple[str, LoadrError]:
        async with asyncio.timeout(15), controller(server) as address:
            with pytest.raises(LoadrError) as caught:
                await GrpcDialer(address, tls=tls, insecure=False).dial(3.0)
            return address, caught.value

    return asyncio.run(main())


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.mark.parametrize("bind", ["127.0.0.1:0", "localhost:0"])
def test_a_session_answers(bind: str) -> None:
    async def main() -> None:
        async with asyncio.timeout(10), controller(bind=bind) as address:
            link = await GrpcDialer(address, tls=None, insecure=False).dial(3.0)
            link.send(m.AgentBeat(7, 1))
            answer = await anext(link.messages())
            assert isinstance(answer, m.ControllerBeat) and answer.echo_number == 7
            await link.close("done")

    asyncio.run(main())


def test_nobody_listening_is_worth_another_try() -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(Unreachable, match=f"nobody listens at {address}") as caught:
        asyncio.run(GrpcDialer(address, tls=None, insecure=False).dial(3.0))
    assert "loadr controller" in caught.value.hint


def test_a_name_that_does_not_exist_is_named() -> None:
    with pytest.raises(Unreachable, match=r"the name 'controller\.invalid' can not be resolved"):
        asyncio.run(GrpcDialer("controller.invalid:1", tls=None, insecure=True).dial(3.0))


def test_a_later_dial_is_not_held_back_by_the_failures_of_earlier_ones() -> None:
    async def main() -> None:
        port = free_port()
        dialer = GrpcDialer(f"127.0.0.1:{port}", tls=None, insecure=False)
        for _ in range(5):
            with pytest.raises(Unreachable):
                await dialer.dial(3.0)
        async with asyncio.timeout(10), controller(bind=f"127.0.0.1:{port}"):
            link = await dialer.dial(0.9)  # gRPC's own backoff starts at 1 s
            await link.close("done")

    asyncio.run(main())


def test_a_peer_that_accepts_and_says_nothing_costs_no_more_than_the_limit() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            async with asyncio.timeout(10):
                with pytest.raises(Unreachable, match="does not answer as a loadr controller does"):
                    await GrpcDialer(address, tls=None, insecure=False).dial(0.2)

    asyncio.run(main())


def test_a_web_server_is_no_controller() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            async with asyncio.timeout(10):
                with pytest.raises(Unreachable, match="does not answer as a loadr controller does"):
                    await GrpcDialer(address, tls=None, insecure=False).dial(1.0)

    asyncio.run(main())


@pytest.mark.parametrize("address", ["10.0.0.1:7625", "controller.example:7625"])
def test_plaintext_off_loopback_must_be_asked_for(address: str) -> None:
    with pytest.raises(ArgumentInvalid, match="a plaintext session") as caught:
        GrpcDialer(address, tls=None, insecure=False)
    assert "--insecure" in caught.value.hint and "--tls-ca" in caught.value.hint


def test_a_certificate_of_another_authority_is_told_in_one_line(tmp_path: Path) -> None:
    ours, theirs = write_certificates(tmp_path / "ours"), write_certificates(tmp_path / "theirs")
    address, fault = failure_of(ClientTls(ours.ca), ServerTls(theirs.controller_cert, theirs.controller_key))
    assert isinstance(fault, PeerRefused) and not fault.retry
    assert fault.message == f"the controller at {address} has a certificate that our CA did not sign"


def test_a_certificate_for_another_name_is_told_in_one_line(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    address, fault = failure_of(
        ClientTls(authority.ca), ServerTls(*authority.issue("other", ("other.example", "10.9.8.7")))
    )
    assert isinstance(fault, PeerRefused)
    assert fault.message == f"the certificate of the controller at {address} is not for the name '127.0.0.1'"


def test_a_certificate_that_has_expired_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("old", LOOPBACK, valid_days=(-9, -2))
    monkeypatch.setattr("loadr.transport.tls._check_dates", lambda *_: None)  # a controller of an hour ago
    address, fault = failure_of(ClientTls(authority.ca), ServerTls(cert, key))
    assert isinstance(fault, PeerRefused)
    assert fault.message == f"the certificate of the controller at {address} has expired"


def test_a_controller_that_asks_for_a_certificate_is_told_in_one_line(tmp_path: Path) -> None:
    made = write_certificates(tmp_path)
    server = ServerTls(made.controller_cert, made.controller_key, made.ca)
    address, fault = failure_of(ClientTls(made.ca), server)
    assert isinstance(fault, PeerRefused)
    assert fault.message == f"the controller at {address} asks for a certificate, and we showed none"
    assert "--tls-cert" in fault.hint


def test_an_agent_with_a_strangers_certificate_is_told_in_one_line(tmp_path: Path) -> None:
    ours = write_certificates(tmp_path / "ours")
    theirs = write_certificates(tmp_path / "theirs", agents=("a1",))
    server = ServerTls(ours.controller_cert, ours.controller_key, ours.ca)
    address, fault = failure_of(ClientTls(ours.ca, theirs.agent_cert("a1"), theirs.agent_key("a1")), server)
    assert isinstance(fault, PeerRefused)
    assert fault.message == f"the controller at {address} turned our certificate down"
    assert "--tls-client-ca" in fault.hint


def test_plaintext_to_a_tls_controller_is_told_in_one_line(tmp_path: Path) -> None:
    made = write_certificates(tmp_path)
    address, fault = failure_of(None, ServerTls(made.controller_cert, made.controller_key, made.ca))
    assert isinstance(fault, PeerRefused)
    assert fault.message == f"the controller at {address} speaks TLS, and we do not"
    assert "--tls-ca" in fault.hint


def test_tls_to_a_plaintext_controller_is_told_in_one_line(tmp_path: Path) -> None:
    made = write_certificates(tmp_path)
    address, fault = failure_of(ClientTls(made.ca), None)
    assert isinstance(fault, PeerRefused)
    assert fault.message.startswith(f"what answers at {address} does not speak TLS")


def test_our_own_certificates_are_read_anew_for_each_dial(tmp_path: Path) -> None:
    made = write_certificates(tmp_path)

    async def main() -> None:
        server = ServerTls(made.controller_cert, made.controller_key)
        async with asyncio.timeout(10), controller(server) as address:
            dialer = GrpcDialer(address, tls=ClientTls(made.ca), insecure=False)
            await (await dialer.dial(3.0)).close("done")
            made.ca.write_text("not a certificate")
            with pytest.raises(ArgumentInvalid, match="holds no certificate"):
                await dialer.dial(3.0)

    asyncio.run(main())


def test_who_was_let_in_before_is_to_try_again(tmp_path: Path) -> None:
    made = write_certificates(tmp_path, agents=("a1",))

    async def main() -> None:
        port = free_port()
        open_server = ServerTls(made.controller_cert, made.controller_key)
        closed_server = ServerTls(made.controller_cert, made.controller_key, made.ca)
        dialer = GrpcDialer(f"127.0.0.1:{port}", tls=ClientTls(made.ca), insecure=False)
        async with asyncio.timeout(15):
            async with controller(open_server, f"127.0.0.1:{port}"):
                await (await dialer.dial(3.0)).close("done")
            async with controller(closed_server, f"127.0.0.1:{port}"):
                with pytest.raises(PeerRefused) as caught:
                    await dialer.dial(3.0)
        assert caught.value.retry

    asyncio.run(main())


def test_a_dial_that_is_cancelled_leaves_nothing_behind() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            dialing = asyncio.create_task(GrpcDialer(address, tls=None, insecure=False).dial(5.0))
            await asyncio.wait({dialing}, timeout=0.1)
            dialing.cancel()
            await asyncio.wait({dialing}, timeout=5)
            assert dialing.cancelled()
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
