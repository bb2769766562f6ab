"""The proxy forwards and counts; a cut is a reset for both sides, and nobody listens until that is allowed.

Whatever else it does to a link, no byte is lost or out of order.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from loadr.testing.proxy import Proxy


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """Before an echo."""
    listener, port = echo_server()
    with listener, Proxy(port) as running:
        yield running


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), 5)


def receive(client: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        got += client.recv(65536)
    return got


def hears_nothing(client: socket.socket) -> bool:
    client.settimeout(0.2)
    try:
        return client.recv(1) is None
    except TimeoutError:
        return True
    finally:
        client.settimeout(5)


def echo_server() -> tuple[socket.socket, int]:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(connection,), daemon=True).start()

    def echo(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    return listener, listener.getsockname()[1]


def test_bytes_are_forwarded_and_counted_both_ways() -> None:
    listener, port = echo_server()
    with listener, Proxy(port) as proxy, socket.create_connection(("127.0.0.1", proxy.port), 5) as client:
        client.sendall(b"x" * 1000)
        got = b""
        while len(got) < 1000:
            got += client.recv(65536)
        assert got == b"x" * 1000
        assert (proxy.bytes_up, proxy.bytes_down, proxy.accepted) == (1000, 1000, 1)


def test_a_cut_resets_what_is_open_and_refuses_what_comes_until_allowed() -> None:
    listener, port = echo_server()
    with listener, Proxy(port) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port), 5) as client:
            client.sendall(b"hello")
            assert client.recv(5) == b"hello"
            proxy.cut_and_refuse()
            client.settimeout(5)
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", proxy.port), 5)
        proxy.allow()
        with socket.create_connection(("127.0.0.1", proxy.port), 5) as client:
            client.sendall(b"again")
            assert client.recv(5) == b"again"


@pytest.mark.parametrize("ways", [{}, {"up": False}, {"down": False}], ids=["both", "down", "up"])
def test_what_is_stalled_comes_later_and_in_order(proxy: Proxy, ways: dict[str, bool]) -> None:
    with connect(proxy) as client:
        client.sendall(b"first")
        assert receive(client, 5) == b"first"
        proxy.stall(**ways)
        client.sendall(b"second")
        client.sendall(b"third")
        assert hears_nothing(client)
        # The echo has it unless the way up is held.
        assert proxy.bytes_up == 16
        assert proxy.bytes_down == (16 if ways == {"up": False} else 5)
        proxy.flow()
        assert receive(client, 11) == b"secondthird"


def test_a_stall_holds_for_new_links_too(proxy: Proxy) -> None:
    proxy.stall()
    with connect(proxy) as client:
        client.sendall(b"hello")
        assert hears_nothing(client)
        proxy.flow()
        assert receive(client, 5) == b"hello"


def test_a_sender_feels_a_stall_after_a_bounded_number_of_bytes(proxy: Proxy) -> None:
    proxy.stall(down=False)
    with connect(proxy) as client:
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            while True:
                client.sendall(b"x" * 65536)
        assert proxy.bytes_up <= 18 * 4096


def test_of_a_half_open_link_the_client_hears_nothing_and_a_new_one_works(proxy: Proxy) -> None:
    with connect(proxy) as client, connect(proxy) as other:
        for each in (client, other):
            each.sendall(b"hello")
            assert receive(each, 5) == b"hello"
        proxy.half_open()
        client.sendall(b"anybody")
        assert hears_nothing(client)
        with connect(proxy) as fresh:
            fresh.sendall(b"again")
            assert receive(fresh, 5) == b"again"
        assert hears_nothing(other)


def test_a_delay_holds_bytes_back_in_both_directions(proxy: Proxy) -> None:
    proxy.up.delay_s = proxy.down.delay_s = 0.1
    with connect(proxy) as client:
        began = time.monotonic()
        client.sendall(b"x" * 20_000)
        assert receive(client, 20_000) == b"x" * 20_000
        assert time.monotonic() - began >= 0.2


def test_a_slow_link_passes_so_many_bytes_in_a_second(proxy: Proxy) -> None:
    proxy.down.bytes_per_s = 50_000
    with connect(proxy) as client:
        began = time.monotonic()
        client.sendall(b"x" * 20_000)
        assert receive(client, 20_000) == b"x" * 20_000
        assert time.monotonic() - began >= 0.35


def test_an_end_is_passed_on_behind_what_was_sent(proxy: Proxy) -> None:
    with connect(proxy) as client:
        client.sendall(b"hello")
        client.shutdown(socket.SHUT_WR)
        assert receive(client, 5) == b"hello"
        assert client.recv(1) == b""
