"""Both ends of a control channel over a real socket pair."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
import uvloop

from loadr.engine import link as link_module
from loadr.engine.channel import (
    LENGTH,
    ExitOrder,
    OrderMessage,
    PrepareOrder,
    StartOrder,
    WorkerReady,
    encode_frame,
    order_decoder,
)
from loadr.engine.link import Link

LIMIT_S = 5.0


class End:
    """A link that notes what it gets."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[OrderMessage] = asyncio.Queue()
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.link: Link[OrderMessage] = Link(order_decoder, self.messages.put_nowait, self.lost.set_result)

    async def next(self) -> OrderMessage:
        return await asyncio.wait_for(self.messages.get(), LIMIT_S)

    async def why_lost(self) -> str:
        return await asyncio.wait_for(self.lost, LIMIT_S)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_messages_arrive_whole_and_in_order(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        left, right = End(), End()
        one, other = socket.socketpair()
        await left.link.attach(one)
        await right.link.attach(other)
        big = PrepareOrder(run_id="r", plan_json=b"x" * 3_000_000, files_dir="/", worker=1)
        left.link.send(StartOrder(start_boot_ns=1))
        left.link.send(big)
        left.link.send(ExitOrder())
        left.link.close()
        assert await right.next() == StartOrder(start_boot_ns=1)
        assert await right.next() == big
        assert await right.next() == ExitOrder()
        assert await right.why_lost() == ""

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())


@pytest.mark.parametrize(
    "rubbish",
    [
        LENGTH.pack(2**31),
        LENGTH.pack(3) + b"\xc1\xc1\xc1",
        encode_frame(WorkerReady(pid=1)),  # a report where an order is expected
    ],
)
def test_rubbish_cuts_the_link_with_a_reason(rubbish: bytes) -> None:
    async def main() -> str:
        end = End()
        one, other = socket.socketpair()
        await end.link.attach(one)
        other.sendall(rubbish)
        why = await end.why_lost()
        other.close()
        return why

    assert "can not be read" in asyncio.run(main())


def test_a_peer_that_does_not_read_is_cut_off_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "MAX_UNSENT_BYTES", 1_000_000)

    async def main() -> str:
        end = End()
        one, other = socket.socketpair()
        await end.link.attach(one)
        for _ in range(40):
            end.link.send(PrepareOrder(run_id="r", plan_json=b"x" * 100_000, files_dir="/", worker=1))
        why = await end.why_lost()
        end.link.send(ExitOrder())  # ignored from here on
        other.close()
        return why

    assert "stopped reading" in asyncio.run(main())


def test_the_end_of_the_other_side_is_told_once() -> None:
    async def main() -> None:
        end = End()
        one, other = socket.socketpair()
        await end.link.attach(one)
        other.close()
        assert await end.why_lost() == ""
        end.link.close()
        end.link.abort()

    asyncio.run(main())
