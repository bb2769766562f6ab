"""The pacer wakes at absolute instants of CLOCK_BOOTTIME."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

from loadr.clock import boottime_ns
from loadr.engine.pacer import Pacer
from loadr.units import NS_PER_MS

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """On the kind of loop that workers have."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def test_it_wakes_at_each_instant_that_is_returned_and_never_before() -> None:
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

    woken = run(main())
    assert len(woken) == 3
    assert all(actual >= planned for planned, actual in woken)


def test_an_instant_in_the_past_is_due_at_once_and_once() -> None:
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

    assert run(main()) == 1


def test_callbacks_that_it_has_queued_run_before_the_next_wake_up() -> None:
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        story: list[str] = []

        def on_due() -> int:
            story.append("due")
            loop.call_soon(story.append, "queued")
            if len(story) > 2:
                loop.call_soon(done.set)
                return 0
            return 1  # past: due again at once

        pacer = Pacer(loop, on_due)
        pacer.set(1)
        await asyncio.wait_for(done.wait(), 5)
        pacer.close()
        return story

    assert run(main()) == ["due", "queued", "due", "queued"]


def test_setting_it_again_takes_back_what_was_set_before() -> None:
    async def main() -> list[str]:
        woken: list[str] = []
        second = asyncio.Event()

        def on_due() -> int:
            woken.append("woken")
            second.set()
            return 0

        pacer = Pacer(asyncio.get_running_loop(), on_due)
        pacer.set(1)  # already expired when it is taken back
        pacer.set(0)
        for _ in range(5):
            await asyncio.sleep(0)
        assert woken == []
        pacer.set(boottime_ns())
        await asyncio.wait_for(second.wait(), 5)
        pacer.close()
        return woken

    assert run(main()) == ["woken"]


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

    run(main())
