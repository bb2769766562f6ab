"""How iterations end, and that each ends once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from loadr.engine.iterations import MAX_TOLD, FirstOfEach, describe_exception
from loadr.engine.page import REQUESTS_STARTED, STARTED
from loadr.engine.signals import IterationAborted
from loadr.engine.vu import Vu
from support.executors import START_NS, ExecutorBench, plan_with, run_on_loop, turn_loop
from support.flows import NotedHttp, new_vu

PLAN = plan_with("constant-vus", vus=1, duration="1s")
Flow = Callable[[Vu], Awaitable[object]]


class Carried(ExecutorBench):
    """One VU that carries iterations of ``flow`` when it is told to."""

    def __init__(self, flow: Flow) -> None:
        super().__init__(PLAN, flow)
        self.http = NotedHttp()
        self.vu = new_vu(self.http, self.scenario)
        self.ended_ns = -1

    async def one(self) -> None:
        self.iterations.counts[STARTED] += 1
        self.ended_ns = await self.iterations.carry(self.vu, 0, self.now_ns)

    def ends(self) -> tuple[int, int]:
        """Finished and interrupted, which the recorder must have counted too."""
        tally, counted = self.tally, self.counted()
        assert counted.get("iterations", 0) == tally["finished"]
        assert counted.get("interrupted_iterations", 0) == tally["interrupted"]
        return tally["finished"], tally["interrupted"]


def test_an_iteration_that_runs_to_its_end_is_finished() -> None:
    async def main() -> None:
        async def flow(vu: Vu) -> None:
            bench.now_ns += 5

        bench = Carried(flow)
        await bench.one()
        assert bench.ended_ns == bench.now_ns
        assert bench.ends() == (1, 0)

    run_on_loop(main())


@pytest.mark.parametrize(("reason", "ends"), [("lease", (0, 1)), ("extract", (1, 0)), ("expression", (1, 0))])
def test_an_iteration_that_is_given_up_is_finished_but_for_the_lease(reason: str, ends: tuple[int, int]) -> None:
    async def main() -> None:
        async def flow(vu: Vu) -> None:
            raise IterationAborted(reason)

        bench = Carried(flow)
        await bench.one()
        assert bench.ends() == ends

    run_on_loop(main())


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
def test_whatever_a_script_raises_is_counted_told_once_and_ends_nothing_else(error: BaseException) -> None:
    async def main() -> None:
        async def flow(vu: Vu) -> None:
            raise error

        bench = Carried(flow)
        await bench.one()
        await bench.one()
        assert bench.ended_ns == 0
        assert len(bench.told) == 1
        assert type(error).__name__ in bench.told[0]
        assert bench.counted() == {"iterations": 2, "http_req_errors": 2}

    run_on_loop(main())


def test_a_halt_interrupts_what_is_in_flight_and_cuts_its_connections() -> None:
    async def main() -> None:
        async def flow(vu: Vu) -> None:
            await asyncio.Event().wait()

        bench = Carried(flow)
        bench.iterations.begin(bench.vu, bench.one(), asyncio.get_running_loop())
        await turn_loop()
        assert bench.iterations.alive == 1
        bench.iterations.halt()
        await turn_loop()
        assert bench.iterations.alive == 0
        assert bench.ends() == (0, 1)
        assert bench.http.aborted == 1

    run_on_loop(main())


def test_a_script_that_swallows_the_halt_is_finished_if_it_ends_and_its_vu_ends_too() -> None:
    async def main() -> None:
        async def flow(vu: Vu) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await asyncio.sleep(0)

        bench = Carried(flow)
        bench.iterations.begin(bench.vu, bench.one(), asyncio.get_running_loop())
        await turn_loop()
        bench.iterations.halt()
        await turn_loop()
        assert bench.iterations.alive == 0
        assert bench.ends() == (1, 0)

    run_on_loop(main())


def test_a_script_that_does_not_end_is_interrupted_once_even_if_it_ends_later() -> None:
    async def main() -> None:
        gate = asyncio.Event()

        async def flow(vu: Vu) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await gate.wait()

        bench = Carried(flow)
        bench.iterations.begin(bench.vu, bench.one(), asyncio.get_running_loop())
        await turn_loop()
        bench.iterations.halt()
        await turn_loop()
        assert bench.iterations.alive == 1
        bench.iterations.settle()
        gate.set()
        await turn_loop()
        assert bench.iterations.alive == 0
        assert bench.ends() == (0, 1)
        assert bench.iterations.ledger().interrupted == 1

    run_on_loop(main())


def test_the_intended_start_goes_to_the_first_request_and_to_the_record() -> None:
    async def main() -> None:
        seen: list[int] = []

        async def flow(vu: Vu) -> None:
            seen.append(vu.http.first_intended_ns)

        bench = Carried(flow)
        bench.now_ns = START_NS + 7
        await bench.iterations.carry(bench.vu, START_NS + 2, bench.now_ns)
        assert seen == [START_NS + 2]
        new, slices = bench.recorder.take(START_NS, bench.now_ns, whole=False)
        lag_id = next(one.id for one in new if one.metric == "iteration_lag")
        (lag,) = (trend for trend in slices[0].trends if trend.series == lag_id)
        assert (lag.count, lag.sum_ns) == (1, 5)

    run_on_loop(main())


def test_the_ledger_holds_what_was_counted() -> None:
    async def main() -> None:
        async def flow(vu: Vu) -> None:
            vu.scenario.counts[REQUESTS_STARTED] += 2

        bench = Carried(flow)
        await bench.one()
        ledger = bench.iterations.ledger()
        assert (ledger.scenario, ledger.started, ledger.finished, ledger.requests) == ("browse", 1, 1, 2)

    run_on_loop(main())


def test_different_exceptions_are_told_up_to_a_limit() -> None:
    told: list[str] = []
    tell = FirstOfEach(told.append)
    made = 0

    def text(number: int) -> str:
        nonlocal made
        made += 1
        return f"fault {number}"

    for number in (*range(100), *range(100)):
        tell(number, lambda number=number: text(number))  # type: ignore[misc]
    assert told == [f"fault {number}" for number in range(MAX_TOLD)]
    assert made == MAX_TOLD


def test_an_exception_is_described_by_the_line_of_the_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "buyer.py").write_text("import json\n\ndef buy():\n    json.loads('x')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        import buyer  # type: ignore[import-not-found]

        buyer.buy()
    except ValueError as error:
        text = describe_exception(error)
    finally:
        sys.modules.pop("buyer", None)
    assert text == "buyer.py:4: JSONDecodeError: Expecting value: line 1 column 1 (char 0)"


def test_an_exception_without_a_place_or_words_is_its_type() -> None:
    assert describe_exception(KeyError()) == "KeyError"
