"""Why a dial failed (what a real controller answers is in test_grpc_client)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from loadr.errors import LoadrError, PeerRefused, Unreachable
from loadr.transport import probe
from loadr.transport.address import Address
from loadr.transport.probe import explain_failure, trusted_authorities
from loadr.transport.tls import ClientTls
from support.certificates import write_certificates

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(autouse=True)
def short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "STEP_S", 0.2)


def explain(handler: Handler, tls: ClientTls | None, context: ssl.SSLContext | None = None) -> LoadrError:
    async def main() -> LoadrError:
        async with await asyncio.start_server(handler, "127.0.0.1", 0, ssl=context) as server:
            port = server.sockets[0].getsockname()[1]
            return await asyncio.wait_for(explain_failure(Address("127.0.0.1", port), tls), 5)

    return asyncio.run(main())


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def test_a_peer_that_says_nothing_is_worth_another_try(tmp_path: Path) -> None:
    made = write_certificates(tmp_path)
    for tls in (None, ClientTls(made.ca)):
        fault = explain(hang, tls)
        assert isinstance(fault, Unreachable)
        assert "does not answer as a loadr controller does" in fault.message


def test_a_peer_that_hangs_up_before_the_handshake_is_worth_another_try(tmp_path: Path) -> None:
    made = write_certificates(tmp_path)
    for tls in (None, ClientTls(made.ca)):
        assert isinstance(explain(hang_up, tls), Unreachable)


def test_a_peer_that_turns_a_certificate_down_with_an_alert_is_understood(tmp_path: Path) -> None:
    made = write_certificates(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(made.ca))
    context.load_cert_chain(made.controller_cert, made.controller_key)
    context.verify_mode = ssl.CERT_REQUIRED
    fault = explain(hang, ClientTls(made.ca), context)
    assert isinstance(fault, PeerRefused)
    assert "asks for a certificate, and we showed none" in fault.message


def test_a_host_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio, "open_connection", never)
    fault = asyncio.run(explain_failure(Address("10.0.0.1", 7625), None))
    assert isinstance(fault, Unreachable) and fault.message == "10.0.0.1:7625 does not answer"


def test_what_the_system_says_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unreachable(*_: object, **__: object) -> None:
        raise OSError(113, "No route to host")

    monkeypatch.setattr(asyncio, "open_connection", unreachable)
    fault = asyncio.run(explain_failure(Address("10.0.0.1", 7625), None))
    assert isinstance(fault, Unreachable) and "No route to host" in fault.message


def test_nobody_listening_is_said() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        fault = asyncio.run(explain_failure(Address("127.0.0.1", port), None))
    assert fault.message == f"nobody listens at 127.0.0.1:{port}"


def test_the_machines_authorities_are_pem_or_none() -> None:
    pem = trusted_authorities()
    assert pem == b"" or pem.startswith(b"-----BEGIN CERTIFICATE-----")
