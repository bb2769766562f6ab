"""Heads of requests: from method, URL and headers to the bytes that are written.

Takes what a plan or a script says; gives a `PreparedRequest` whose parts are bytes already, so that a request
that is made again costs no formatting. What changes from request to request is spliced: a path by
`request_line`, headers by `field_lines`, a body by `content_length`. Raises `ValueError` in plain words on what
can not be sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urljoin, urlsplit

import msgspec

from loadr.version import __version__

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})  # these say content-length: 0 if they have none (RFC 9110, 8.6)
_DEFAULTS = {"user-agent": f"loadr/{__version__}", "accept": "*/*"}
_OURS = frozenset({"content-length", "transfer-encoding", "connection"})
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PLAIN_PATH = re.compile(r"/[!$%&'()*+,\-./0-9:;=?@A-Z_a-z~]*")
_SAFE = "!$%&'()*+,-./:;=?@_~[]"  # stays as written: reserved characters of RFC 3986, and % of what is encoded
_MAX_TARGETS = 10_000

JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"

Params = Mapping[str, str | int | float | bool]


class Target:
    """Where requests go: scheme, host and port. One object per origin, compared by identity: use `Target.of`."""

    __slots__ = ("authority", "base", "host", "port", "tls")

    _all: dict[tuple[bool, str, int], Target] = {}  # noqa: RUF012 - slots; filled by `of` only

    def __init__(self, tls: bool, host: str, port: int) -> None:
        self.tls = tls
        self.host = host
        self.port = port
        shown = f"[{host}]" if ":" in host else host
        self.authority = shown if port == (443 if tls else 80) else f"{shown}:{port}"
        self.base = f"http{'s' if tls else ''}://{self.authority}"

    @classmethod
    def of(cls, tls: bool, host: str, port: int) -> Target:
        """The one target of this origin."""
        key = (tls, host, port)
        target = cls._all.get(key)
        if target is None:
            if len(cls._all) >= _MAX_TARGETS:
                cls._all.clear()  # a script that makes up hosts: connections are not shared across this
            target = cls._all[key] = cls(tls, host, port)
        return target

    def __repr__(self) -> str:
        return f"Target({self.base})"


class PreparedRequest:
    """``head(n)`` is what is written before a body of n bytes; the parts are public for splicing."""

    __slots__ = ("fields", "line", "method", "target")

    def __init__(self, method: str, target: Target, line: bytes, fields: bytes) -> None:
        self.method = method
        self.target = target
        self.line = line  # b"GET /items?page=1 HTTP/1.1\r\n"
        self.fields = fields  # b"host: …\r\nuser-agent: …\r\n": whole lines, without the empty one

    def head(self, body_bytes: int = 0) -> bytes:
        """The complete head, with content-length if there is a body or the method asks for one."""
        return self.line + self.fields + content_length(self.method, body_bytes)


def prepare(
    method: str,
    url: str,
    *,
    base_url: str = "",
    headers: Mapping[str, str] | None = None,
    params: Params | None = None,
) -> PreparedRequest:
    """``url`` is absolute or relative to ``base_url``; ``headers`` are added to, or replace, the default ones."""
    if method not in METHODS:
        raise ValueError(f"{method!r} is not a method that can be sent; use one of {', '.join(sorted(METHODS))}")
    target, path = split_url(url, base_url)
    return PreparedRequest(method, target, request_line(method, path, params), field_lines(target, headers))


def split_url(url: str, base_url: str = "") -> tuple[Target, str]:
    """The target, and path with query (not yet encoded). A fragment is not sent."""
    whole = _join(url, base_url)
    if any(ord(character) <= 32 for character in whole):
        whole = quote(whole, safe=_SAFE + "#")  # or urlsplit drops line ends and tabs in silence
    try:
        parts = urlsplit(whole)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{whole!r} is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        hint = "" if base_url else "; a relative URL needs base_url in defaults.http"
        raise ValueError(f"{whole!r} is not an http:// or https:// URL{hint}")
    if parts.username is not None:
        raise ValueError(f"the URL of {parts.hostname} holds a user name; send an authorization header instead")
    try:
        host = parts.hostname.encode("idna").decode("ascii") if not parts.hostname.isascii() else parts.hostname
    except UnicodeError:
        raise ValueError(f"{parts.hostname!r} is not a host name") from None
    if not re.fullmatch(r"[0-9A-Za-z._:-]+", host):
        raise ValueError(f"{host!r} is not a host name")
    tls = parts.scheme == "https"
    path = parts.path or "/"
    return Target.of(tls, host, port or (443 if tls else 80)), f"{path}?{parts.query}" if parts.query else path


def _join(url: str, base_url: str) -> str:
    """Base "https://a/v1" and "/items" give "https://a/v1/items", as most clients do, and not RFC 3986."""
    if "://" in url.split("?", 1)[0] or not base_url:
        return url
    if not url or url.startswith("?"):
        return base_url + url
    if url.startswith("//"):
        return urljoin(base_url, url)
    return f"{base_url.rstrip('/')}/{url.removeprefix('/')}"


def request_line(method: str, path: str, params: Params | None = None) -> bytes:
    """The first line. ``path`` holds the query, if any; ``params`` are added to it."""
    if params:
        path = f"{path}{'&' if '?' in path else '?'}{encode_params(params)}"
    return f"{method} {encode_path(path)} HTTP/1.1\r\n".encode("ascii")


def encode_path(path: str) -> str:
    """Percent-encode what must not stand in a path with query; what is encoded already stays."""
    if _PLAIN_PATH.fullmatch(path):
        return path
    path = path.partition("#")[0]
    return quote(path if path.startswith("/") else "/" + path, safe=_SAFE)


def encode_params(params: Params) -> str:
    """``a=1&b=x%20y``; true and false in lower case, as JSON writes them."""
    texts = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in params.items()}
    return urlencode(texts, quote_via=quote)


def field_lines(target: Target, headers: Mapping[str, str] | None = None) -> bytes:
    """Header lines: host, user-agent and accept, replaced or followed by ``headers``."""
    fields = {"host": target.authority, **_DEFAULTS}
    for name, value in (headers or {}).items():
        lower = name.lower()
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is not a header name")
        if lower in _OURS:
            raise ValueError(f"the header {lower} is set by loadr itself; leave it out")
        text = str(value)
        if any(character in text for character in "\r\n\0"):
            raise ValueError(f"the value of the header {name} holds a line break; it would forge further headers")
        fields[lower] = text.strip()
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode("utf-8")


def content_length(method: str, body_bytes: int) -> bytes:
    """The end of a head: content-length where it belongs, and the empty line."""
    if body_bytes or method in _WITH_BODY:
        return b"content-length: %d\r\n\r\n" % body_bytes
    return b"\r\n"


def encode_body(
    json: Any = None, form: Params | None = None, body: str | bytes | None = None
) -> tuple[bytes, str]:
    """The bytes of at most one of the three, and the content-type that goes with them ("": none)."""
    if sum(given is not None for given in (json, form, body)) > 1:
        raise ValueError("give a request one of json, form and body, not several")
    if json is not None:
        try:
            return msgspec.json.encode(json), JSON_TYPE
        except TypeError as error:
            raise ValueError(f"json can not be encoded: {error}") from None
    if form is not None:
        return encode_params(form).encode("ascii"), FORM_TYPE
    if isinstance(body, str):
        return body.encode("utf-8"), ""
    return body or b"", ""
