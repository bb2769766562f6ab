"""What a request came back with: an answer, or the kind of failure. Never an exception.

Takes what the connection read; gives `Response` to flows and scripts. Headers are parsed when somebody asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from loadr.engine.failures import SENTENCES
from loadr.engine.recorder import RequestSeries, ScenarioRecorder
from loadr.engine.requests import Target
from loadr.units import NS_PER_MS

_CHARSET = re.compile(r"charset\s*=\s*\"?([A-Za-z0-9_.:-]+)", re.IGNORECASE)


class Headers(Mapping[str, str]):
    """Header fields of a response; names in any case. Of repeated fields `[name]` joins the values by ", "."""

    __slots__ = ("_values",)

    def __init__(self, head: bytes) -> None:
        """``head``: status line and fields, already validated by the parser."""
        values: dict[str, list[str]] = {}
        last: list[str] | None = None
        for line in head.decode("latin-1").split("\r\n")[1:]:
            if line[:1] in (" ", "\t") and last is not None:
                last[-1] = f"{last[-1]} {line.strip()}"  # a folded line (RFC 9112, 5.2)
            elif line:
                name, _, value = line.partition(":")
                last = values.setdefault(name.strip().lower(), [])
                last.append(value.strip())
        self._values = values

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._values[name.lower()])

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def get_all(self, name: str) -> list[str]:
        """Every value of a repeated field, such as set-cookie."""
        return list(self._values.get(name.lower(), ()))


class Response(msgspec.Struct, gc=False, eq=False):
    """One per request. ``status`` is 0 and ``error`` a kind of `loadr.engine.failures` if there was no answer.

    ``duration_ns``: from the write to the last byte (or to the failure); ``duration_ms`` is the same as float.
    ``scenario`` is where `check` counts.
    It never is part of a reference cycle, which is why the cyclic collector need not know it.
    """

    status: int
    body: bytes
    duration_ns: int
    scenario: ScenarioRecorder
    series: RequestSeries
    target: Target
    sent_head: bytes
    head: bytes = b""
    error: str = ""
    error_detail: str = ""
    _headers: Headers | None = None

    @property
    def ok(self) -> bool:
        """Whether it counts as success: a status from 200 to 399."""
        return 200 <= self.status < 400

    @property
    def name(self) -> str:
        """The tag ``name`` of the request."""
        return self.series.name

    @property
    def url(self) -> str:
        """The absolute URL, as it was asked for."""
        return self.target.base + self.sent_head.split(b" ", 2)[1].decode("ascii")

    @property
    def duration_ms(self) -> float:
        """Milliseconds from the write to the last byte."""
        return self.duration_ns / NS_PER_MS

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return len(self.body)

    @property
    def headers(self) -> Headers:
        """Header fields; none if the request failed."""
        if self._headers is None:
            self._headers = Headers(self.head)
        return self._headers

    @property
    def text(self) -> str:
        """The body in the charset of its content-type, UTF-8 by default; what can not be decoded is replaced."""
        charset = _CHARSET.search(self.headers.get("content-type", ""))
        try:
            return self.body.decode(charset[1] if charset else "utf-8", "replace")
        except LookupError:
            return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON. Raises `ValueError` in plain words if there is none."""
        if self.error:
            raise ValueError(f"{self._subject} has no body: {SENTENCES.get(self.error, self.error)}")
        try:
            return msgspec.json.decode(self.body)
        except ValueError as error:
            raise ValueError(
                f"{self._subject} (status {self.status}, {len(self.body)} bytes) is not JSON: {error}"
            ) from None

    @property
    def _subject(self) -> str:
        return f"the response to {self.series.method} {self.series.name}"
