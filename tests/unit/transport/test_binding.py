"""Binding tells why it failed, with the flag to change."""

from __future__ import annotations

import socket

import pytest

from loadr.errors import ArgumentInvalid
from loadr.transport.address import Address
from loadr.transport.binding import bind_socket


def test_a_free_port_is_bound_without_being_shared() -> None:
    with bind_socket(Address("127.0.0.1", 0), "--bind") as listener:
        assert listener.getsockname()[1] > 0
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0


def test_a_port_in_use_is_named_with_the_flag() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ArgumentInvalid, match=f"127.0.0.1:{port} is already in use") as caught:
            bind_socket(Address("127.0.0.1", port), "--api")
    assert "--api" in caught.value.hint


@pytest.mark.parametrize(
    ("host", "words"),
    [("192.0.2.1", "no address of this machine"), ("name.invalid", "can not be resolved")],
)
def test_a_host_that_is_not_here_is_named(host: str, words: str) -> None:
    with pytest.raises(ArgumentInvalid, match=words):
        bind_socket(Address(host, 0), "--bind")
