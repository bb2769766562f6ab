"""Absolute addresses in a plan: text → nothing, or what is wrong with it in words."""

from __future__ import annotations

from urllib.parse import urlsplit

_EXAMPLE = "write for example https://shop.example"


class AddressInvalid(ValueError):
    """An address that requests can not be sent to."""

    def __init__(self, message: str, hint: str = _EXAMPLE) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def check_address(url: str) -> None:
    """Refuse what is not ``http://`` or ``https://`` with a host, or holds blanks or credentials.

    Raises `AddressInvalid`.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressInvalid(f"{url!r} is not an address: {error}") from None
    if "://" not in url:
        raise AddressInvalid(f"{url!r} has no scheme", "begin it with http:// or https://")
    if parts.scheme not in ("http", "https"):
        raise AddressInvalid(f"the scheme {parts.scheme!r} is not supported", "begin it with http:// or https://")
    if not parts.hostname or any(char <= " " or char == "\x7f" for char in url):
        raise AddressInvalid(f"{url!r} names no host" if not parts.hostname else f"{url!r} holds blanks")
    if port == 0:
        raise AddressInvalid(f"{url!r} has the port 0", "ports are from 1 to 65535")
    if parts.username is not None:
        raise AddressInvalid("the address holds credentials", "send them in the header authorization")
