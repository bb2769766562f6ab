"""Addresses that people give: ``HOST:PORT`` text in, a host and a port out, and whether that is this machine."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from loadr.errors import ArgumentInvalid


@dataclass(frozen=True, slots=True)
class Address:
    """``host`` is a name or an IP address without brackets; ``port`` is 0–65535 (0: any free one, when bound)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can be meant. A name counts only if it is ``localhost``: no DNS is asked."""
        if self.host == "localhost":
            return True
        try:
            ip = ipaddress.ip_address(self.host)
        except ValueError:
            return False
        mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
        return (mapped or ip).is_loopback


def parse_address(text: str) -> Address:
    """``127.0.0.1:7625``, ``controller.example:7625``, ``[::1]:7625``. Raises `ArgumentInvalid`."""
    host, colon, port = text.strip().rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed:
        host = host[1:-1]
    wrong_host = not host or any(c in host for c in "/[]@ ") or (":" in host and not bracketed)
    if not colon or wrong_host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ArgumentInvalid(
            f"{text!r} is not an address", hint="write HOST:PORT, such as 127.0.0.1:7625 or [::1]:7625"
        )
    return Address(host.lower(), int(port))
