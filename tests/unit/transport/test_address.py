"""Addresses: what is one, and which are this machine."""

from __future__ import annotations

import pytest

from loadr.errors import ArgumentInvalid
from loadr.transport.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:7625", Address("127.0.0.1", 7625)),
        (" Controller.Example:0 ", Address("controller.example", 0)),
        ("[::1]:65535", Address("::1", 65535)),
    ],
)
def test_an_address_is_a_host_and_a_port_and_prints_as_it_is_read(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    ["", "7625", ":7625", "host", "host:", "host:65536", "host:-1", "host:²", "::1:7625", "a/b:1", "http://a:1"],
)
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ArgumentInvalid, match="is not an address") as caught:
        parse_address(text)
    assert "127.0.0.1:7625" in caught.value.hint


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.evil.example", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, loopback: bool) -> None:
    assert Address(host, 1).loopback is loopback
