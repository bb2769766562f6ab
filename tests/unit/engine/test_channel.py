from dataclasses import fields
from typing import get_args

import msgspec
import pytest

from loadr.coordination.messages import Ledger
from loadr.engine import channel
from loadr.engine.channel import (
    LENGTH,
    MAX_FRAME_BYTES,
    ArmOrder,
    ExitOrder,
    FrameReader,
    NewSeries,
    PrepareOrder,
    ReshareOrder,
    ScenarioLedger,
    SecondSlice,
    ShareOrder,
    StartOrder,
    StopOrder,
    Trend,
    WorkerArmed,
    WorkerDone,
    WorkerEvent,
    WorkerPrepared,
    WorkerReady,
    WorkerSecond,
    WorkerStarted,
    encode_frame,
    order_decoder,
    report_decoder,
)
from loadr.schedule.change import Change, ChangeKind
from loadr.schedule.share import ScenarioShare

SHARE = ShareOrder("browse", 10**10, b"\xff\x00", b"\x01")
ORDERS = [
    PrepareOrder("r-1", b'{"plan": 1}', "/files", 3),
    ArmOrder([SHARE]),
    StartOrder(2**62),
    ReshareOrder([SHARE, SHARE], [Change(5, ChangeKind.RATE, "s", "2.5")], 3),
    channel.AroundOrder("teardown", b"{}"),
    channel.SetupOrder(b"7"),
    channel.ValueOrder(1, 4, 16, 32, 0),
    StopOrder(graceful=True, cause="stopped"),
    ExitOrder(),
]
REPORTS = [
    WorkerReady(4711),
    WorkerPrepared(2, "no such file"),
    WorkerArmed(),
    WorkerStarted(-5),
    WorkerSecond(
        [NewSeries(0, "http_reqs", 1, [("scenario", "browse")])],
        [
            SecondSlice(
                7, [(0, 3)], [(1, 2, 1)], [(2, 5, 0, 9)], [Trend(3, b"\1\0\0\0", b"\1" * 8, 1, 2, 2, 2, 0)]
            )
        ],
        *(1, 2, 3, 4, 5, 6),
    ),
    channel.WorkerAround("setup", 2, "no stock", b"7", 3),
    channel.WorkerClaim(1, 3, "users", 16, 5, 0, 0),
    WorkerDone([ScenarioLedger("browse", 1, 2, 3, 4, 5, 6, 7)], "orphaned"),
    WorkerEvent("abort", "enough"),
]


def test_every_message_comes_out_as_it_went_in() -> None:
    assert {type(order) for order in ORDERS} == set(get_args(channel.OrderMessage))
    assert {type(report) for report in REPORTS} == set(get_args(channel.ReportMessage))
    assert FrameReader(order_decoder).feed(b"".join(map(encode_frame, ORDERS))) == ORDERS
    assert FrameReader(report_decoder).feed(b"".join(map(encode_frame, REPORTS))) == REPORTS


def test_what_setup_returned_does_not_show_in_a_repr() -> None:
    for message in (channel.AroundOrder("t", b"hidden"), channel.SetupOrder(b"hidden")):
        assert "hidden" not in repr(message)
    assert "hidden" not in repr(channel.WorkerAround("setup", result=b"hidden"))


@pytest.mark.parametrize("step", [1, 3, 64])
def test_frames_may_come_in_pieces(step: int) -> None:
    reader, data, out = FrameReader(report_decoder), b"".join(map(encode_frame, REPORTS)), []
    for at in range(0, len(data), step):
        out += reader.feed(data[at : at + step])
    assert out == REPORTS


def test_a_frame_over_the_limit_is_neither_written_nor_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="announces 67108865 bytes"):
        FrameReader(report_decoder).feed(LENGTH.pack(MAX_FRAME_BYTES + 1))
    monkeypatch.setattr(channel, "MAX_FRAME_BYTES", 20)
    with pytest.raises(ValueError, match="over the limit of 20"):
        encode_frame(WorkerEvent("abort", "x" * 20))


@pytest.mark.parametrize("sent", [WorkerReady(1), StartOrder(1)])
def test_a_message_of_the_other_direction_is_an_error(sent: WorkerReady | StartOrder) -> None:
    wrong = order_decoder if isinstance(sent, WorkerReady) else report_decoder
    with pytest.raises(msgspec.ValidationError):
        FrameReader(wrong).feed(encode_frame(sent))


@pytest.mark.parametrize("body", [b"", b"\xc1", msgspec.msgpack.encode({"type": "WorkerReady", "pid": "one"})])
def test_what_is_no_message_is_an_error(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        FrameReader(report_decoder).feed(LENGTH.pack(len(body)) + body)


def test_shares_and_ledgers_have_the_fields_of_those_they_stand_for() -> None:
    assert ShareOrder.__struct_fields__ == tuple(field.name for field in fields(ScenarioShare))
    own = ScenarioLedger.__struct_fields__
    assert own == tuple(field.name for field in fields(Ledger) if field.name in own)
