"""The queues of a link: bounded, in order, and they end."""

from __future__ import annotations

import asyncio

from loadr.transport.pipe import Outbox, Pipe


def make_outbox(**limits: int) -> Outbox:
    return Outbox(**{"priorities": 3, "max_messages": 10, "max_bytes": 1000, **limits})


async def drain(outbox: Outbox) -> list[bytes]:
    out = []
    while (data := await outbox.get()) is not None:
        out.append(data)
    return out


def test_a_pipe_makes_its_producer_wait_when_it_is_full() -> None:
    async def main() -> None:
        pipe: Pipe[int] = Pipe(2)
        assert await pipe.put(1)
        assert await pipe.put(2)
        third = asyncio.create_task(pipe.put(3))
        done, _ = await asyncio.wait({third}, timeout=0.02)
        assert not done
        assert await pipe.get() == 1
        assert await asyncio.wait_for(third, 1)
        assert [await pipe.get(), await pipe.get()] == [2, 3]

    asyncio.run(main())


def test_a_closed_pipe_gives_what_is_inside_and_then_none() -> None:
    async def main() -> None:
        pipe: Pipe[int] = Pipe(2)
        await pipe.put(1)
        pipe.close()
        assert not await pipe.put(2)
        assert [await pipe.get(), await pipe.get()] == [1, None]

    asyncio.run(main())


def test_closing_a_pipe_frees_who_waits_on_either_side() -> None:
    async def main() -> None:
        empty: Pipe[int] = Pipe(1)
        full: Pipe[int] = Pipe(1)
        await full.put(1)
        getter, putter = asyncio.create_task(empty.get()), asyncio.create_task(full.put(2))
        await asyncio.wait({getter, putter}, timeout=0.01)
        empty.close()
        full.close()
        assert await asyncio.wait_for(getter, 1) is None
        assert await asyncio.wait_for(putter, 1) is False

    asyncio.run(main())


def test_an_outbox_gives_the_urgent_first_and_keeps_the_order_within_a_priority() -> None:
    async def main() -> None:
        outbox = make_outbox()
        for priority, data in ((2, b"bulk"), (1, b"one"), (0, b"now"), (1, b"two")):
            assert outbox.put(priority, data)
        outbox.close()
        assert await drain(outbox) == [b"now", b"one", b"two", b"bulk"]

    asyncio.run(main())


def test_an_outbox_says_when_it_is_full_by_count_or_by_bytes() -> None:
    async def main() -> None:
        by_count = make_outbox(max_messages=2)
        assert [by_count.put(0, b"x") for _ in range(3)] == [True, True, False]
        by_bytes = make_outbox(max_bytes=10)
        assert [by_bytes.put(0, bytes(6)), by_bytes.put(0, bytes(5)), by_bytes.put(0, bytes(4))] == [
            True,
            False,
            True,
        ]
        assert await by_bytes.get() == bytes(6)
        assert by_bytes.put(0, bytes(6))

    asyncio.run(main())


def test_what_waits_together_comes_together_while_it_is_small_and_little() -> None:
    async def main() -> None:
        outbox = make_outbox()
        for priority, data in ((2, b"bulk"), (1, b"one"), (1, b"two"), (2, bytes(60)), (2, b"last")):
            assert outbox.put(priority, data)
        assert await outbox.get_several(2, 50) == [b"one", b"two"]
        assert await outbox.get_several(9, 50) == [b"bulk"]
        assert await outbox.get_several(9, 50) == [bytes(60)], "alone it may be of any size"
        assert await outbox.get_several(9, 50) == [b"last"]

    asyncio.run(main())


def test_a_closed_outbox_takes_nothing_more() -> None:
    async def main() -> None:
        outbox = make_outbox()
        waiting = asyncio.create_task(outbox.get())
        await asyncio.wait({waiting}, timeout=0.01)
        outbox.close()
        outbox.put(0, b"late")
        assert await asyncio.wait_for(waiting, 1) is None

    asyncio.run(main())
