"""The pump feeds a core in order, one event at a time, and keeps one timer for its deadline."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from loadr.pump import Pump


@dataclass
class Recorder:
    """A core that notes what it is fed; an event "a>b" has the effect "b"."""

    fed: list[tuple[str, int]] = field(default_factory=list)
    deadline: int | None = None

    def handle(self, event: str, now_ns: int) -> list[str]:
        self.fed.append((event, now_ns))
        if event == "tick":
            self.deadline = None
        return event.split(">")[1:]

    def deadline_ns(self) -> int | None:
        return self.deadline


def test_effects_are_applied_in_order_before_events_that_they_cause() -> None:
    core = Recorder()
    applied: list[str] = []

    def apply(effect: str) -> None:
        applied.append(effect)
        if effect == "x":
            pump.feed("second>z")

    async def main() -> None:
        pump.feed("first>x>y")

    pump: Pump[str, str] = Pump(core, apply, lambda: "tick", clock=lambda: 5)
    asyncio.run(main())
    assert applied == ["x", "y", "z"]
    assert core.fed == [("first>x>y", 5), ("second>z", 5)]


def test_the_deadline_is_fed_as_an_event_and_moves_with_the_core() -> None:
    core = Recorder(deadline=0)
    ticked = asyncio.Event()

    def time_passed() -> str:
        ticked.set()
        return "tick"

    async def main() -> None:
        pump.feed("begin")
        await asyncio.wait_for(ticked.wait(), 5)

    pump: Pump[str, str] = Pump(core, lambda effect: None, time_passed, clock=lambda: 10)
    asyncio.run(main())
    assert [event for event, _ in core.fed] == ["begin", "tick"]


def test_a_closed_pump_handles_nothing_and_leaves_no_timer() -> None:
    core = Recorder(deadline=10**18)

    async def main() -> int:
        pump.feed("begin")
        pump.close()
        pump.feed("after")
        return len(asyncio.all_tasks())

    pump: Pump[str, str] = Pump(core, lambda effect: None, lambda: "tick", clock=lambda: 0)
    assert asyncio.run(main()) == 1
    assert [event for event, _ in core.fed] == ["begin"]


def test_an_effect_that_fails_does_not_leave_the_pump_stuck() -> None:
    core = Recorder()
    applied: list[str] = []

    def apply(effect: str) -> None:
        if effect == "bad":
            raise ValueError(effect)
        applied.append(effect)

    async def main() -> None:
        try:
            pump.feed("one>bad")
        except ValueError:
            applied.append("raised")
        pump.feed("two>good")

    pump: Pump[str, str] = Pump(core, apply, lambda: "tick", clock=lambda: 0)
    asyncio.run(main())
    assert applied == ["raised", "good"]
