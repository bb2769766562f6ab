"""The slow lane hands events over in order and in slices; a link with too many of them waits, others do not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from loadr.lane import PER_LINK, SLICE_S, Lane


async def until_idle(lane: Lane[str], taken: list[str], count: int) -> None:
    async with asyncio.timeout(5):
        while len(taken) < count:  # noqa: ASYNC110 - each turn of the loop counts here
            await asyncio.sleep(0)


def test_events_are_taken_in_the_order_in_which_they_came() -> None:
    async def main() -> None:
        taken: list[str] = []
        lane: Lane[str] = Lane(taken.append)
        for link, event in ((1, "a"), (2, "b"), (1, "c")):
            await lane.put(link, event)
        assert taken == [], "whoever puts goes on at once"
        await until_idle(lane, taken, 3)
        assert taken == ["a", "b", "c"]
        await lane.put(1, "d")
        await until_idle(lane, taken, 4)

    asyncio.run(main())


def test_between_two_slices_the_loop_does_what_else_is_due() -> None:
    ticks: Iterator[float] = iter(range(1000))  # each look at the clock is a slice later

    async def main() -> None:
        done: list[str] = []
        lane: Lane[str] = Lane(done.append, clock=lambda: next(ticks) * SLICE_S)

        async def beat() -> None:
            for number in range(3):
                done.append(f"beat {number}")
                await asyncio.sleep(0)

        for event in ("a", "b", "c"):
            await lane.put(1, event)
        beating = asyncio.create_task(beat())
        await until_idle(lane, done, 6)
        await beating
        assert done == ["a", "beat 0", "b", "beat 1", "c", "beat 2"]

    asyncio.run(main())


def test_a_link_with_too_many_events_waits_for_its_turn_and_others_pass_it() -> None:
    async def main() -> None:
        taken: list[str] = []
        lane: Lane[str] = Lane(taken.append)
        for number in range(PER_LINK):
            await lane.put(1, f"greedy {number}")
        waiting = asyncio.create_task(lane.put(1, "one more"))
        await lane.put(2, "modest")
        assert not waiting.done()
        await until_idle(lane, taken, PER_LINK + 2)
        await waiting
        assert taken[-2:] == ["modest", "one more"]

    asyncio.run(main())


def test_nothing_is_taken_after_the_lane_was_closed() -> None:
    async def main() -> None:
        taken: list[str] = []
        lane: Lane[str] = Lane(taken.append)
        await lane.put(1, "late")
        lane.close()
        for _ in range(3):
            await asyncio.sleep(0)
        assert taken == []

    asyncio.run(main())
