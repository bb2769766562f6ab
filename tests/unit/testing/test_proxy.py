"""The proxy forwards and counts; a cut is a reset for both sides, and nobody listens until that is allowed."""

from __future__ import annotations

import socket
import threading

import pytest

from loadr.testing.proxy import Proxy


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
