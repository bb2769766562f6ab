"""The pacer wakes at absolute instants of CLOCK_BOOTTIME, on both kinds of loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from loadr.clock import boottime_ns
from loadr.engine.pacer import Pacer
from loadr.units import NS_PER_MS

LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.mark.parametrize("new_loop", LOOPS)
def test_it_wakes_at_each_instant_that_is_returned_and_never_before(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def main() -> list[tuple[int, int]]:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        first = boottime_ns() + 5 * NS_PER_MS
        instants = [first, first + NS_PER_MS // 2, first + 3 * NS_PER_MS]
        woken: list[tuple[int, int]] = []

        def on_due() -> int:
            woken.append((instants[len(woken)], boottime_ns()))
            if len(woken) == len(instants):
                done.set()
                return 0
            return instants[len(woken)]

        pacer = Pacer(loop, on_due)
        pacer.set(instants[0])
        await asyncio.wait_for(done.wait(), 5)
        pacer.close()
        return woken

    with asyncio.Runner(loop_factory=new_loop) as runner:
        woken = runner.run(main())
    assert len(woken) == 3
    assert all(actual >= planned for planned, actual in woken)


@pytest.mark.parametrize("new_loop", LOOPS)
def test_an_instant_in_the_past_is_due_at_once_and_once(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def main() -> int:
        calls = 0
        done = asyncio.Event()

        def on_due() -> int:
            nonlocal calls
            calls += 1
            done.set()
            return 0

        pacer = Pacer(asyncio.get_running_loop(), on_due)
        pacer.set(1)
        await asyncio.wait_for(done.wait(), 5)
        for _ in range(5):
            await asyncio.sleep(0)
        pacer.close()
        return calls

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(main()) == 1


def test_setting_it_again_takes_back_what_was_set_before() -> None:
    async def main() -> list[str]:
        woken: list[str] = []
        second = asyncio.Event()
        pacer = Pacer(asyncio.get_running_loop(), lambda: woken.append("woken") or second.set() or 0)
        pacer.set(1)  # already expired when it is taken back
        pacer.set(0)
        for _ in range(5):
            await asyncio.sleep(0)
        assert woken == []
        pacer.set(boottime_ns())
        await asyncio.wait_for(second.wait(), 5)
        pacer.close()
        return woken

    assert asyncio.run(main()) == ["woken"]


def test_it_may_be_closed_from_within_and_twice() -> None:
    async def main() -> None:
        done = asyncio.Event()

        def on_due() -> int:
            pacer.close()
            done.set()
            return boottime_ns()

        pacer = Pacer(asyncio.get_running_loop(), on_due)
        pacer.set(1)
        await asyncio.wait_for(done.wait(), 5)
        pacer.close()
        pacer.set(1)
        await asyncio.sleep(0)

    asyncio.run(main())
