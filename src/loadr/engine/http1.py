"""One HTTP/1.1 connection: one request at a time is written, one response read, with the instants of both.

Takes bytes of a request at `Connection.start`; gives, when its future is done, either a response (``status``,
``head``, ``body``) or a kind of failure (``failure``), and when the first and the last byte came. Its future
never has an exception.

Two ways lead through a response. A head that was seen before (all but the date is usually equal from response to
response) with a whole body behind it is known without parsing: one lookup. Everything else goes through llhttp
(httptools). Only heads that llhttp took, of a plain shape, become known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from socket import socket
from typing import cast

import httptools

from loadr.engine.failures import (
    BODY_TOO_LARGE,
    INTERRUPTED,
    PROTOCOL_ERROR,
    TIMEOUT,
    classify_loss,
)

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_KNOWN_HEADS = 1_024
_MAX_KNOWN_HEAD_BYTES = 2_048
_HEAD_END = b"\r\n\r\n"

KnownHeads = dict[bytes, tuple[int, int]]
"""Head → (status, bytes of the body). Such a response keeps its connection open."""

_IN_HEAD, _IN_BODY, _DONE = range(3)


class Connection(asyncio.Protocol):
    """Owned by one VU. ``open`` says whether another request can be started.

    After the future of `start` is done, these hold: ``failure`` ("" if answered) and ``failure_detail``,
    ``status``, ``head``, ``body``, ``bytes_received``, ``sent_at``, ``first_at`` (``end_at`` if not a byte came).
    ``unsolicited`` tells of bytes that belong to no request.
    """

    __slots__ = (
        "_clock",
        "_extra",
        "_failing",
        "_head_only",
        "_interim",
        "_keep",
        "_known",
        "_loop",
        "_on_lost",
        "_parser",
        "_paused",
        "_pieces",
        "_pieces_bytes",
        "_raw",
        "_send",
        "_stage",
        "_transport",
        "body",
        "bytes_received",
        "deadline_at",
        "end_at",
        "failure",
        "failure_detail",
        "first_at",
        "head",
        "open",
        "sent_at",
        "status",
        "unsolicited",
        "waiter",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], int],
        known: KnownHeads,
        on_lost: Callable[[Connection], None],
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._known = known
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._send: Callable[[bytes], int] | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self.open = False
        self.unsolicited = False
        self.waiter: asyncio.Future[None] | None = None
        self.deadline_at = 0
        self.sent_at = 0
        self.first_at = 0
        self.end_at = 0
        self.status = 0
        self.head = b""
        self.body = b""
        self.failure = ""
        self.failure_detail = ""
        self.bytes_received = 0
        self._head_only = False
        self._paused = False
        self._reset()

    def _reset(self) -> None:
        """The state of the parsing way, before a response."""
        self._stage = _IN_HEAD
        self._raw = b""
        self._pieces: list[bytes] = []
        self._pieces_bytes = 0
        self._interim = 0  # informational responses (1xx) so far
        self._keep = False
        self._extra = False
        self._failing = ""

    # --- towards the target ------------------------------------------------------------------------------

    def use_socket(self, sock: socket) -> None:
        """Write to this socket at once, instead of at the end of the loop's turn as the transport would.

        So that ``sent_at`` is after the system call, and no request waits for other VUs' turns. Plaintext only.
        """
        self._send = sock.send
        transport = self._transport
        if transport is not None:
            transport.set_write_buffer_limits(high=0)  # `resume_writing` tells when a long body has left

    def start(self, data: bytes, head_only: bool, deadline_at: int) -> asyncio.Future[None] | None:
        """Write a whole request. ``None``: the connection is gone, and nothing was written."""
        transport = self._transport
        if not self.open or transport is None:
            return None
        send = self._send
        if send is None:
            transport.write(data)
        else:
            try:
                written = send(data)
            except BlockingIOError:
                written = 0
            except OSError:
                self.abort()
                return None
            if written != len(data):
                transport.write(data[written:])
        self.sent_at = self._clock()
        self._head_only = head_only
        self.deadline_at = deadline_at
        self.first_at = 0
        waiter = self.waiter = asyncio.Future(loop=self._loop)
        return waiter

    def expire(self, now: int) -> None:
        """The request's time is up."""
        self._fail(TIMEOUT, "", now)

    def interrupt(self, now: int) -> None:
        """Close; a request in flight ends as interrupted."""
        if self.waiter is not None:
            self._fail(INTERRUPTED, "", now)
        else:
            self.abort()

    def abort(self) -> None:
        """Close. A request in flight is forgotten: its future stays undone."""
        self.open = False
        self.waiter = None
        if self._transport is not None:
            self._transport.abort()

    # --- from the loop -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.open = True

    def data_received(self, data: bytes) -> None:
        now = self._clock()
        waiter = self.waiter
        if waiter is None:
            self.unsolicited = self.unsolicited or self.open
            self.abort()
            return
        if not self.first_at:
            self.first_at = now
            body_at = data.find(_HEAD_END) + 4
            known = self._known.get(data[:body_at])
            if known is not None and len(data) == body_at + known[1] and not self._head_only and not self._paused:
                self.status = known[0]
                self.head = data[:body_at]
                self.body = data[body_at:]
                self.bytes_received = len(data)
                self.end_at = now
                self.waiter = None
                if not waiter.done():  # else cancelled, and about to be told
                    waiter.set_result(None)
                return
            self._reset()
            self.bytes_received = 0
        self._parse(data, now)

    def eof_received(self) -> None:
        self._ended(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(exc)
        self._on_lost(self)
        self._transport = self._send = self._parser = None  # ends the cycles of references

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if not self.first_at:  # else the target answered before it had read all
            self.sent_at = self._clock()

    # --- from the parser ---------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._stage == _DONE:
            self._extra = True

    def on_headers_complete(self) -> None:
        parser = self._parser
        if self._stage == _DONE or parser is None:
            return
        status = parser.get_status_code()
        if status < 200:
            return  # informational: the next message begins right after
        self.status = status
        self._stage = _IN_BODY
        if self._head_only:
            self._stage = _DONE
            self._keep = parser.should_keep_alive()

    def on_body(self, piece: bytes) -> None:
        if self._stage == _DONE:
            self._extra = True
            return
        self._pieces_bytes += len(piece)
        if self._pieces_bytes > MAX_BODY_BYTES:
            self._failing = BODY_TOO_LARGE
        else:
            self._pieces.append(piece)

    def on_message_complete(self) -> None:
        if self._stage == _IN_HEAD:
            self._interim += 1
        elif self._stage == _IN_BODY and self._parser is not None:
            self._stage = _DONE
            self._keep = self._parser.should_keep_alive()

    # --- the parsing way ---------------------------------------------------------------------------------

    def _parse(self, data: bytes, now: int) -> None:
        self.bytes_received += len(data)
        parser = self._parser
        if parser is None:
            parser = self._parser = httptools.HttpResponseParser(self)
        if self._stage == _IN_HEAD:
            self._raw += data
        detail = ""
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._failing, detail = PROTOCOL_ERROR, "the target switched to another protocol"
        except httptools.HttpParserError as error:
            if self._stage == _DONE:
                self._extra = True
            else:
                self._failing, detail = PROTOCOL_ERROR, str(error)
        if self._stage == _IN_HEAD and len(self._raw) > MAX_HEAD_BYTES:
            self._failing, detail = PROTOCOL_ERROR, "the head of the response is over 64 KiB"
        if self._failing:
            self._fail(self._failing, detail, now)
        elif self._stage == _DONE:
            self._complete(now)

    def _complete(self, now: int) -> None:
        """The response is whole."""
        head = self._head()
        if len(head) > MAX_HEAD_BYTES:
            self._fail(PROTOCOL_ERROR, "the head of the response is over 64 KiB", now)
            return
        waiter, self.waiter = self.waiter, None
        self.head = head
        self.body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self.end_at = now
        if self._extra or not self._keep or self._paused:
            self.unsolicited = self._extra
            self.abort()
        elif self._head_only:
            self._parser = None  # it waits for a body that does not come
        else:
            self._learn(head)
        self._raw, self._pieces = b"", []
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _fail(self, kind: str, detail: str, now: int) -> None:
        waiter = self.waiter
        self.abort()
        self.status = 0
        self.head = self.body = self._raw = b""
        self._pieces = []
        self.failure = kind
        self.failure_detail = detail
        self.first_at = self.first_at or now
        self.end_at = now
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _ended(self, error: Exception | None) -> None:
        """The stream is at its end: of the connection, or also of a response that has no other end."""
        self.open = False
        if self.waiter is None:
            return
        now = self._clock()
        if not self.first_at:
            self.bytes_received = 0
            self._fail(classify_loss(error), "no byte of the response came", now)
        elif error is None and self._stage == _IN_BODY and _until_end(self._head()):
            self._complete(now)
        else:
            part = "the body" if self._stage == _IN_BODY else "the head"
            self._fail(classify_loss(error), f"within {part} of the response", now)

    def _head(self) -> bytes:
        """The final head out of the raw bytes: after the informational ones, up to the empty line."""
        begin = 0
        for _ in range(self._interim):
            begin = self._raw.find(_HEAD_END, begin) + 4
        end = self._raw.find(_HEAD_END, begin)
        return self._raw[begin : end + 4] if end >= 0 else self._raw[begin:]

    def _learn(self, head: bytes) -> None:
        known = self._known
        if self._interim or len(known) >= MAX_KNOWN_HEADS or len(head) > _MAX_KNOWN_HEAD_BYTES:
            return
        if b"\r\ncontent-length:" in head.lower() and head.endswith(_HEAD_END):
            known[head] = (self.status, self._pieces_bytes)


def _until_end(head: bytes) -> bool:
    """Whether a response with this head, which has a body, ends with its connection (RFC 9112, 6.3)."""
    lower = head.lower()
    if b"\r\ntransfer-encoding:" in lower:
        coding = lower.split(b"\r\ntransfer-encoding:", 1)[1].split(b"\r\n", 1)[0]
        return not coding.strip().endswith(b"chunked")
    return b"\r\ncontent-length:" not in lower
