"""The agent's end over gRPC: dials the controller and gives a `Link`, or says in one line why there is none."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from loadr.coordination.messages import AgentMessage, ControllerMessage, Register
from loadr.errors import ArgumentInvalid, PeerRefused
from loadr.transport.address import parse_address
from loadr.transport.channel_options import CLIENT, METHOD
from loadr.transport.codec import encode_agent, pack_agent, unpack_controller
from loadr.transport.grpc_wire import CLOSED, stream_errors
from loadr.transport.link import AgentLink
from loadr.transport.probe import explain_failure, trusted_authorities
from loadr.transport.stream_link import LinkLimits, PeerFacts, StreamLink, WireEnd
from loadr.transport.tls import ClientTls
from loadr.transport.tokens import read_token

import grpc  # isort: skip  (after channel_options, which settles how it logs)
import grpc.aio  # isort: skip

_Call = grpc.aio.StreamStreamCall[bytes, bytes]


class GrpcDialer:
    """``address`` is HOST:PORT of a controller; ``token_file`` holds the join token, which is read anew for each
    dial and put into the registration here: nobody else in the agent ever has it.

    Raises `ArgumentInvalid` when it is none, or is off loopback without TLS and not ``insecure``.
    """

    def __init__(
        self,
        address: str,
        *,
        tls: ClientTls | None,
        insecure: bool,
        token_file: Path | None = None,
        limits: LinkLimits | None = None,
    ) -> None:
        self._address = parse_address(address)
        if tls is None and not insecure and not self._address.loopback:
            raise ArgumentInvalid(
                f"a plaintext session with {self._address} could be read and changed on its way",
                hint="give --tls-ca (and --tls-cert, --tls-key), or accept it with --insecure",
            )
        if token_file is not None:
            read_token(token_file)
        self._tls = tls
        self._token_file = token_file
        self._limits = limits or LinkLimits()
        self._was_connected = False

    @property
    def in_the_open(self) -> bool:
        """Whether what is sent can be read on its way."""
        return self._tls is None and not self._address.loopback

    async def dial(self, timeout_s: float) -> AgentLink:
        """Open one session within ``timeout_s`` (finding out why it failed may take 3 s more).

        Each dial reads the certificates anew and has a channel of its own. Raises `Unreachable` when nobody
        answers (worth another try), `PeerRefused` when somebody does but TLS stands in the way (worth another
        try only if it did not before: a certificate may be in renewal, a controller on its way down), and
        `ArgumentInvalid` when our own certificates can not be used.
        """
        token = "" if self._token_file is None else read_token(self._token_file)

        def encode(message: AgentMessage) -> bytes:
            return encode_agent(replace(message, token=token) if isinstance(message, Register) else message)

        channel = self._open_channel()
        try:
            connected = await _connect(channel, timeout_s)
        except BaseException:
            await channel.close(None)
            raise
        if not connected:
            await channel.close(None)
            failure = await explain_failure(self._address, self._tls)
            if isinstance(failure, PeerRefused):
                failure.retry = self._was_connected
            raise failure
        self._was_connected = True
        call: _Call = cast(Any, channel).stream_stream(METHOD)()  # the stubs want serializers; bytes need none
        return StreamLink[AgentMessage, ControllerMessage](
            _ClientWire(channel, call),
            PeerFacts(str(self._address), (), self._address.loopback),
            encode=encode,
            decode=unpack_controller,
            pack=pack_agent,
            limits=self._limits,
        )

    def _open_channel(self) -> grpc.aio.Channel:
        options = tuple(CLIENT.items())
        if self._tls is None:
            return grpc.aio.insecure_channel(str(self._address), options)
        ca, identity = self._tls.read()
        credentials = grpc.ssl_channel_credentials(
            trusted_authorities() if ca is None else ca,
            None if identity is None else identity.key,
            None if identity is None else identity.cert,
        )
        return grpc.aio.secure_channel(str(self._address), credentials, options)


async def _connect(channel: grpc.aio.Channel, timeout_s: float) -> bool:
    """Whether the channel became ready; False after its first failure, for the caller decides on another try."""
    try:
        async with asyncio.timeout(timeout_s):
            state = channel.get_state(try_to_connect=True)
            while state is not grpc.ChannelConnectivity.READY:
                if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                    return False
                await channel.wait_for_state_change(state)
                state = channel.get_state(try_to_connect=True)
    except TimeoutError:
        return False
    return True


class _ClientWire:
    def __init__(self, channel: grpc.aio.Channel, call: _Call) -> None:
        self._channel = channel
        self._call = call

    async def read(self) -> bytes:
        with stream_errors():
            data = await self._call.read()
        if not isinstance(data, bytes):  # grpc.aio.EOF
            raise WireEnd(CLOSED, clean=True)
        return data

    async def write(self, data: bytes) -> None:
        with stream_errors():
            await self._call.write(data)

    async def finish(self) -> None:
        with stream_errors():
            await self._call.done_writing()

    async def release(self, failure: str) -> None:
        self._call.cancel()
        await self._channel.close(None)
