"""What a worker makes of a plan before a run: flows compiled, scripts imported, data read.

Takes a plan and the folder of its files; gives one executor for each scenario. User code is run for the first
time here: by importing a script.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadr.clock import boottime_ns
from loadr.engine.client import HttpWorker
from loadr.engine.closed import ClosedExecutor
from loadr.engine.draws import stream_seed
from loadr.engine.feeders import Feeder, feeders_of, read_data
from loadr.engine.fleet_values import FleetValues
from loadr.engine.flow import FlowContext, compile_flow
from loadr.engine.iterations import FirstOfEach, Flow, Iterations
from loadr.engine.meetings import Meetings
from loadr.engine.open import OpenExecutor
from loadr.engine.recorder import Recorder, ScenarioRecorder
from loadr.engine.run import Executor
from loadr.engine.stock import Shelf, Stock
from loadr.engine.vu import Vu
from loadr.errors import ScriptFault
from loadr.masking import NO_SECRETS, Secrets
from loadr.plan.model import ConstantVus, Plan, Scenario
from loadr.plan.script_loader import import_script
from loadr.plan.scripting import Declarations
from loadr.plan.usage import block_sets, rows_limit


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the executors of a worker live in. ``tell`` gets exceptions of scripts and expressions, in words."""

    loop: asyncio.AbstractEventLoop
    words: memoryview[int]
    http: HttpWorker
    recorder: Recorder
    tell: Callable[[str], None]
    clock: Callable[[], int] = boottime_ns
    secrets: Secrets = NO_SECRETS
    values: FleetValues = field(default_factory=FleetValues)
    meetings: Meetings | None = None


def load(
    plan: Plan, files_dir: Path, around: Surroundings, scripts: Scripts | None = None
) -> dict[str, Executor]:
    """One executor for each scenario.

    Raises `PlanInvalid` for data files, `ScriptFault` for scripts that do not declare what the plan names,
    whatever a script raises when it is imported, and `ValueError` for requests that can not be prepared.
    """
    data = read_data(plan, files_dir)
    scripts = scripts or Scripts(files_dir)
    executors: dict[str, Executor] = {}
    stocks = {name: Stock(name, around.values, around.clock) for name in block_sets(plan)}
    for name, scenario in plan.scenarios.items():
        shelves = {used: Shelf(stocks[used]) for used in scenario.uses if used in stocks}
        feeders = feeders_of(plan, name, data, shelves)
        recorder = around.recorder.scenario(name)
        tell = FirstOfEach(around.tell)
        if scenario.flow is None:
            flow = scripts.flow(scenario)
        else:
            context = FlowContext(recorder, plan.defaults.http, plan.env, feeders, tell, around.secrets)
            flow = compile_flow(scenario.flow, context).run
        iterations = Iterations(name, flow, recorder, around.clock, tell)
        make_vu = _vu_maker(plan, name, scenario, recorder, feeders, around)
        executors[name] = _executor(plan, scenario, iterations, make_vu, around, tuple(shelves.values()))
    return executors


def _executor(
    plan: Plan,
    scenario: Scenario,
    iterations: Iterations,
    make_vu: Callable[[int], Vu],
    around: Surroundings,
    shelves: tuple[Shelf, ...],
) -> Executor:
    if isinstance(scenario, ConstantVus):
        return ClosedExecutor(
            scenario, plan.seed, iterations, make_vu, around.words, around.clock, around.loop, shelves
        )
    limit = rows_limit(plan, iterations.scenario)
    return OpenExecutor(scenario, plan.seed, limit, iterations, make_vu, around.words, around.clock, around.loop)


def _vu_maker(
    plan: Plan,
    name: str,
    scenario: Scenario,
    recorder: ScenarioRecorder,
    feeders: dict[str, Feeder],
    around: Surroundings,
) -> Callable[[int], Vu]:
    stream = stream_seed(plan.seed, name)
    open_model = not isinstance(scenario, ConstantVus)
    meetings = around.meetings

    def make(number: int) -> Vu:
        http = around.http.http(recorder, plan.defaults.http)
        return Vu(
            number,
            http,
            recorder,
            env=plan.env,
            feeders=feeders,
            stream=stream,
            open_model=open_model,
            secrets=around.secrets,
            setup=around.values.setup,
            meetings=meetings,
        )

    return make


class Scripts:
    """Each script of a plan is imported once, whatever number of scenarios it has."""

    def __init__(self, files_dir: Path) -> None:
        self._files_dir = files_dir
        self._imported: dict[str, Declarations] = {}

    def flow(self, scenario: Scenario) -> Flow:
        """The function that carries an iteration of a scripted scenario."""
        assert scenario.script is not None
        declarations = self._of(scenario.script)
        function = declarations.scenario(scenario.function).function
        if function is None:
            raise ScriptFault(f"{scenario.script} does not define the function {scenario.function!r}")
        return function

    def around(self, what: str, script: str) -> Callable[..., Any]:
        """The function of a setup or teardown."""
        one = self._of(script).around.get(what)
        if one is None or one.function is None:
            raise ScriptFault(f"{script} declares no {what}")
        return one.function

    def _of(self, script: str) -> Declarations:
        declarations = self._imported.get(script)
        if declarations is None:
            declarations = import_script(self._files_dir / script)
            for name, handle in declarations.data.items():
                handle.bind(_row_of(name))
            self._imported[script] = declarations
        return declarations


def _row_of(data: str) -> Callable[[Vu], dict[str, str]]:
    return lambda vu: vu.row(data)
