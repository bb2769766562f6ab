"""What the demo target answers where: (method, url) → `Route`, worked out once for each url and kept.

Paths: ``/items?page=3``, ``/cart``, ``/json``, ``/echo``, ``/bytes/{n}``, ``/status/{code}``, ``/delay/{ms}``,
``/fault/{reset,truncate,garbage,hang}``, ``/control/{counters,reset,stall}``; anything else is a small JSON.
On every path but the control's, ``delay``, ``error`` and ``size`` are obeyed as query parameters.
"""

from __future__ import annotations

import http
import json
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from loadr.testing.target_behaviour import MAX_BODY_BYTES, Behaviour, parse_delay
from loadr.units import parse_duration_ns

MAX_KEPT_ROUTES = 4096
SMALL_BYTES = 8192  # up to here an answer is kept in one piece
NOTHING = memoryview(b"")
_KNOWN_STATUS = frozenset(http.HTTPStatus)
ITEMS_PER_PAGE = 10
MAX_STALL_NS = 3_600_000_000_000


class Ending(Enum):
    """What becomes of the connection after an answer."""

    KEEP = auto()
    CLOSE = auto()
    LINGER = auto()  # closed a little later, so that a client which is still sending can read the answer
    RESET = auto()
    NEVER = auto()  # there is no answer


class Answer:
    """``first`` holds status line, headers and what is small of the body, ``rest`` the remainder."""

    __slots__ = ("ending", "first", "rest", "status")

    def __init__(
        self, status: int, first: bytes, rest: memoryview = NOTHING, ending: Ending = Ending.KEEP
    ) -> None:
        self.status = status
        self.first = first
        self.rest = rest
        self.ending = ending

    def ended(self, ending: Ending = Ending.CLOSE) -> Answer:
        """The same with the announcement that the connection ends; as it is if it already has its own ending."""
        if self.ending is not Ending.KEEP:
            return self
        first = self.first.replace(b"\r\n", b"\r\nconnection: close\r\n", 1)
        return Answer(self.status, first, self.rest, ending)


@cache
def filling(byte: bytes) -> memoryview:
    """16 MiB of one byte, shared by all large answers."""
    return memoryview(byte * MAX_BODY_BYTES)


def answer(
    status: int, body: bytes, kind: str, *, fill: bytes = b"", size_bytes: int = 0, head: bool = False
) -> Answer:
    """A whole answer, its body filled up to ``size_bytes``; without it for HEAD (``head``) and 204, 304."""
    reason = http.HTTPStatus(status).phrase if status in _KNOWN_STATUS else "Unknown"
    if status in (204, 304):
        return Answer(status, f"HTTP/1.1 {status} {reason}\r\n\r\n".encode())
    size_bytes = max(size_bytes, len(body))
    first = f"HTTP/1.1 {status} {reason}\r\ncontent-type: {kind}\r\ncontent-length: {size_bytes}\r\n\r\n".encode()
    if head:
        return Answer(status, first)
    rest = filling(fill)[: size_bytes - len(body)] if size_bytes > len(body) else NOTHING
    if len(rest) <= SMALL_BYTES:
        return Answer(status, first + body + rest)
    return Answer(status, first + body, rest)


def json_answer(value: Any, status: int = 200, *, size_bytes: int = 0, head: bool = False) -> Answer:
    """``value`` as JSON, filled up with spaces to ``size_bytes``."""
    body = json.dumps(value, separators=(",", ":")).encode()
    return answer(status, body, "application/json", fill=b" ", size_bytes=size_bytes, head=head)


FAILURE = {"error": "as asked for"}
NOT_FAILING = json_answer(FAILURE, 500)
AT_ONCE = Behaviour()


class Control(Enum):
    """Requests about the target itself."""

    COUNTERS = auto()
    RESET = auto()
    STALL = auto()


@dataclass(frozen=True, slots=True)
class Route:
    """``name`` is what it is counted under, "" for the control's. An echo has no answer before its request."""

    name: str
    answer: Answer
    failure: Answer = NOT_FAILING  # what the error rate sends instead
    behaviour: Behaviour = AT_ONCE
    echo: bool = False
    control: Control | None = None
    stall_ns: int = 0


class Routes:
    """``behaviour`` is the server's own; at most 4096 urls are kept ready."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._kept: dict[tuple[bytes, bytes], Route] = {}

    def find(self, method: bytes, url: bytes) -> Route:
        """The route of a request; what is wrong with a request becomes a 400 that says so."""
        key = (method, url)
        route = self._kept.get(key)
        if route is None:
            if len(self._kept) >= MAX_KEPT_ROUTES:
                self._kept.clear()
            route = self._kept[key] = _route(method.decode("latin-1"), url.decode("latin-1"), self._behaviour)
        return route


def _route(method: str, url: str, behaviour: Behaviour) -> Route:
    head = method == "HEAD"
    path, _, query_text = url.partition("?")
    control = path.startswith("/control/")
    try:
        query = dict(parse_qsl(query_text, keep_blank_values=True))
        if control:
            return _control(method, path, query)
        behaviour = behaviour.refined(query)
        delay_ms = path.removeprefix("/delay/")
        if delay_ms != path:
            behaviour = replace(behaviour, delay=parse_delay(f"{_whole(delay_ms, 0, 3_600_000)}ms"))
        return Route(
            f"{method} {path}",
            _answer(method, path, query, behaviour.size_bytes, head),
            json_answer(FAILURE, 500, head=head),
            behaviour,
            echo=path == "/echo",
        )
    except ValueError as fault:
        return Route("" if control else f"{method} {path}", json_answer({"error": str(fault)}, 400, head=head))


def _control(method: str, path: str, query: dict[str, str]) -> Route:
    done = json_answer({"done": True})
    match method, path:
        case "GET", "/control/counters":
            return Route("", done, control=Control.COUNTERS)
        case "POST", "/control/reset":
            return Route("", done, control=Control.RESET)
        case "POST", "/control/stall":
            stall_ns = parse_duration_ns(query.get("for", ""))
            if stall_ns > MAX_STALL_NS:
                raise ValueError("this target stalls for 1h at most")
            return Route("", done, control=Control.STALL, stall_ns=stall_ns)
    raise ValueError("there are GET /control/counters, POST /control/reset and POST /control/stall?for=2s")


def _answer(method: str, path: str, query: dict[str, str], size_bytes: int, head: bool) -> Answer:
    status, value = 200, None
    match path.split("/")[1:]:
        case ["bytes", count]:
            size_bytes = _whole(count, 0, MAX_BODY_BYTES)
            return answer(200, b"", "application/octet-stream", fill=b"x", size_bytes=size_bytes, head=head)
        case ["fault", kind]:
            return _fault(kind)
        case ["items"]:
            value = _items(_whole(query.get("page", "1"), 1, 1_000_000))
        case ["cart"] if method == "POST":
            status, value = 201, {"added": True}
        case ["cart"]:
            value = {"lines": []}
        case ["json"]:
            value = {"message": "hello", "number": 42, "list": [1, 2, 3], "nested": {"true": True, "null": None}}
        case ["status", code]:
            status = _whole(code, 200, 599)
            value = {"status": status}
        case _:
            value = {"path": path}
    return json_answer(value, status, size_bytes=size_bytes, head=head)


def _items(page: int) -> dict[str, Any]:
    first = (page - 1) * ITEMS_PER_PAGE + 1
    items = [{"id": i, "name": f"item {i}", "price": 99 + i % 900} for i in range(first, first + ITEMS_PER_PAGE)]
    return {"page": page, "items": items}


def _fault(kind: str) -> Answer:
    match kind:
        case "reset":
            return Answer(0, b"", ending=Ending.RESET)
        case "truncate":
            return Answer(200, b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nonly this", ending=Ending.CLOSE)
        case "garbage":
            return Answer(0, b"this is not HTTP\r\n\r\n", ending=Ending.CLOSE)
        case "hang":
            return Answer(0, b"", ending=Ending.NEVER)
    raise ValueError(f"there is no fault {kind!r}; there are reset, truncate, garbage and hang")


def _whole(text: str, low: int, high: int) -> int:
    if not text.isascii() or not text.isdigit() or not low <= int(text[:20]) <= high:
        raise ValueError(f"{text[:40]!r} is not a whole number between {low} and {high}")
    return int(text)
