"""The control channel between an agent and one of its workers.

A Unix socket pair; each frame is a little-endian u32 length and a MessagePack body of one tagged struct below.
Down come orders, up come answers, one `WorkerSecond` a second and one `WorkerDone`. Both ends check what they
decode (msgspec is strict about types), and neither trusts the other to be quick: reads and writes are bounded.
All instants are CLOCK_BOOTTIME nanoseconds of this machine; ``run_ns`` counts from the start instant.
"""

from __future__ import annotations

import struct
from typing import Generic, TypeVar

import msgspec

from loadr.schedule.change import Change

MAX_FRAME_BYTES = 64 * 1024 * 1024
LENGTH = struct.Struct("<I")


class Order(msgspec.Struct, frozen=True, tag=True):
    """Agent → worker."""


class ShareOrder(msgspec.Struct, frozen=True):
    """`loadr.schedule.share.ScenarioShare`, on this channel."""

    scenario: str
    from_run_ns: int
    slots: bytes
    vu_slots: bytes = b""
    from_iteration: int = 0


class PrepareOrder(Order, frozen=True):
    """Load the plan: import scripts, compile flows, open data. Answered by `WorkerPrepared`."""

    run_id: str
    plan_json: bytes
    files_dir: str  # every file of the plan stands here under its own path
    worker: int  # index within the agent
    secrets: dict[str, str] = {}  # values of `secret.NAME`

    def __repr__(self) -> str:
        return f"PrepareOrder(run_id={self.run_id!r}, worker={self.worker})"


class ArmOrder(Order, frozen=True):
    """Take these shares and build what the start needs. Answered by `WorkerArmed`. ``changes``: see
    `ReshareOrder`."""

    shares: list[ShareOrder]
    changes: list[Change] = []


class StartOrder(Order, frozen=True):
    """Begin at this instant. Arrivals planned before ``now`` are missed, never made up for."""

    start_boot_ns: int


class ReshareOrder(Order, frozen=True):
    """Shares that hold from their ``from_run_ns`` on, and all changes of the run so far.

    The page's word REVISION says ``revision`` before this order is sent.
    """

    shares: list[ShareOrder]
    changes: list[Change]
    revision: int


class AroundOrder(Order, frozen=True):
    """Carry out the plan's "setup" or "teardown"; ``data``: what setup returned, as JSON. Answered by
    `WorkerAround`."""

    what: str
    data: bytes = b""

    def __repr__(self) -> str:
        return f"AroundOrder(what={self.what!r})"


class SetupOrder(Order, frozen=True):
    """What setup returned, as JSON: before `ArmOrder`."""

    data: bytes

    def __repr__(self) -> str:
        return "SetupOrder()"


class ValueOrder(Order, frozen=True):
    """Answers a `WorkerClaim`. ``kind``: a `loadr.coordination.messages.ValueKind`."""

    ticket: int
    kind: int
    first: int = 0
    end: int = 0
    count: int = 0


class StopOrder(Order, frozen=True):
    """Start nothing more. ``graceful`` lets iterations finish within the scenario's graceful stop; otherwise
    they are interrupted at once. Answered, as is a normal end, by `WorkerDone`."""

    graceful: bool
    cause: str


class ExitOrder(Order, frozen=True):
    """Leave the process."""


class Report(msgspec.Struct, frozen=True, tag=True):
    """Worker → agent."""


class WorkerReady(Report, frozen=True):
    """The process is up, its libraries are imported."""

    pid: int


class WorkerPrepared(Report, frozen=True):
    fault: int = 0  # coordination FaultKind; 0 is none
    detail: str = ""


class WorkerArmed(Report, frozen=True):
    fault: int = 0
    detail: str = ""


class WorkerStarted(Report, frozen=True):
    start_error_ns: int  # actual − ordered start


class NewSeries(msgspec.Struct, frozen=True, array_like=True):
    """From now on ``id`` stands for this series on this channel."""

    id: int
    metric: str
    kind: int
    tags: list[tuple[str, str]]


class Trend(msgspec.Struct, frozen=True, array_like=True):
    """Sparse histogram: ``indices`` (int32) and ``counts`` (int64), little-endian, same length, ascending."""

    series: int
    indices: bytes
    counts: bytes
    count: int
    sum_ns: int
    min_ns: int
    max_ns: int
    clipped: int


class SecondSlice(msgspec.Struct, frozen=True, array_like=True):
    """What completed in second ``second`` of the run's timeline [second, second+1)."""

    second: int
    counters: list[tuple[int, int]]  # series, total
    rates: list[tuple[int, int, int]]  # series, passes, fails
    gauges: list[tuple[int, int, int, int]]  # series, last, min, max
    trends: list[Trend]


class WorkerSecond(Report, frozen=True):
    """Sent just after each second boundary of the timeline, and once more before `WorkerDone`."""

    new_series: list[NewSeries]
    slices: list[SecondSlice]
    cpu_ns: int  # CPU time of the process since the last one
    wall_ns: int  # elapsed since the last one
    loop_lag_ns: int  # the worst lateness of the loop's own one-second timer
    lag_p99_ns: int  # iteration lag of open scenarios in the period; 0 without
    vus: int  # in an iteration (open) or looping (closed)
    rss_bytes: int


class ScenarioLedger(msgspec.Struct, frozen=True):
    """Counted at dispatch, apart from the samples. See `loadr.coordination.messages.Ledger`.

    planned = started + dropped + missed; started = finished + interrupted + lost. ``lost`` iterations were
    started by a worker that died before they ended.
    """

    scenario: str
    planned: int
    started: int
    finished: int
    interrupted: int
    dropped: int
    missed: int
    requests: int
    lost: int = 0


class WorkerDone(Report, frozen=True):
    """The last of a run. ``cause`` is empty for a normal end."""

    ledgers: list[ScenarioLedger]
    cause: str = ""


class WorkerEvent(Report, frozen=True):
    """``kind``: "script_exception" or "abort" (the test asks the whole run to stop)."""

    kind: str
    detail: str


class WorkerAround(Report, frozen=True):
    """How setup or teardown went: ``result`` is JSON. ``requests`` were sent for it, and are in no second."""

    what: str
    fault: int = 0
    detail: str = ""
    result: bytes = b""
    requests: int = 0

    def __repr__(self) -> str:
        return f"WorkerAround(what={self.what!r}, fault={self.fault}, requests={self.requests})"


class WorkerClaim(Report, frozen=True):
    """Asks the fleet for a value: `loadr.coordination.messages.Claim`. ``ticket`` counts from 1 per worker."""

    ticket: int
    kind: int
    key: str
    count: int
    used: int = 0
    users: int = 0
    timeout_ns: int = 0
    replaces: int = 0  # ticket of the last claim of that key


OrderMessage = (
    PrepareOrder
    | ArmOrder
    | StartOrder
    | ReshareOrder
    | AroundOrder
    | SetupOrder
    | ValueOrder
    | StopOrder
    | ExitOrder
)
ReportMessage = (
    WorkerReady
    | WorkerPrepared
    | WorkerArmed
    | WorkerStarted
    | WorkerSecond
    | WorkerAround
    | WorkerClaim
    | WorkerDone
    | WorkerEvent
)
order_decoder = msgspec.msgpack.Decoder(OrderMessage)
report_decoder = msgspec.msgpack.Decoder(ReportMessage)
_encoder = msgspec.msgpack.Encoder()

T = TypeVar("T")


def encode_frame(message: OrderMessage | ReportMessage) -> bytes:
    """Length and body. Raises `ValueError` over 64 MiB."""
    body = _encoder.encode(message)
    if len(body) > MAX_FRAME_BYTES:
        raise ValueError(f"a control frame of {len(body)} bytes is over the limit of {MAX_FRAME_BYTES}")
    return LENGTH.pack(len(body)) + body


class FrameReader(Generic[T]):
    """Bytes in, whole messages out. Raises `ValueError` or `msgspec.DecodeError` on a broken peer."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[T]) -> None:
        self._decoder = decoder
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[T]:
        """Every message that is complete after ``data``."""
        buffer = self._buffer
        buffer += data
        out: list[T] = []
        at = 0
        while len(buffer) - at >= 4:
            (length,) = LENGTH.unpack_from(buffer, at)
            if length > MAX_FRAME_BYTES:
                raise ValueError(f"a control frame announces {length} bytes; the limit is {MAX_FRAME_BYTES}")
            if len(buffer) - at - 4 < length:
                break
            out.append(self._decoder.decode(bytes(buffer[at + 4 : at + 4 + length])))
            at += 4 + length
        del buffer[:at]
        return out
