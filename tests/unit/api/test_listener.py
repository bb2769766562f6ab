"""The API listens on loopback, on a port of its own, and lets go of it."""

from __future__ import annotations

import asyncio
import signal
import socket

import pytest

from loadr.api.listener import ApiListener
from loadr.errors import ArgumentInvalid
from support.api import FakeController


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
