"""Pages of a browser can not command a controller on loopback."""

from __future__ import annotations

import http.client

import pytest

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
