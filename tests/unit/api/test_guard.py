"""Pages of a browser can not command a controller on loopback."""

from __future__ import annotations

import asyncio
import http.client
from pathlib import Path

import pytest

from loadr.api.guard import Guard
from loadr.clock import unix_ms
from loadr.transport.tokens import TokenReader, TokenStore
from support.api import FakeController, serving_api


def status_of(address: str, host: str, **headers: str) -> int:
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.putrequest("GET", "/v1/status", skip_host=True)
        if host:
            connection.putheader("Host", host)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


def test_only_names_of_loopback_are_served() -> None:
    with serving_api(FakeController()) as address:
        for host in (address, "localhost", "LOCALHOST:8089", "[::1]:8089", "127.0.0.1"):
            assert status_of(address, host) == 200, host
        for host in (
            "evil.example",
            "evil.example:8089",
            "127.0.0.1.evil.example",
            "10.0.0.1:8089",
            "localhost@x",
        ):
            assert status_of(address, host) == 421, host


def test_a_page_of_another_origin_is_refused() -> None:
    with serving_api(FakeController()) as address:
        assert status_of(address, address, Origin=f"http://{address}") == 200
        for origin in ("https://evil.example", "null", "http://localhost:3000", f"https://{address}"):
            assert status_of(address, address, Origin=origin) == 403, origin


@pytest.mark.parametrize("version", ["1.0"])
def test_a_request_without_a_name_is_refused(version: str) -> None:
    import socket

    with serving_api(FakeController()) as address:
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), timeout=5) as client:
            client.sendall(f"GET /v1/status HTTP/{version}\r\n\r\n".encode())
            assert b" 421 " in client.recv(65536).split(b"\r\n")[0]


def store_with(folder: Path, *, lasts_ms: int = 60_000, uses: int | None = None) -> tuple[TokenStore, str]:
    store = TokenStore(folder / "api-tokens", "--api-token-file")
    return store, store.create(expires_unix_ms=unix_ms() + lasts_ms, uses=uses)


def test_with_tokens_every_request_bears_one(tmp_path: Path) -> None:
    store, good = store_with(tmp_path)
    _, expired = store_with(tmp_path, lasts_ms=-1)
    _, counted = store_with(tmp_path, uses=3)
    with serving_api(FakeController(), tokens=TokenReader(store)) as address:
        for authorization in (f"Bearer {good}", f"bearer {good}", f"Bearer  {good} "):
            assert status_of(address, address, Authorization=authorization) == 200
        for wrong in (
            "",
            good,
            f"Basic {good}",
            f"Bearer {good}x",
            "Bearer ",
            f"Bearer {expired}",
            f"Bearer {counted}",
        ):
            assert status_of(address, address, Authorization=wrong) == 401, wrong
        assert status_of(address, address) == 401
        assert status_of(address, "evil.example", Authorization=f"Bearer {good}") == 421
        store.path.write_text("")
        assert status_of(address, address, Authorization=f"Bearer {good}") == 401, "it was taken away"


def test_off_loopback_any_name_will_do_but_no_other_origin(tmp_path: Path) -> None:
    store, good = store_with(tmp_path)

    async def ask(**headers: str) -> int:
        sent: list[int] = []

        async def app(scope: object, receive: object, send: object) -> None:
            sent.append(200)

        async def send(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                sent.append(int(str(message["status"])))

        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "scheme": "https", "method": "GET", "path": "/", "headers": raw}
        guard = Guard(app, tokens=TokenReader(store), loopback_only=False)
        await guard(scope, None, send)  # type: ignore[arg-type]
        return sent[0]

    bearer = f"Bearer {good}"
    assert asyncio.run(ask(host="ctl.example:8089", authorization=bearer)) == 200
    assert asyncio.run(ask(host="ctl.example:8089")) == 401
    assert asyncio.run(ask(host="ctl.example", authorization=bearer, origin="https://ctl.example")) == 200
    assert asyncio.run(ask(host="ctl.example", authorization=bearer, origin="http://ctl.example")) == 403
