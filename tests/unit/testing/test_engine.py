"""The model of the engine. It is started in the past, so that all its seconds are due at once."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from loadr.clock import boottime_ns
from loadr.engine.pool_events import PoolArmed, PoolEvent, PoolFinished, PoolInterval, PoolPrepared, PoolStarted
from loadr.metrics.delta import CounterDelta, TrendDelta
from loadr.metrics.histogram import Histogram
from loadr.metrics.series import Kind, series
from loadr.testing.engine import ModelPool, Samples
from loadr.units import NS_PER_S
from support.shells import REQUESTS, model_plan

DURATION = series("http_req_duration", Kind.TREND, scenario="s")


def samples(second: int) -> Samples:
    return {REQUESTS: np.array([2, 1]), DURATION: np.array([second, 10**6, 10**7])}


async def events_of(*, lease_s: float = 60, stop_cause: str = "", begin: bool = True) -> list[PoolEvent]:
    """A run of three seconds, to its end."""
    events: list[PoolEvent] = []
    over = asyncio.Event()

    def note(event: PoolEvent) -> None:
        events.append(event)
        if isinstance(event, PoolFinished):
            over.set()

    pool = ModelPool(1, note, samples)
    plan = model_plan("3s")
    await pool.spawn()
    pool.prepare("r", plan.canonical_json(), "")
    pool.arm((), plan)
    pool.set_lease(boottime_ns() + round(lease_s * NS_PER_S))
    if begin:
        pool.start(boottime_ns() - 10 * NS_PER_S)
    if stop_cause:
        pool.stop(True, stop_cause)
    async with asyncio.timeout(10):
        await over.wait()
    await pool.close()
    return events


def test_it_says_what_a_pool_says_in_its_order() -> None:
    events = asyncio.run(events_of())
    kinds = [type(event) for event in events]
    assert sorted(kinds[:3], key=str) == sorted([PoolPrepared, PoolArmed, PoolStarted], key=str)
    assert kinds[3:] == [PoolInterval] * 3 + [PoolFinished]
    assert [event.delta.t0_s for event in events if isinstance(event, PoolInterval)] == [0, 1, 2]


def test_what_it_sends_up_are_the_samples_and_the_ledger_is_their_sum() -> None:
    events = asyncio.run(events_of())
    (last, *_) = [event for event in reversed(events) if isinstance(event, PoolInterval)]
    assert last.delta.values[REQUESTS] == CounterDelta(3)
    assert last.delta.values[DURATION] == TrendDelta(Histogram.of(np.array([2, 10**6, 10**7])))
    finished = events[-1]
    assert isinstance(finished, PoolFinished)
    assert [(ledger.scenario, ledger.requests) for ledger in finished.ledgers] == [("s", 9)]
    assert finished.cause == ""


@pytest.mark.parametrize(
    ("given", "cause"), [({"lease_s": -1}, "orphaned"), ({"stop_cause": "enough"}, "enough")]
)
def test_without_a_lease_or_when_stopped_it_sends_nothing(given: dict[str, object], cause: str) -> None:
    events = asyncio.run(events_of(**given))  # type: ignore[arg-type]
    assert not any(isinstance(event, PoolInterval) for event in events)
    assert isinstance(events[-1], PoolFinished) and events[-1].cause == cause
    assert events[-1].ledgers[0].requests == 0


def test_stopped_before_the_start_it_is_done_without_ledgers() -> None:
    events = asyncio.run(events_of(stop_cause="called off", begin=False))
    assert events[-1] == PoolFinished((), "called off")
    assert not any(isinstance(event, PoolStarted) for event in events)


def test_renewed_it_serves_another_run_from_zero() -> None:
    async def twice() -> list[int]:
        counts: list[int] = []
        over = asyncio.Event()

        def note(event: PoolEvent) -> None:
            if isinstance(event, PoolFinished):
                counts.append(event.ledgers[0].requests)
                over.set()

        pool = ModelPool(1, note, samples)
        for _ in range(2):
            over.clear()
            pool.prepare("r", model_plan("2s").canonical_json(), "")
            pool.set_lease(boottime_ns() + 60 * NS_PER_S)
            pool.start(boottime_ns() - 10 * NS_PER_S)
            async with asyncio.timeout(10):
                await over.wait()
            await pool.renew()
        return counts

    assert asyncio.run(twice()) == [6, 6]
