"""Several hundred simulated agents in one process: real shells, cores, gRPC links; the engine alone is a model.

    fleet_agents.py HOST:PORT FIRST COUNT        (started by fleet.py)

What keeps it cheap, so that the machine is left to the controller: the samples of a second come from a few
that were made before, and their histograms are encoded once. A line ``cut`` on standard input breaks all links
at once; its end makes all agents leave.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import fleet_load
import uvloop

import loadr.agent
from loadr.agent import Agent, AgentSetup
from loadr.api.daemon import spare_the_collector
from loadr.coordination import messages, wire
from loadr.engine.pool_events import PoolEvent
from loadr.metrics.hdr import encode
from loadr.metrics.histogram import Histogram
from loadr.testing.engine import ModelPool
from loadr.transport import grpc_client
from loadr.transport.codec import encode_agent, varint
from loadr.transport.generated import coordination_pb2 as pb
from loadr.transport.grpc_client import GrpcDialer
from loadr.transport.link import AgentLink


class Pool(ModelPool):
    """`ModelPool` with whole deltas instead of samples."""

    def __init__(self, agent: int, workers: int, on_event: Callable[[PoolEvent], None]) -> None:
        super().__init__(workers, on_event, lambda second: {})
        self._agent = agent

    def _values(self, second: int) -> fleet_load.Values:
        self._requests += fleet_load.COUNTERS * fleet_load.REQUESTS
        return dict(fleet_load.variant((self._agent + second) % fleet_load.VARIANTS))


class Dialer(GrpcDialer):
    """Remembers its link, to cut it."""

    def __init__(self, address: str) -> None:
        super().__init__(address, tls=None, insecure=False)
        self.link: AgentLink | None = None

    async def dial(self, timeout_s: float) -> AgentLink:
        self.link = await super().dial(timeout_s)
        return self.link


def tagged(field: int, data: bytes) -> bytes:
    """A field of bytes of a protobuf message."""
    return bytes([field << 3 | 2]) + varint(len(data)) + data


_deltas: dict[int, bytes] = {}


def encode_message(message: messages.AgentMessage) -> bytes:
    """`encode_agent`, but for the deltas of a batch, which were encoded when they were sent for the first time.

    Agents number their series alike, so a variant looks alike in the batches of all.
    """
    if not isinstance(message, messages.Metrics) or message.new_series or len(message.intervals) != 1:
        return encode_agent(message)
    interval = message.intervals[0]
    first = next((delta for delta in interval.deltas if isinstance(delta, messages.WireTrend)), None)
    if first is None:
        return encode_agent(message)
    deltas = _deltas.get(id(first.hdr))
    if deltas is None:
        alone = replace(message, intervals=(replace(interval, t0_s=0, t1_s=0),))
        parsed = pb.AgentMessage.FromString(encode_agent(alone))
        deltas = _deltas[id(first.hdr)] = parsed.metrics.intervals[0].SerializeToString()
    times = pb.WireInterval(t0_s=interval.t0_s, t1_s=interval.t1_s).SerializeToString()
    numbers = pb.Metrics(run_id=message.run_id, generation=message.generation, seq=message.seq)
    batch = numbers.SerializeToString() + tagged(INTERVALS, times + deltas)
    return tagged(METRICS, batch)


METRICS = pb.AgentMessage.DESCRIPTOR.fields_by_name["metrics"].number
INTERVALS = pb.Metrics.DESCRIPTOR.fields_by_name["intervals"].number


def encode_once() -> None:
    """Have agents take what was encoded before, and not ask the kernel for their memory once a second each."""
    kept: dict[int, bytes] = {}
    for number in range(fleet_load.VARIANTS):
        for delta in fleet_load.variant(number).values():
            histogram = getattr(delta, "histogram", None)
            if isinstance(histogram, Histogram):
                kept[id(histogram)] = encode(histogram)
    grpc_client.encode_agent = encode_message
    loadr.agent.own_rss_bytes = lambda: 0
    wire.encode = lambda histogram, deflate=False: kept[id(histogram)]  # type: ignore[assignment]


async def serve(address: str, first: int, count: int) -> None:
    dialers = [Dialer(address) for _ in range(count)]
    agents = [
        Agent(
            AgentSetup(f"agent-{number}", 1),
            dialers[number - first],
            lambda level, text: print(f"{level}: {text}", file=sys.stderr) if level == "error" else None,
            partial(Pool, number),
        )
        for number in range(first, first + count)
    ]
    serving = [asyncio.create_task(agent.run()) for agent in agents]
    spare_the_collector()
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line.strip() == "cut":
            for dialer in dialers:
                if dialer.link is not None:
                    dialer.link.cut("cut by the benchmark")
    for agent in agents:
        agent.drain("measured")
    await asyncio.wait(serving, timeout=60)


if __name__ == "__main__":
    encode_once()
    uvloop.run(serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
