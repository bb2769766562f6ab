"""The HTTP client of a worker's VUs: leases, connections, timeouts and the record of each request.

Takes prepared bytes at `Http.send`, the one seam for flows and scripts; gives a `Response`, whatever happens.
Nothing is dispatched at or after the end of the lease, which is read here and nowhere later. Redirects are
answers like others: they are not followed. A connection serves one VU, one request at a time; a script that sends
several at once opens as many connections.

k6's words (its tracer is the source): blocked is the time from asking for a connection to having it, look-up,
TCP and TLS included; total = blocked + duration.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypedDict, Unpack

from loadr.clock import boottime_ns
from loadr.engine.failures import CLOSED_EARLY, INTERRUPTED, PROTOCOL_ERROR
from loadr.engine.http1 import MAX_KNOWN_HEADS, Connection
from loadr.engine.opener import Opener, Opening
from loadr.engine.page import LEASE_END, REQUESTS_FINISHED, REQUESTS_STARTED
from loadr.engine.recorder import Recorder, RequestSeries, ScenarioRecorder
from loadr.engine.requests import Params, PreparedRequest, Target, encode_body, prepare
from loadr.engine.response import Response
from loadr.engine.signals import IterationAborted
from loadr.engine.tls import client_context
from loadr.plan.model import HttpDefaults
from loadr.units import NS_PER_MS, NS_PER_S, parse_duration_ns

SWEEP_NS = 100 * NS_PER_MS
SWEEPS_PER_TIMEOUT = 20
_FINEST_SWEEP_NS = NS_PER_MS  # the tick of the loop's timers
_MAX_READY = 1_024  # requests of scripts whose heads are kept, per scenario


class HttpWorker:
    """One per process: clock, connections, TLS contexts, and the sweep that ends requests whose time is up and
    packs the recorder's rows.

    ``words`` are those of the worker's `loadr.engine.page.Page`. A request is ended at most a twentieth of the
    shortest timeout in use, or 100 ms, after its timeout. ``files_dir`` is where the plan's files stand.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        recorder: Recorder,
        words: memoryview[int],
        clock: Callable[[], int] = boottime_ns,
        *,
        files_dir: str = ".",
    ) -> None:
        self.loop = loop
        self.recorder = recorder
        self.words = words
        self.clock = clock
        self.opener = Opener(loop, clock)
        self._files_dir = Path(files_dir)
        self._contexts: dict[tuple[bool, str | None], ssl.SSLContext] = {}
        self._sites: dict[str, Site] = {}
        self._sweep_ns = SWEEP_NS
        self._forget_at = 0
        self._timer = loop.call_later(SWEEP_NS / NS_PER_S, self._sweep)

    def http(self, scenario: ScenarioRecorder, defaults: HttpDefaults) -> Http:
        """The client of one VU. Raises `ArgumentInvalid` if the defaults name a CA file that can not be used."""
        site = self._sites.get(scenario.name)
        if site is None or site.defaults is not defaults:
            site = self._sites[scenario.name] = Site(self, scenario, defaults)
            self.watch(defaults.timeout_ns)
        return Http(site)

    def context(self, defaults: HttpDefaults) -> ssl.SSLContext:
        """The TLS context of these defaults."""
        key = (defaults.tls_verify, defaults.tls_ca)
        context = self._contexts.get(key)
        if context is None:
            ca_file = self._files_dir / defaults.tls_ca if defaults.tls_ca else None
            context = self._contexts[key] = client_context(verify=defaults.tls_verify, ca_file=ca_file)
        return context

    def watch(self, timeout_ns: int) -> None:
        """Sweep often enough for requests with this timeout."""
        sweep_ns = max(timeout_ns // SWEEPS_PER_TIMEOUT, _FINEST_SWEEP_NS)
        if sweep_ns < self._sweep_ns:
            self._sweep_ns = sweep_ns
            self._timer.cancel()
            self._timer = self.loop.call_later(sweep_ns / NS_PER_S, self._sweep)

    def _sweep(self) -> None:
        now = self.clock()
        late = [c for c in self.opener.connections if c.waiter is not None and now >= c.deadline_at]
        for connection in late:
            connection.expire(now)
        known = self.opener.known_heads
        if now >= self._forget_at:  # heads change with their date, every second
            self._forget_at = now + NS_PER_S
            if len(known) >= MAX_KNOWN_HEADS:
                known.clear()
        self.recorder.pack()
        self._timer = self.loop.call_later(self._sweep_ns / NS_PER_S, self._sweep)

    async def close(self) -> None:
        """Abort all connections. Requests in flight end as interrupted."""
        self._timer.cancel()
        await self.opener.close()


class Ready:
    """A request of a script that was prepared before."""

    __slots__ = ("head", "prepared", "series", "target")

    def __init__(self, series: RequestSeries, prepared: PreparedRequest) -> None:
        self.series = series
        self.prepared = prepared
        self.target = prepared.target
        self.head = prepared.head()


class Site:
    """What the VUs of one scenario have in common."""

    __slots__ = ("defaults", "ready", "scenario", "worker")

    def __init__(self, worker: HttpWorker, scenario: ScenarioRecorder, defaults: HttpDefaults) -> None:
        self.worker = worker
        self.scenario = scenario
        self.defaults = defaults
        self.ready: dict[object, Ready] = {}
        if defaults.tls_ca or defaults.base_url.startswith("https:"):
            worker.context(defaults)  # dear, and may fail: now and not within the first request

    def prepare(
        self,
        method: str,
        url: str,
        name: str,
        headers: Mapping[str, str] | None,
        params: Params | None,
        content_type: str,
    ) -> Ready:
        """A request with the headers of the plan's defaults, of its content and of the call, the latter first."""
        fields = {**self.defaults.headers}
        if content_type:
            fields["content-type"] = content_type
        fields.update(headers or {})
        prepared = prepare(method, url, base_url=self.defaults.base_url, headers=fields, params=params)
        return Ready(self.scenario.request(method, name or url), prepared)

    def keep(self, key: object, ready: Ready) -> None:
        """For the next time; URLs that never come again must not fill the memory."""
        if len(self.ready) >= _MAX_READY:
            self.ready.clear()
        self.ready[key] = ready


class Options(TypedDict, total=False):
    """What a request without content can be given."""

    name: str
    headers: Mapping[str, str] | None
    params: Params | None
    timeout: float | str | None


class ContentOptions(Options, total=False):
    """At most one of ``json``, ``form`` and ``body``."""

    json: Any
    form: Params | None
    body: str | bytes | None


class Http:
    """One per VU. ``first_intended_ns`` is set by the dispatcher of an open model before each iteration and used
    up by its first request; 0 otherwise."""

    __slots__ = (
        "_clock",
        "_connections",
        "_counts",
        "_idle",
        "_opener",
        "_ready",
        "_site",
        "_timeout_ns",
        "_words",
        "first_intended_ns",
    )

    def __init__(self, site: Site) -> None:
        worker = site.worker
        self.first_intended_ns = 0
        self._clock = worker.clock
        self._words = worker.words
        self._counts = site.scenario.counts
        self._opener = worker.opener
        self._site = site
        self._ready = site.ready
        self._timeout_ns = site.defaults.timeout_ns
        self._idle: dict[Target, list[Connection]] = {}
        self._connections: list[Connection] = []

    async def send(
        self, series: RequestSeries, target: Target, head: bytes, body: bytes = b"", timeout_ns: int = 0
    ) -> Response:
        """One request: ``head`` is complete (see `loadr.engine.requests`), ``timeout_ns`` 0 means the default.

        Whatever the target does is in the response. Raises `IterationAborted` when the lease is gone, before
        anything is written, and lets cancellation pass: the request then counts as interrupted if it was written.
        """
        clock, words, counts = self._clock, self._words, self._counts
        begin_at = clock()
        if begin_at >= words[LEASE_END]:
            raise IterationAborted("lease")
        if timeout_ns:
            self._site.worker.watch(timeout_ns)
        deadline_at = begin_at + (timeout_ns or self._timeout_ns)
        intended_at = self.first_intended_ns
        self.first_intended_ns = 0
        data = head + body if body else head
        write_at, opening = begin_at, None
        idle = self._idle.get(target)
        connection = idle.pop() if idle else None
        # The page counts before a byte leaves: a worker that is killed right here must not hide a request.
        counts[REQUESTS_STARTED] += 1
        waiter = connection.start(data, series.head_only, deadline_at) if connection is not None else None
        if connection is None or waiter is None:
            counts[REQUESTS_STARTED] -= 1
            if connection is not None:  # the target closed it while it was idle: that is nobody's failure
                _count_unsolicited(connection, series, begin_at)
            opening = await self._open(target, deadline_at)
            connection, write_at = opening.connection, clock()
            if connection is not None:
                if write_at >= words[LEASE_END]:
                    self._idle.setdefault(target, []).append(connection)
                    raise IterationAborted("lease")
                counts[REQUESTS_STARTED] += 1
                waiter = connection.start(data, series.head_only, deadline_at)
                if waiter is None:
                    counts[REQUESTS_STARTED] -= 1
            if connection is None or waiter is None:
                return await self._unsent(series, target, head, begin_at, intended_at, opening)
        scenario = series.scenario
        scenario.bytes_sent += len(data)
        try:
            await waiter
        except BaseException:  # cancelled with its iteration, or its coroutine closed
            counts[REQUESTS_FINISHED] += 1
            connection.abort()
            series.interrupted(clock())
            raise
        counts[REQUESTS_FINISHED] += 1
        scenario.bytes_received += connection.bytes_received
        status, end_at = connection.status, connection.end_at
        if connection.failure == INTERRUPTED:
            series.interrupted(end_at)
            return _failed(connection.failure, "", end_at - write_at, series, target, head)
        if opening is None and (record := series.kept.get(status)) is not None:
            record((write_at, connection.sent_at, connection.first_at, end_at))
        else:
            row = (write_at, connection.sent_at, connection.first_at, end_at)
            rows = series.rows(status)
            if opening is None:
                rows.kept.append(row)
            else:
                rows.opened.append((write_at - begin_at, opening.connecting_ns, opening.tls_ns, *row))
        if intended_at:
            series.rows(status).intended.append((intended_at, end_at))
        if connection.open:
            if idle is None:
                idle = self._idle.setdefault(target, [])
            idle.append(connection)
        elif connection.failure:
            series.error(connection.failure, end_at)
            return _failed(connection.failure, connection.failure_detail, end_at - write_at, series, target, head)
        else:
            _count_unsolicited(connection, series, end_at)
        return Response(
            status, connection.body, end_at - write_at, scenario, series, target, head, connection.head
        )

    def abort(self) -> None:
        """Close all connections; requests in flight end as interrupted."""
        now = self._clock()
        for connection in self._connections:
            connection.interrupt(now)
        self._connections.clear()
        self._idle.clear()

    async def _open(self, target: Target, deadline_at: int) -> Opening:
        context = self._site.worker.context(self._site.defaults) if target.tls else None
        opening = await self._opener.open(target, deadline_at, context)
        if opening.connection is not None:
            self._connections = [connection for connection in self._connections if connection.open]
            self._connections.append(opening.connection)
        return opening

    async def _unsent(
        self,
        series: RequestSeries,
        target: Target,
        head: bytes,
        begin_at: int,
        intended_at: int,
        opening: Opening,
    ) -> Response:
        """There was no connection to write to."""
        kind, detail = opening.failure, opening.failure_detail
        if opening.connection is not None:
            kind, detail = CLOSED_EARLY, "the connection was closed before the request was written"
        end_at = self._clock()
        self._counts[REQUESTS_STARTED] += 1
        self._counts[REQUESTS_FINISHED] += 1
        rows = series.rows(0)
        rows.unsent.append((begin_at, end_at))
        if intended_at:
            rows.intended.append((intended_at, end_at))
        series.error(kind, end_at)
        await asyncio.sleep(0)  # a limit of this machine fails at once, and must not stop the loop for all others
        return _failed(kind, detail, 0, series, target, head)

    # --- for scripts -------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        url: str,
        *,
        name: str = "",
        headers: Mapping[str, str] | None = None,
        params: Params | None = None,
        json: Any = None,
        form: Params | None = None,
        body: str | bytes | None = None,
        timeout: float | str | None = None,
    ) -> Coroutine[Any, Any, Response]:
        """``url`` is absolute or relative to ``base_url``; ``name`` is the tag of its series (default: ``url``).

        At most one of ``json``, ``form`` and ``body``. ``timeout`` in seconds, or text such as "300ms". Raises
        `ValueError` at once on what can not be sent.
        """
        timeout_ns = 0 if timeout is None else parse_duration_ns(timeout)
        content, content_type = b"", ""
        if json is not None or form is not None or body is not None:
            content, content_type = encode_body(json, form, body)
        key = (method, url, name, content_type, tuple(headers.items()) if headers else ())
        ready = self._site.ready.get(key) if params is None else None
        if ready is None:
            ready = self._site.prepare(method, url, name, headers, params, content_type)
            if params is None:
                self._site.keep(key, ready)
        head = ready.prepared.head(len(content)) if content else ready.head
        return self.send(ready.series, ready.target, head, content, timeout_ns)

    def get(
        self,
        url: str,
        *,
        name: str = "",
        headers: Mapping[str, str] | None = None,
        params: Params | None = None,
        timeout: float | str | None = None,
    ) -> Coroutine[Any, Any, Response]:
        """See `request`. The same plain GET again costs one look-up."""
        if headers is None and params is None and timeout is None:
            ready = self._ready.get((url, name))
            if ready is not None:
                return self.send(ready.series, ready.target, ready.head)
            ready = self._site.prepare("GET", url, name, None, None, "")
            self._site.keep((url, name), ready)
            return self.send(ready.series, ready.target, ready.head)
        return self.request("GET", url, name=name, headers=headers, params=params, timeout=timeout)

    def head(self, url: str, **options: Unpack[Options]) -> Coroutine[Any, Any, Response]:
        """See `request`."""
        return self.request("HEAD", url, **options)

    def options(self, url: str, **options: Unpack[ContentOptions]) -> Coroutine[Any, Any, Response]:
        """See `request`."""
        return self.request("OPTIONS", url, **options)

    def post(self, url: str, **options: Unpack[ContentOptions]) -> Coroutine[Any, Any, Response]:
        """See `request`."""
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Unpack[ContentOptions]) -> Coroutine[Any, Any, Response]:
        """See `request`."""
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Unpack[ContentOptions]) -> Coroutine[Any, Any, Response]:
        """See `request`."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Unpack[ContentOptions]) -> Coroutine[Any, Any, Response]:
        """See `request`."""
        return self.request("DELETE", url, **options)


def _failed(
    kind: str, detail: str, duration_ns: int, series: RequestSeries, target: Target, head: bytes
) -> Response:
    return Response(0, b"", duration_ns, series.scenario, series, target, head, b"", kind, detail)


def _count_unsolicited(connection: Connection, series: RequestSeries, at_ns: int) -> None:
    """A closed connection is dropped; that it was closed because of bytes that nobody asked for, is counted."""
    if connection.unsolicited:
        series.error(PROTOCOL_ERROR, at_ns)
