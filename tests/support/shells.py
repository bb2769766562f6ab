"""A controller and agents in one process, joined by in-memory links, with a model of the engine: no load."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from loadr.agent import Agent, AgentSetup
from loadr.controller import Controller
from loadr.local import MemoryDialer
from loadr.metrics.series import Kind, series
from loadr.plan.model import Plan
from loadr.testing.engine import ModelPool, Samples

REQUESTS = series("http_reqs", Kind.COUNTER, scenario="s")
PER_SECOND = 10
LIMIT_S = 20.0


def model_plan(duration: str = "1s", **more: Any) -> Plan:
    """One closed scenario ``s``, so that nothing is expected of the model's ledgers."""
    scenario = {
        "executor": "constant-vus",
        "vus": 4,
        "duration": duration,
        "flow": [{"request": {"method": "GET", "url": "http://127.0.0.1:9/"}}],
    }
    return Plan.model_validate({"name": "model", "scenarios": {"s": scenario}, **more})


def ten_requests(second: int) -> Samples:
    return {REQUESTS: np.array([PER_SECOND], np.int64)}


@dataclass
class Lines:
    """Takes the place of a shell's log."""

    said: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, level: str, text: str) -> None:
        self.said.append((level, text))

    @property
    def text(self) -> str:
        return "\n".join(f"{level}: {text}" for level, text in self.said)


def model_agent(
    dialer: Any, log: Callable[[str, str], None], name: str = "web", samples: Any = ten_requests
) -> Agent:
    """An agent whose engine is a model."""
    return Agent(AgentSetup(name, 1), dialer, log, partial(ModelPool, samples=samples))


class Serving:
    """An agent at work, to be drained once."""

    def __init__(self, agent: Agent) -> None:
        self.task = asyncio.create_task(agent.run())
        self._agent = agent
        self._drained = False

    def drain(self, reason: str) -> None:
        if not self._drained:
            self._drained = True
            self._agent.drain(reason)


@asynccontextmanager
async def shells(
    *names: str, samples: Any = ten_requests
) -> AsyncIterator[tuple[Controller, list[Serving], Lines]]:
    """An open controller and a serving agent for each name. At the end those still here are drained, and all must
    have left with code 0."""
    lines = Lines()
    controller = Controller(lines)
    controller.open()
    agents = [Serving(model_agent(MemoryDialer(controller), lines, name, samples)) for name in names]
    try:
        async with asyncio.timeout(LIMIT_S):
            yield controller, agents, lines
    finally:
        for agent in agents:
            agent.drain("the test is over")
        if agents:
            await asyncio.wait([agent.task for agent in agents], timeout=LIMIT_S)
        await controller.close()
    assert [agent.task.result() for agent in agents] == [0] * len(names), lines.text
