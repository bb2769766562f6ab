"""An executor without network or real time: the clock is moved by hand, and the loop turned until it is quiet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import uvloop

from loadr.engine.closed import ClosedExecutor
from loadr.engine.iterations import FirstOfEach, Iterations
from loadr.engine.open import OpenExecutor
from loadr.engine.page import LEASE_END, REVISION, new_words
from loadr.engine.recorder import Recorder
from loadr.engine.stock import Shelf
from loadr.engine.vu import Vu
from loadr.plan.model import ConstantVus, Plan
from loadr.schedule.change import Change
from loadr.schedule.ownership import share_out, slot_count
from loadr.schedule.share import ScenarioShare
from loadr.units import NS_PER_S
from support.flows import NotedHttp, new_vu

START_NS = 1_000 * NS_PER_S
T = TypeVar("T")
_TALLIED = ("planned", "started", "finished", "interrupted", "dropped", "missed")


def run_on_loop(main: Coroutine[Any, Any, T]) -> T:
    """On the kind of loop that workers have, at most 30 s."""

    async def limited() -> T:
        return await asyncio.wait_for(main, 30)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(limited())


async def turn_loop(times: int = 5) -> None:
    """Let everything run that is ready."""
    for _ in range(times):
        await asyncio.sleep(0)


def plan_with(executor: str, seed: int = 0, **body: Any) -> Plan:
    """A plan of the one scenario "browse", with an empty flow."""
    return Plan.model_validate(
        {"seed": seed, "scenarios": {"browse": {"executor": executor, "flow": [], **body}}}
    )


def shares_of(plan: Plan, owners: int = 1) -> list[ScenarioShare]:
    """The share of each owner of the plan's one scenario."""
    dealt = share_out(plan, dict.fromkeys(range(owners), 1.0), slot_count(owners))
    return [dealt[owner][0] for owner in range(owners)]


class ExecutorBench:
    """``flow`` is what a VU does in an iteration. Only inside of a running loop."""

    def __init__(
        self,
        plan: Plan,
        flow: Callable[[Vu], Awaitable[object]],
        *,
        limit: int | None = None,
        lease_s: float = 1e6,
        shelves: Sequence[Shelf] = (),
    ) -> None:
        self.now_ns = START_NS
        self.words = new_words()
        self.lease_ends_at(lease_s)
        self.recorder = Recorder(list(plan.scenarios), self.words)
        self.scenario = self.recorder.scenario("browse")
        self.told: list[str] = []
        self.iterations = Iterations("browse", flow, self.scenario, self.clock, FirstOfEach(self.told.append))
        model = plan.scenarios["browse"]
        loop = asyncio.get_running_loop()
        self.made: list[int] = []
        self.executor: OpenExecutor | ClosedExecutor
        if isinstance(model, ConstantVus):
            self.executor = ClosedExecutor(
                model, plan.seed, self.iterations, self._make_vu, self.words, self.clock, loop, shelves
            )
        else:
            self.executor = OpenExecutor(
                model, plan.seed, limit, self.iterations, self._make_vu, self.words, self.clock, loop
            )

    def clock(self) -> int:
        return self.now_ns

    def _make_vu(self, number: int) -> Vu:
        self.made.append(number)
        vu = new_vu(NotedHttp(), self.scenario, number=number)
        vu.iteration = -1
        return vu

    def lease_ends_at(self, run_s: float) -> None:
        """Seconds after the start."""
        self.words[LEASE_END] = START_NS + round(run_s * NS_PER_S)

    def start(self, *shares: ScenarioShare, late_until_s: float = 0.0) -> None:
        self.executor.arm(shares)
        self.executor.start(START_NS, START_NS + round(late_until_s * NS_PER_S) if late_until_s else 0)

    def reshare(self, *shares: ScenarioShare, changes: Sequence[Change] = ()) -> None:
        """As a run does when the order comes."""
        self.words[REVISION] += 1
        self.executor.reshare(shares, changes, self.words[REVISION])

    async def turn(self, run_s: float) -> int:
        """Move the clock, let the executor do what is due, and let its VUs run."""
        self.now_ns = START_NS + round(run_s * NS_PER_S)
        next_ns = self.executor.turn(self.now_ns)
        await turn_loop()
        return next_ns

    async def follow(self, until_s: float) -> None:
        """Wake at every instant that the executor asks for, up to ``until_s``."""
        next_ns = await self.turn(0.0)
        while next_ns <= START_NS + round(until_s * NS_PER_S):
            self.now_ns = next_ns
            next_ns = self.executor.turn(next_ns)
            await turn_loop(3)

    @property
    def tally(self) -> Mapping[str, int]:
        """The ledger's counts of iterations."""
        ledger = self.iterations.ledger()
        return {name: getattr(ledger, name) for name in _TALLIED}

    def counted(self) -> dict[str, int]:
        """Totals of the recorder's counters without tags, as the controller would sum them."""
        new, slices = self.recorder.take(START_NS, self.now_ns, whole=False)
        names = {one.id: one.metric for one in new}
        out: dict[str, int] = {}
        for one in slices:
            for id_, total in one.counters:
                out[names[id_]] = out.get(names[id_], 0) + total
        return out

    async def end(self) -> None:
        """Cancel the VUs, so that no task is left behind."""
        self.iterations.halt()
        await turn_loop()
