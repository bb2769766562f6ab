"""The controller's end over gRPC: listens, and gives a `Link` for each session that an agent opens."""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from loadr.coordination.messages import AgentMessage, ControllerMessage
from loadr.errors import ArgumentInvalid
from loadr.transport.address import Address, parse_address
from loadr.transport.binding import bind_socket
from loadr.transport.channel_options import SERVER
from loadr.transport.codec import encode_controller, unpack_agent
from loadr.transport.grpc_wire import ENDED, LOST, METHOD_NAME, SERVICE, stream_errors
from loadr.transport.link import ControllerLink
from loadr.transport.stream_link import LinkLimits, PeerFacts, StreamLink, WireEnd
from loadr.transport.tls import ServerTls, Stamp

import grpc  # isort: skip  (after channel_options, which settles how it logs)
import grpc.aio  # isort: skip

MAX_SESSIONS = 4096
WRITE_S = 1.0  # for a write that is under way when its stream is cut
STOP_S = 5.0  # for the sessions' handlers to come to their end


class GrpcServer:
    """``on_link`` is called once per session, as its own task; when it returns, the link is closed. ``options``
    replace some of `channel_options.SERVER`.

    Raises `ArgumentInvalid` when ``bind`` is no address, or is off loopback without TLS and not ``insecure``.
    """

    def __init__(
        self,
        bind: str,
        *,
        tls: ServerTls | None,
        insecure: bool,
        on_link: Callable[[ControllerLink], Awaitable[None]],
        limits: LinkLimits | None = None,
        options: Mapping[str, int] | None = None,
    ) -> None:
        self._options = {**SERVER, **(options or {})}
        self._address = parse_address(bind)
        if tls is None and not insecure and not self._address.loopback:
            raise ArgumentInvalid(
                f"plaintext on {self._address} could be read and commanded by anybody in reach",
                hint="give --tls-cert, --tls-key and --tls-client-ca; or bind to 127.0.0.1; or add --insecure",
            )
        self._tls = tls
        self._on_link = on_link
        self._limits = limits or LinkLimits()
        self._server: grpc.aio.Server | None = None
        self._links: dict[asyncio.Task[None], ControllerLink] = {}
        self._stopping = False

    async def start(self) -> tuple[str, int]:
        """Listen; gives the host and the port. Raises `ArgumentInvalid`, for instance when the port is in use."""
        bind_socket(self._address, "--bind").close()
        server = grpc.aio.server(options=tuple(self._options.items()), maximum_concurrent_rpcs=MAX_SESSIONS)
        handler = grpc.stream_stream_rpc_method_handler(self._serve_session)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD_NAME: handler}),))
        try:
            if self._tls is None:
                port = server.add_insecure_port(str(self._address))
            else:
                port = server.add_secure_port(str(self._address), _server_credentials(self._tls))
        except RuntimeError as error:
            raise ArgumentInvalid(
                f"{self._address} can not be bound: {error}", hint="choose another with --bind"
            ) from None
        await server.start()
        self._server = server
        return self._address.host, port

    async def stop(self) -> None:
        """Close every link in order, wait a few seconds for their handlers, stop listening."""
        self._stopping = True
        tasks = set(self._links)
        await asyncio.gather(*(link.close("the controller stops") for link in self._links.values()))
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=STOP_S)
            for task in late:
                task.cancel()
        if self._server is not None:
            await self._server.stop(grace=1.0)

    async def _serve_session(self, _: Any, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        """What gRPC calls. The link is handled in another task, which the end of the stream does not cancel."""
        if self._stopping:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the controller stops")
        wire = _ServerWire(context)
        link: ControllerLink = StreamLink[ControllerMessage, AgentMessage](
            wire, _peer_facts(context), encode=encode_controller, decode=unpack_agent, limits=self._limits
        )
        task = asyncio.create_task(self._handle(link), name=f"session {link.peer}")
        self._links[task] = link
        task.add_done_callback(lambda done: self._links.pop(done, None))
        try:
            await wire.released.wait()
        except asyncio.CancelledError:
            link.cut(LOST)
            raise
        if wire.failure:
            await context.abort(grpc.StatusCode.ABORTED, wire.failure)

    async def _handle(self, link: ControllerLink) -> None:
        try:
            await self._on_link(link)
        finally:
            await link.close("the session is over")


class _ServerWire:
    """gRPC ends the stream when its handler returns, so finishing means to let it return.

    It can not end one while a write is under way, also when nobody waits for that write any more (the stream then
    hangs for ever on the other end): hence a write is a task of its own, which `release` waits for.
    """

    def __init__(self, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        self._context = context
        self._write: asyncio.Future[None] | None = None
        self.released = asyncio.Event()
        self.failure = ""

    async def read(self) -> bytes:
        with stream_errors():
            data = await self._context.read()
        if not isinstance(data, bytes):  # grpc.aio.EOF
            raise WireEnd(ENDED, clean=True)
        return data

    async def write(self, data: bytes) -> None:
        with stream_errors():
            self._write = asyncio.ensure_future(self._context.write(data))
            await asyncio.shield(self._write)

    async def finish(self) -> None:
        self.released.set()

    async def release(self, failure: str) -> None:
        self.failure = self.failure or failure
        if self._write is not None and not self._write.done():
            await asyncio.wait({self._write}, timeout=WRITE_S)
            self._write.cancel()
        self.released.set()


def _peer_facts(context: grpc.aio.ServicerContext[bytes, bytes]) -> PeerFacts:
    """gRPC writes ``ipv4:127.0.0.1:4711`` or ``ipv6:%5B::1%5D:4711``."""
    kind, _, where = urllib.parse.unquote(context.peer() or "").partition(":")
    host, _, port = where.rpartition(":")
    loopback = kind in ("ipv4", "ipv6") and Address(host.strip("[]"), int(port)).loopback
    auth = context.auth_context()
    names = auth.get("x509_subject_alternative_name", ()) or ((b"",) if "x509_pem_cert" in auth else ())
    return PeerFacts(where, tuple(name.decode("utf-8", "replace") for name in names), loopback)


def _server_credentials(tls: ServerTls) -> grpc.ServerCredentials:
    """Read anew when the files changed; a change that can not be used leaves the last good ones in place."""
    used: list[Stamp] = [tls.stamp()]

    def configure() -> grpc.ServerCertificateConfiguration:
        identity, client_ca = tls.read()
        return grpc.ssl_server_certificate_configuration([(identity.key, identity.cert)], client_ca)

    def renew() -> grpc.ServerCertificateConfiguration | None:
        try:
            stamp = tls.stamp()
            if stamp == used[0]:
                return None
            configuration = configure()
        except (OSError, ArgumentInvalid):
            return None
        used[0] = stamp
        return configuration

    # The stubs do not know that the function may give None for "no change", as its documentation says.
    fetch = cast("Callable[[], grpc.ServerCertificateConfiguration]", renew)
    return grpc.dynamic_ssl_server_credentials(configure(), fetch, tls.client_ca is not None)
