"""One HTTP/1.1 connection of the demo target.

Bytes in, answers out in the order of their requests, also where requests are pipelined and a later answer is
ready first. The common request (keep-alive, no delay, nothing before it) is answered within `data_received`,
without a task or a timer; uvloop gathers the answers to pipelined requests in one write.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from typing import cast

import httptools

from loadr.clock import boottime_ns
from loadr.testing.target_routes import Answer, Ending, Route, json_answer
from loadr.testing.target_site import Site

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_PENDING = 256  # requests of one connection that wait for their answer; beyond, nothing more is read
LINGER_S = 1.0
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER, no time

BODY_TOO_LARGE = json_answer({"error": "the request's body is over 16 MiB"}, 413).ended(Ending.LINGER)
HEAD_TOO_LARGE = json_answer({"error": "the request's head is over 64 KiB"}, 431).ended(Ending.LINGER)
NOT_HTTP = json_answer({"error": "this is not HTTP/1.1"}, 400).ended(Ending.LINGER)


class _Pending:
    """An answer that waits for its time, or for those before it."""

    __slots__ = ("answer", "ready", "timer")

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.ready = False
        self.timer: asyncio.TimerHandle | None = None


class Connection(asyncio.Protocol):
    """Given to the event loop; the methods named ``on_…`` are called by httptools while it is fed."""

    def __init__(self, site: Site, loop: asyncio.AbstractEventLoop) -> None:
        self._site = site
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._pending: deque[_Pending] = deque()
        self._deaf = False  # whatever still comes is not read
        self._reading = True
        self._congested = False  # the client does not take its answers
        self._is_control = False
        self._requests = 0
        self._messages = 0
        self._now_ns = 0
        # of the request that is being read
        self._in_head = False
        self._head_bytes = 0
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._route: Route
        self._body = bytearray()  # kept for an echo only
        self._body_bytes = 0

    def close(self) -> None:
        """End it without ceremony."""
        self._transport.abort()

    # --- the event loop's calls ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass
        self._site.connections.add(self)
        self._site.counters.connections_opened += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._deaf = True
        counters = self._site.counters
        counters.unanswered += len(self._pending)
        if not self._is_control:
            counters.connections_closed += 1
        for pending in self._pending:
            if pending.timer is not None:
                pending.timer.cancel()
        self._pending.clear()
        self._site.connections.discard(self)

    def pause_writing(self) -> None:
        self._congested = True
        self._regulate()

    def resume_writing(self) -> None:
        self._congested = False
        self._regulate()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._now_ns = boottime_ns()
        messages, in_head = self._messages, self._in_head
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(NOT_HTTP)
        if not self._is_control:
            self._site.counters.received_bytes += len(data)
        if in_head and self._in_head and messages == self._messages:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(HEAD_TOO_LARGE)

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                # We do not upgrade; what follows is again HTTP/1.1 (RFC 9110, 7.8).
                self._parser = httptools.HttpRequestParser(self)
                data = data[upgrade.args[0] :]

    # --- httptools' calls ----------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._messages += 1
        self._in_head = True
        self._head_bytes = 0
        self._url = b""
        self._headers = []

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._head_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))
        self._head_bytes += len(name) + len(value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._deaf:
            return
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(HEAD_TOO_LARGE)
            return
        self._route = route = self._site.routes.find(self._parser.get_method(), self._url)
        self._body_bytes = 0
        self._requests += 1
        counters = self._site.counters
        if route.name:
            counters.arrived(route.name, self._now_ns)
        elif self._requests == 1:
            self._is_control = True
            counters.connections_opened -= 1

    def on_body(self, body: bytes) -> None:
        if self._deaf:
            return
        self._body_bytes += len(body)
        if self._body_bytes > MAX_BODY_BYTES:
            self._refuse(BODY_TOO_LARGE)
        elif self._route.echo:
            self._body += body

    def on_message_complete(self) -> None:
        if self._deaf:
            return
        site, route = self._site, self._route
        if route.control is not None:
            answer, wait_s = site.control(route), 0.0
        else:
            answer, wait_s = site.draw(route)
            if route.echo and answer is route.answer:
                answer = self._echo(route)
            if stalled_s := site.stalled_s():
                wait_s = max(wait_s, stalled_s)
        if not self._parser.should_keep_alive():
            answer = answer.ended()
        if wait_s or self._pending or answer.ending is not Ending.KEEP:
            self._enqueue(answer, wait_s)
        else:
            self._write(answer)

    # --- answers -------------------------------------------------------------------------------------------

    def _echo(self, route: Route) -> Answer:
        method, _, path = route.name.partition(" ")
        body, self._body = self._body, bytearray()
        value = {
            "method": method,
            "path": path,
            "url": self._url.decode("latin-1"),
            "headers": {name.decode("latin-1").lower(): text.decode("latin-1") for name, text in self._headers},
            "body": body.decode("utf-8", "replace"),
        }
        return json_answer(value, size_bytes=route.behaviour.size_bytes, head=method == "HEAD")

    def _refuse(self, answer: Answer) -> None:
        """Answer what can not be read on, after what was asked before it, and end the connection."""
        if self._deaf:
            return
        if answer is not BODY_TOO_LARGE:
            self._site.counters.malformed += 1
        self._enqueue(answer, 0.0)

    def _enqueue(self, answer: Answer, wait_s: float) -> None:
        pending = _Pending(answer)
        self._pending.append(pending)
        if answer.ending is not Ending.KEEP:
            self._deaf = True
        if wait_s:
            pending.timer = self._loop.call_later(wait_s, self._mature, pending)
        else:
            pending.ready = answer.ending is not Ending.NEVER
        self._advance()

    def _mature(self, pending: _Pending) -> None:
        """The time of an answer has come, unless the target stalls."""
        if stalled_s := self._site.stalled_s():
            pending.timer = self._loop.call_later(stalled_s, self._mature, pending)
            return
        pending.timer = None
        pending.ready = pending.answer.ending is not Ending.NEVER
        self._advance()

    def _advance(self) -> None:
        """Send what is ready, in order."""
        while self._pending and self._pending[0].ready and not self._transport.is_closing():
            self._write(self._pending.popleft().answer)
        self._regulate()

    def _write(self, answer: Answer) -> None:
        transport = self._transport
        counters = self._site.counters
        transport.write(answer.first)
        if answer.rest:
            transport.write(answer.rest)
        if not self._is_control:
            counters.sent_bytes += len(answer.first) + len(answer.rest)
            if answer.status:
                counters.by_status[answer.status] += 1
        if answer.ending is not Ending.KEEP:
            self._end(answer.ending)

    def _end(self, ending: Ending) -> None:
        if ending is Ending.LINGER:
            self._loop.call_later(LINGER_S, self._transport.close)
            return
        if ending is Ending.RESET:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self._transport.abort()
            return
        self._transport.close()

    def _regulate(self) -> None:
        """Read on only while the client takes its answers and not too many are owed."""
        reading = not self._congested and len(self._pending) < MAX_PENDING
        if reading != self._reading and not self._transport.is_closing():
            self._reading = reading
            if reading:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()
