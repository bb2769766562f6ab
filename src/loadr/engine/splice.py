"""Bytes with holes: what of a request is known when the flow is compiled, and what is filled in each time.

Takes the parts of a request with a mark wherever an expression stands, after they went through the same functions
that prepare static requests; cuts the bytes at the marks and gives Python source that joins them around encoded
values. So there is one way to write a head or a body, whether it changes from iteration to iteration or not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote

import msgspec

from loadr.engine.requests import Target, content_length, prepare


class Unsendable(ValueError):
    """A value that must not stand where it was put, such as a line break in a header."""


def as_text(value: object) -> str:
    """As plans write it: true and false in lower case."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def in_url(value: object) -> bytes:
    """In a path, a query or a form: everything is encoded that is not unreserved (RFC 3986), slashes too."""
    return b"%d" % value if type(value) is int else quote(as_text(value), safe="").encode("ascii")


def in_header(value: object) -> bytes:
    """In the value of a header. Raises `Unsendable` on a line break, which would forge further headers."""
    text = as_text(value)
    if any(character in text for character in "\r\n\0"):
        raise Unsendable("the value of a header holds a line break")
    return text.encode("utf-8")


def in_json_text(value: object) -> bytes:
    """Inside of a text in JSON."""
    return msgspec.json.encode(as_text(value))[1:-1]


def in_body(value: object) -> bytes:
    """In a body that is not looked into."""
    return as_text(value).encode("utf-8")


def late_head(
    method: str,
    url: str,
    base_url: str,
    headers: Mapping[str, str],
    params: Mapping[str, str | int | float | bool],
    body_bytes: int,
) -> tuple[Target, bytes]:
    """Target and head of a request whose host is only known now. Raises `Unsendable` in plain words."""
    try:
        prepared = prepare(method, url, base_url=base_url, headers=headers, params=params)
    except ValueError as error:
        raise Unsendable(str(error)) from None
    return prepared.target, prepared.head(body_bytes)


class Place(Enum):
    """Where a value is put; the member's value is the name of its encoder in compiled code."""

    URL = "__in_url"
    HEADER = "__in_header"
    JSON = "__in_json"  # a value of its own, with its type
    JSON_TEXT = "__in_json_text"
    BODY = "__in_body"


FUNCTIONS: Mapping[str, Callable[..., object]] = {
    Place.URL.value: in_url,
    Place.HEADER.value: in_header,
    Place.JSON.value: msgspec.json.encode,
    Place.JSON_TEXT.value: in_json_text,
    Place.BODY.value: in_body,
    "__as_text": as_text,
    "__content_length": content_length,
    "__join": b"".join,
    "__late_head": late_head,
}
"""What the source that is given here, and by `loadr.engine.flow_request`, calls."""


@dataclass(frozen=True, slots=True)
class _Hole:
    code: str
    place: Place


class Splicer:
    """Of one request. ``avoid`` is any text that holds all of the request's static text."""

    def __init__(self, avoid: str) -> None:
        salt = 0
        while f"zq{salt}zq" in avoid:
            salt += 1
        self._prefix = f"zq{salt}zq"
        self._holes: list[_Hole] = []

    def mark(self, code: str, place: Place) -> str:
        """A mark for the value of the Python expression ``code``. Lower-case letters and digits only, so that it
        passes through every encoding unchanged."""
        self._holes.append(_Hole(code, place))
        return f"{self._prefix}{len(self._holes) - 1}z"

    def has_mark(self, text: bytes) -> bool:
        """Whether a mark stands in ``text``."""
        return self._prefix.encode() in text

    def source(self, text: bytes) -> str:
        """Python source of the bytes: a literal, or a join of literals and encoded values."""
        pieces = re.split(self._prefix.encode() + rb"(\d+)z", text)
        parts: list[bytes | _Hole] = [
            piece if at % 2 == 0 else self._holes[int(piece)] for at, piece in enumerate(pieces)
        ]
        if len(parts) == 1:
            return repr(text)
        for at, part in enumerate(parts):
            if isinstance(part, _Hole) and part.place is Place.JSON:
                before, after = parts[at - 1], parts[at + 1]
                assert isinstance(before, bytes) and isinstance(after, bytes)
                parts[at - 1], parts[at + 1] = before.removesuffix(b'"'), after.removeprefix(b'"')
        shown = (
            f"{part.place.value}({part.code})" if isinstance(part, _Hole) else repr(part)
            for part in parts
            if part != b""
        )
        return f"__join([{', '.join(shown)}])"
