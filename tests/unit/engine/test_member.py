"""How a pool waits for all of its workers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from loadr.engine.channel import ReportMessage, WorkerArmed, WorkerPrepared
from loadr.engine.member import Member, Round
from loadr.engine.process import WorkerProcess
from support.executors import turn_loop

Ends = list[tuple[list[ReportMessage], list[Member]]]


def new_members(count: int) -> list[Member]:
    members = [
        Member(WorkerProcess(index, lambda process, report: None, lambda process, how: None))
        for index in range(count)
    ]
    for member in members:
        member.process.close()
    return members


def in_round(
    count: int, limit_s: float, body: Callable[[Round, list[Member]], None]
) -> tuple[Ends, list[Member]]:
    ends: Ends = []

    async def main() -> list[Member]:
        members = new_members(count)
        over = asyncio.Event()

        def on_over(answers: list[ReportMessage], silent: list[Member]) -> None:
            ends.append((answers, silent))
            over.set()

        round_ = Round(members, limit_s, on_over)
        body(round_, members)
        if limit_s < 1:
            await asyncio.wait_for(over.wait(), 5)
        await turn_loop()
        round_.cancel()
        return members

    return ends, asyncio.run(main())


def test_a_round_is_over_when_everybody_has_answered_or_died() -> None:
    def body(round_: Round, members: list[Member]) -> None:
        round_.answer(members[1], WorkerArmed())
        round_.answer(members[1], WorkerArmed(fault=1))  # a second answer does not count
        round_.answer(members[2], None)
        round_.answer(members[0], WorkerPrepared())
        round_.answer(members[0], WorkerPrepared())

    ends, members = in_round(3, 60, body)
    assert ends == [([WorkerArmed(), WorkerPrepared()], [members[2]])]


def test_a_round_is_over_at_its_limit_with_those_who_were_silent() -> None:
    ends, members = in_round(2, 0.02, lambda round_, members: round_.answer(members[0], WorkerArmed()))
    assert ends == [([WorkerArmed()], [members[1]])]


def test_a_round_that_was_cancelled_is_never_over() -> None:
    def body(round_: Round, members: list[Member]) -> None:
        round_.cancel()
        round_.answer(members[0], WorkerArmed())

    assert in_round(1, 60, body)[0] == []


def test_a_worker_has_a_name_for_people() -> None:
    (member,) = asyncio.run(_one_member())
    assert member.name == "worker 0 (pid 0)"
    assert not member.lost


async def _one_member() -> list[Member]:
    return new_members(1)
