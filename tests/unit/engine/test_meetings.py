"""VUs of a worker that wait for others: claims that replace each other, and who is let go when."""

from __future__ import annotations

import asyncio

from loadr.engine.channel import ValueOrder, WorkerClaim
from loadr.engine.fleet_values import REFUSED, RELEASED, TIMED_OUT, FleetValues
from loadr.engine.meetings import Meetings

SECOND = 1_000_000_000


class Bench:
    """Meetings, the claims that they made, and VUs by number."""

    def __init__(self) -> None:
        self.claims: list[WorkerClaim] = []
        self.values = FleetValues(self.claims.append)
        self.meetings = Meetings(self.values, asyncio.get_running_loop())
        self.vus: list[asyncio.Task[bool]] = []

    async def come(self, count: int, name: str = "door") -> None:
        for _ in range(count):
            self.vus.append(asyncio.ensure_future(self.meetings.arrive(name, 3, SECOND)))
        before = len(self.claims)
        async with asyncio.timeout(10):
            while len(self.claims) == before:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    async def answer(self, ticket: int, count: int, kind: int = RELEASED) -> None:
        self.values.give(ValueOrder(ticket, kind, count=count))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    @property
    def gone(self) -> list[int]:
        return [number for number, vu in enumerate(self.vus) if vu.done()]


def test_those_who_come_together_are_one_claim_and_go_in_their_order() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.come(4)
        (one,) = bench.claims
        assert (one.key, one.count, one.users, one.timeout_ns, one.replaces) == (
            "door",
            4,
            3,
            SECOND,
            0,
        )
        await bench.answer(1, 3)
        assert bench.gone == [0, 1, 2] and all(vu.result() for vu in bench.vus[:3])
        await bench.come(0)  # who is left over is claimed anew
        assert (bench.claims[1].count, bench.claims[1].replaces) == (1, 0)
        await bench.answer(2, 1)
        assert bench.gone == [0, 1, 2, 3] and not bench.meetings._doors

    asyncio.run(main())


def test_who_comes_later_is_told_by_a_claim_that_replaces_the_first() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.come(1)
        await bench.come(2)
        assert (bench.claims[1].count, bench.claims[1].replaces) == (2, 1)
        await bench.answer(1, 0)
        assert bench.gone == []
        await bench.answer(2, 3)
        assert bench.gone == [0, 1, 2] and len(bench.claims) == 2

    asyncio.run(main())


def test_an_answer_that_crossed_a_newer_claim_is_not_claimed_for_again() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.come(2)
        await bench.come(1)
        await bench.answer(1, 1)
        assert bench.gone == [0]
        await asyncio.sleep(0.02)
        assert len(bench.claims) == 2
        await bench.answer(2, 2)
        assert bench.gone == [0, 1, 2]

    asyncio.run(main())


def test_when_time_is_up_all_go_and_know_it_and_a_refusal_lets_them_go_too() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.come(2)
        await bench.answer(1, 2, TIMED_OUT)
        assert [vu.result() for vu in bench.vus] == [False, False]
        await bench.come(1, "other")
        await bench.answer(2, 0, REFUSED)
        assert bench.gone == [0, 1, 2] and bench.vus[2].result()

    asyncio.run(main())


def test_a_vu_that_was_interrupted_takes_its_place_with_it() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.come(2)
        bench.vus[0].cancel()
        await asyncio.sleep(0)
        await bench.answer(1, 2)
        assert bench.gone == [0, 1] and bench.vus[1].result()

    asyncio.run(main())
