"""Peers that send what no agent sends, byte by byte over real gRPC: they are closed, and others are served."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import grpc.aio
import pytest

from loadr.controller import Controller
from loadr.coordination import messages as m
from loadr.coordination.admission import BURST_MESSAGES
from loadr.transport.channel_options import METHOD
from loadr.transport.codec import MAX_MESSAGE_BYTES, decode_controller, encode_agent
from loadr.transport.generated import coordination_pb2 as pb
from loadr.transport.grpc_server import GrpcServer
from support.fleet import Fleet, run_loadr

LIMIT_S = 30
SEED = 20_241


@asynccontextmanager
async def controller() -> AsyncIterator[tuple[Controller, str, list[str]]]:
    said: list[str] = []
    shell = Controller(lambda level, text: said.append(text))
    server = GrpcServer("127.0.0.1:0", tls=None, insecure=False, on_link=shell.accept)
    shell.open()
    host, port = await server.start()
    try:
        yield shell, f"{host}:{port}", said
    finally:
        await shell.close()
        await server.stop()


def registration(name: str) -> bytes:
    return encode_agent(m.Register(1, 1, name, name, f"{name}/1", "1.0", 1, 1, 1))


async def answers(address: str, *messages: bytes) -> list[bytes]:
    """What the controller answers to these bytes until it ends the stream."""
    async with grpc.aio.insecure_channel(address, (("grpc.max_send_message_length", -1),)) as channel:
        call = channel.stream_stream(METHOD)()
        heard: list[bytes] = []
        try:
            for message in messages:
                await call.write(message)
            while (data := await call.read()) is not grpc.aio.EOF:
                heard.append(data)
        except (grpc.RpcError, asyncio.InvalidStateError):
            pass  # ended by the controller
        return heard


def wire_metrics(seq: int) -> bytes:
    return pb.AgentMessage(metrics=pb.Metrics(run_id="run", generation=1, seq=seq)).SerializeToString()


HOSTILE = {
    "no message at all": [b"\xff" * 100],
    "over the limit": [b"\0" * (MAX_MESSAGE_BYTES + 1)],
    "a batch before the registration": [wire_metrics(1)],
    "a number of 2^63": [registration("liar"), wire_metrics(2**63)],
    "a batch without a number": [registration("liar"), wire_metrics(0)],
    "a run that is not there": [registration("liar"), wire_metrics(1)],
    "two registrations": [registration("liar"), registration("liar")],
    "a flood of beats": [
        registration("liar"),
        *(encode_agent(m.AgentBeat(number, 1)) for number in range(1, BURST_MESSAGES + 5_000)),
    ],
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_no_agent_sends_ends_the_stream_and_others_are_served(what: str) -> None:
    async def main() -> None:
        async with asyncio.timeout(LIMIT_S), controller() as (shell, address, said):
            await answers(address, *HOSTILE[what])
            beat = encode_agent(m.AgentBeat(1, 1))
            honest = asyncio.create_task(answers(address, registration("honest"), beat))
            while "honest" not in shell.core.agents:  # noqa: ASYNC110 - there is no event of it
                await asyncio.sleep(0.01)
            honest.cancel()
            assert len(said) < 10 and all(len(text) < 5_000 for text in said)

    asyncio.run(main())


def test_random_bytes_break_nothing() -> None:
    draw = random.Random(SEED)

    async def main() -> None:
        async with asyncio.timeout(LIMIT_S), controller() as (shell, address, _):
            good = registration("fuzz")
            for _round in range(60):
                noise = bytearray(good)
                for _ in range(draw.randint(1, 8)):
                    noise[draw.randrange(len(noise))] = draw.randrange(256)
                await asyncio.wait_for(asyncio.shield(_talk(address, bytes(noise), draw)), 10)
            assert decode_controller(await _first(address, registration("honest"))) is not None
            assert shell.core.agents["honest"]

    print(f"seed {SEED}")
    asyncio.run(main())


async def _talk(address: str, noise: bytes, draw: random.Random) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.stream_stream(METHOD)()
        try:
            await call.write(noise)
            await call.write(draw.randbytes(draw.randint(1, 200)))
            await call.done_writing()
            while await call.read() is not grpc.aio.EOF:
                pass
        except (grpc.RpcError, asyncio.InvalidStateError):
            pass


async def _first(address: str, message: bytes) -> bytes:
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.stream_stream(METHOD)()
        await call.write(message)
        data = await call.read()
        assert isinstance(data, bytes)
        return data


def test_a_second_agent_under_a_name_that_is_online_is_refused_and_the_first_stays() -> None:
    with Fleet() as fleet:
        first = fleet.agent("a1")
        fleet.await_agents(1)
        done = run_loadr("agent", "--join", f"127.0.0.1:{fleet.port}", "--name", "a1", "--workers", "1")
        assert done.returncode == 122
        assert (
            "another agent with the name a1 is online, from 127.0.0.1" in done.stderr and "--name" in done.stderr
        )
        fleet.controller.await_words("agent a1 at [^ ]+ was refused: another agent with the name a1")
        assert first.popen.poll() is None and "refused" not in first.said
