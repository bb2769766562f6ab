"""The API listens on loopback, on a port of its own, and lets go of it."""

from __future__ import annotations

import asyncio
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from loadr.api.client import ApiAccess, ControllerClient
from loadr.api.listener import MAX_REQUESTS, ApiListener
from loadr.clock import unix_ms
from loadr.errors import ArgumentInvalid, FleetFault, Unreachable
from loadr.transport.tokens import TokenReader, TokenStore, write_token
from support.api import FakeController, serving_api
from support.certificates import Certificates, write_certificates


@pytest.mark.parametrize("bind", ["0.0.0.0:8089", "10.0.0.1:8089", "controller.example:8089"])
def test_off_loopback_it_is_refused(bind: str) -> None:
    with pytest.raises(ArgumentInvalid, match=f"it can not listen on {bind}") as caught:
        ApiListener(bind, FakeController())
    assert "ssh -L" in caught.value.hint


def test_a_port_in_use_is_named() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            with pytest.raises(ArgumentInvalid, match=f"{address} is already in use"):
                await ApiListener(address, FakeController()).start()

    asyncio.run(main())


def test_signals_stay_with_the_controller_and_the_port_is_free_afterwards() -> None:
    async def main() -> None:
        before = signal.getsignal(signal.SIGTERM)
        listener = ApiListener("127.0.0.1:0", FakeController())
        host, port = await listener.start()
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 200")
        assert signal.getsignal(signal.SIGTERM) is before
        await asyncio.wait_for(listener.stop(), 8)
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host, port)

    asyncio.run(main())


def test_stopping_before_the_start_is_no_fault() -> None:
    asyncio.run(ApiListener("127.0.0.1:0", FakeController()).stop())


def api_files(folder: Path) -> tuple[Certificates, TokenReader, Path]:
    """Certificates, the controller's tokens, and a file with one of them."""
    made = write_certificates(folder / "certs")
    store = TokenStore(folder / "tokens", "--api-token-file")
    write_token(folder / "token", store.create(expires_unix_ms=unix_ms() + 600_000, uses=None))
    return made, TokenReader(store), folder / "token"


@pytest.mark.parametrize("lacking", ["tls", "tokens"])
def test_off_loopback_it_takes_both_tls_and_tokens(tmp_path: Path, lacking: str) -> None:
    made, tokens, _ = api_files(tmp_path)
    both: dict[str, Any] = {"tls": (made.controller_cert, made.controller_key), "tokens": tokens}
    assert ApiListener("0.0.0.0:0", FakeController(), **both).scheme == "https"
    with pytest.raises(ArgumentInvalid, match="without TLS and tokens") as caught:
        ApiListener("0.0.0.0:0", FakeController(), **(both | {lacking: None}))
    assert "--api-tls-cert" in caught.value.hint and "--api-token-file" in caught.value.hint


def test_over_tls_with_a_token_the_client_is_served_and_without_it_is_told_what_is_missing(
    tmp_path: Path,
) -> None:
    made, tokens, token_file = api_files(tmp_path)
    stranger = write_certificates(tmp_path / "stranger")
    tls = (made.controller_cert, made.controller_key)
    with serving_api(FakeController(), tls=tls, tokens=tokens) as address:
        assert ControllerClient(address, ApiAccess(made.ca, token_file)).status()["version"] == "1"
        with pytest.raises(FleetFault, match="this controller asks for a token") as caught:
            ControllerClient(address, ApiAccess(made.ca)).status()
        assert "--api-token-file" in caught.value.hint
        with pytest.raises(FleetFault, match="is not to be trusted") as refused:
            ControllerClient(address, ApiAccess(stranger.ca, token_file)).status()
        assert "--api-ca" in refused.value.hint
        with pytest.raises(Unreachable, match="is not the API of a controller") as strange:
            ControllerClient(address).status()
        assert "--api-ca" in strange.value.hint
    with serving_api(FakeController()) as address, pytest.raises(Unreachable, match="does not speak TLS"):
        ControllerClient(address, ApiAccess(made.ca)).status()


def test_off_loopback_a_client_never_speaks_plaintext() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = ControllerClient(f"127.0.0.1:{server.getsockname()[1]}")
        assert client._tls is None
    assert ControllerClient("controller.example:8089")._tls is not None


def test_a_ca_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("x")
    with pytest.raises(ArgumentInvalid, match=r"--api-ca\) holds no certificate"):
        ControllerClient("127.0.0.1:1", ApiAccess(tmp_path / "ca.pem"))


def test_connections_that_ask_for_nothing_are_closed_and_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadr.api.listener._Connection.limit_s", 0.2)

    async def main() -> None:
        listener = ApiListener("127.0.0.1:0", FakeController())
        host, port = await listener.start()
        idle = [await asyncio.open_connection(host, port) for _ in range(MAX_REQUESTS + 8)]
        idle[0][1].write(b"GET /v1/status HTTP/1.1\r\nHost: loc")  # a head that never ends
        async with asyncio.timeout(10):
            for reader, writer in idle:
                await reader.read()
                writer.close()
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            writer.close()
        await listener.stop()

    asyncio.run(main())


def test_a_handshake_that_never_ends_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadr.api.listener.HANDSHAKE_S", 0.2)
    made, tokens, _ = api_files(tmp_path)

    async def main() -> None:
        tls = (made.controller_cert, made.controller_key)
        listener = ApiListener("127.0.0.1:0", FakeController(), tls=tls, tokens=tokens)
        host, port = await listener.start()
        reader, writer = await asyncio.open_connection(host, port)
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()
        await listener.stop()

    asyncio.run(main())
