"""What ``from loadr import …`` gives to a scenario script while it is imported: declarations.

``@scenario(constant_vus(20, "6m"))`` marks an ``async def`` as a scenario, ``data.csv`` declares a data set,
``thresholds`` and ``options`` say the rest of a plan. Nothing runs here: whoever imports the script inside
`collecting` gets its `Declarations`; outside of it (in the author's own tests) they go nowhere. Types and ranges
are checked where those of a YAML plan are, in the loader; only what can not wait is refused at once.
Imports nothing but the standard library, since every worker and each inspection pays for it.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

from loadr.errors import ScriptFault

Duration = str | int | float
Row = Mapping[str, str]
ScenarioFunction = Callable[[Any], Any]
F = TypeVar("F", bound=ScenarioFunction)
F2 = TypeVar("F2", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Executor:
    """How a scenario is run: ``kind`` as in YAML, ``settings`` the keys of YAML that were given."""

    kind: str
    settings: dict[str, Any]


def constant_vus(vus: int, duration: Duration) -> Executor:
    """Closed model: ``vus`` users loop for ``duration``."""
    return Executor("constant-vus", {"vus": vus, "duration": duration})


def constant_arrival_rate(
    rate: float,
    duration: Duration,
    max_vus: int,
    *,
    pre_allocated_vus: int | None = None,
    time_unit: Duration | None = None,
    arrivals: Literal["uniform", "poisson"] | None = None,
) -> Executor:
    """Open model: ``rate`` iterations start per ``time_unit`` (1 s), by at most ``max_vus`` users."""
    given = {"rate": rate, "duration": duration, "max_vus": max_vus, "pre_allocated_vus": pre_allocated_vus}
    return _executor("constant-arrival-rate", {**given, "time_unit": time_unit, "arrivals": arrivals})


def ramping_arrival_rate(
    stages: Sequence[tuple[Duration, float]],
    max_vus: int,
    *,
    start_rate: float | None = None,
    pre_allocated_vus: int | None = None,
    time_unit: Duration | None = None,
    arrivals: Literal["uniform", "poisson"] | None = None,
) -> Executor:
    """Open model: from ``start_rate`` (0) the rate moves to each stage's target within its duration:
    ``stages=[("1m", 500), ("5m", 500)]``."""
    listed = []
    for stage in stages:
        if not isinstance(stage, tuple | list) or len(stage) != 2:
            raise ScriptFault(f"{stage!r} is not a stage", hint='write stages=[("1m", 500), ("5m", 500)]')
        listed.append({"duration": stage[0], "target": stage[1]})
    given = {
        "stages": listed,
        "max_vus": max_vus,
        "start_rate": start_rate,
        "pre_allocated_vus": pre_allocated_vus,
    }
    return _executor("ramping-arrival-rate", {**given, "time_unit": time_unit, "arrivals": arrivals})


def _executor(kind: str, settings: Mapping[str, Any]) -> Executor:
    return Executor(kind, {key: value for key, value in settings.items() if value is not None})


class DataHandle:
    """A data set as the script holds it: ``settings`` are the keys of YAML, ``file`` relative to the script's
    folder. `bind` is called by the engine before the first iteration."""

    def __init__(self, name: str, settings: Mapping[str, Any], line: int) -> None:
        self.name = name
        self.settings = dict(settings)
        self.line = line
        self._provider: Callable[[Any], Row] | None = None

    @property
    def kind(self) -> str:
        """The function that declares it."""
        return "corpus" if "corpus" in self.settings else "csv"

    def bind(self, provider: Callable[[Any], Row]) -> None:
        """From now on ``provider(vu)`` gives the row of the iteration that ``vu`` is in."""
        self._provider = provider

    def next(self, vu: Any) -> Row:
        """The row of this iteration of ``vu``, by column name. Raises `ScriptFault` outside of a run."""
        if self._provider is None:
            raise ScriptFault(
                f"the data set {self.name!r} has no rows here",
                hint="rows exist in a run only: call .next(vu) inside of a scenario, not at the module's level",
            )
        return self._provider(vu)


@dataclass(slots=True)
class ScenarioDeclaration:
    """``function_name`` is that of the ``async def``; ``function`` is None in what an inspector sent."""

    name: str
    function_name: str
    executor: Executor | None
    settings: dict[str, Any]  # start_time, graceful_stop
    line: int
    function: ScenarioFunction | None = None


@dataclass(slots=True)
class AroundDeclaration:
    """A setup or a teardown: as `ScenarioDeclaration`."""

    function_name: str
    settings: dict[str, Any]  # timeout
    line: int
    function: Callable[..., Any] | None = None


@dataclass(slots=True)
class Declarations:
    """All that one script declared. Data sets are keyed by name, as in a plan; ``around`` by "setup" and
    "teardown"."""

    scenarios: dict[str, ScenarioDeclaration] = field(default_factory=dict)
    data: dict[str, DataHandle] = field(default_factory=dict)
    thresholds: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)  # of "thresholds" and "options"
    around: dict[str, AroundDeclaration] = field(default_factory=dict)

    def scenario(self, wanted: str | None) -> ScenarioDeclaration:
        """The scenario whose function, or else whose name, is ``wanted``; the only one if that is None.

        Raises `ScriptFault` if there is none, or more than one to choose from.
        """
        if wanted is None:
            if len(self.scenarios) == 1:
                return next(iter(self.scenarios.values()))
        else:
            for one in self.scenarios.values():
                if one.function_name == wanted:
                    return one
            if wanted in self.scenarios:
                return self.scenarios[wanted]
        if not self.scenarios:
            raise ScriptFault("the script declares no scenario", hint="put @scenario(...) before an async def")
        known = ", ".join(one.function_name for one in self.scenarios.values())
        what = "more than one scenario" if wanted is None else f"no scenario function {wanted!r}"
        raise ScriptFault(f"the script declares {what}", hint=f"name one with function: {known}")


_current: ContextVar[Declarations | None] = ContextVar("declarations", default=None)


@contextmanager
def collecting() -> Iterator[Declarations]:
    """Everything declared inside of the block goes into the `Declarations` given."""
    declarations = Declarations()
    token = _current.set(declarations)
    try:
        yield declarations
    finally:
        _current.reset(token)


SCENARIO_SETTINGS = ("start_time", "graceful_stop")


@overload
def scenario(executor: F, /) -> F: ...
@overload
def scenario(
    executor: Executor | None = None, /, *, name: str | None = None, **settings: Duration
) -> Callable[[F], F]: ...
def scenario(
    executor: Executor | F | None = None, /, *, name: str | None = None, **settings: Duration
) -> F | Callable[[F], F]:
    """Mark ``async def buy(vu)`` as a scenario; the function itself stays as it is.

    ``executor`` comes from `constant_vus` and its like; it may be left out of scripts that a YAML plan names, for
    there the plan says it. ``name`` is the function's own name unless given. ``settings``: ``start_time`` and
    ``graceful_stop``. Raises `ScriptFault` if the function is not an ``async def`` with one parameter.
    """
    if executor is not None and not isinstance(executor, Executor):
        if not callable(executor):
            raise ScriptFault(f"{executor!r} is not an executor", hint='write @scenario(constant_vus(20, "6m"))')
        return _declare(executor, None, None, {})
    if unknown := [key for key in settings if key not in SCENARIO_SETTINGS]:
        raise ScriptFault(
            f"scenario() has no option {unknown[0]!r}", hint="it has name, start_time, graceful_stop"
        )
    given_executor = executor
    return lambda function: _declare(function, given_executor, name, settings)


def _declare(function: F, executor: Executor | None, name: str | None, settings: dict[str, Any]) -> F:
    own_name = getattr(function, "__name__", "?")
    if not inspect.iscoroutinefunction(function):
        raise ScriptFault(
            f"the scenario {own_name!r} is not an async def", hint=f"write: async def {own_name}(vu):"
        )
    try:
        inspect.signature(function).bind(object())
    except TypeError:
        raise ScriptFault(
            f"the scenario {own_name!r} can not be called with the VU alone",
            hint=f"write: async def {own_name}(vu):",
        ) from None
    declarations = _current.get()
    if declarations is not None:
        name = name or own_name
        for other in declarations.scenarios.values():
            if other.name == name or (other.function_name == own_name and other.function is not function):
                raise ScriptFault(f"two scenarios are named {name!r}", hint="rename one of the functions")
        line = function.__code__.co_firstlineno
        declarations.scenarios[name] = ScenarioDeclaration(name, own_name, executor, settings, line, function)
    return function


@overload
def setup(function: F, /) -> F: ...
@overload
def setup(*, timeout: Duration | None = None) -> Callable[[F], F]: ...
def setup(function: F | None = None, /, *, timeout: Duration | None = None) -> F | Callable[[F], F]:
    """Mark ``async def prepare(vu)`` as the setup of the run: done once for the whole fleet, before the load.

    What it returns (anything that JSON can hold, at most 64 KiB) is ``vu.setup`` in every scenario. Raises
    `ScriptFault` if the function is not an ``async def`` with one parameter, or there is another setup.
    """
    if function is not None:
        return _declare_around("setup", function, "vu", {})
    settings = {} if timeout is None else {"timeout": timeout}
    return lambda given: _declare_around("setup", given, "vu", settings)


@overload
def teardown(function: F2, /) -> F2: ...
@overload
def teardown(*, timeout: Duration | None = None) -> Callable[[F2], F2]: ...
def teardown(function: F2 | None = None, /, *, timeout: Duration | None = None) -> F2 | Callable[[F2], F2]:
    """Mark ``async def clean(vu, data)`` as the teardown of the run: done once, when the load of all is over.

    ``data`` is what setup returned, None without one. Raises as `setup` does.
    """
    if function is not None:
        return _declare_around("teardown", function, "vu, data", {})
    settings = {} if timeout is None else {"timeout": timeout}
    return lambda given: _declare_around("teardown", given, "vu, data", settings)


def _declare_around(what: str, function: F2, parameters: str, settings: dict[str, Any]) -> F2:
    own_name = getattr(function, "__name__", "?")
    hint = f"write: async def {own_name}({parameters}):"
    if not inspect.iscoroutinefunction(function):
        raise ScriptFault(f"the {what} {own_name!r} is not an async def", hint=hint)
    try:
        inspect.signature(function).bind(*parameters.split(", "))
    except TypeError:
        raise ScriptFault(f"the {what} {own_name!r} can not be called with ({parameters})", hint=hint) from None
    declarations = _current.get()
    if declarations is not None:
        if what in declarations.around:
            raise ScriptFault(f"there are two functions for {what}", hint="do both in one of them")
        line = function.__code__.co_firstlineno
        declarations.around[what] = AroundDeclaration(own_name, settings, line, function)
    return function


class DataDeclarations:
    """``data`` in a script."""

    def csv(
        self,
        path: str | Path,
        mode: Literal["unique", "random"] = "random",
        on_end: Literal["stop", "recycle"] = "stop",
        *,
        name: str | None = None,
    ) -> DataHandle:
        """A CSV file beside the script; ``mode`` and ``on_end`` as in YAML. ``name`` is the file's stem unless
        given. The same file declared twice in the same way is one data set."""
        settings = {"file": str(path), "mode": mode, "on_end": on_end}
        return _declare_data(name or Path(str(path)).stem, settings, sys._getframe(1).f_lineno)

    def corpus(
        self,
        corpus: str,
        sha256: str,
        columns: Sequence[str],
        rows: int = 0,
        mode: Literal["unique", "random"] = "random",
        on_end: Literal["stop", "recycle"] = "stop",
        *,
        name: str | None = None,
    ) -> DataHandle:
        """A CSV file on every agent's disk, by its name there, as in YAML; ``loadr corpus PATH`` prints digest,
        columns and rows. ``name`` is that of the corpus unless given."""
        settings = {"corpus": corpus, "sha256": sha256, "columns": list(columns), "rows": rows}
        settings |= {"mode": mode, "on_end": on_end}
        return _declare_data(name or corpus, settings, sys._getframe(1).f_lineno)


def _declare_data(name: str, settings: Mapping[str, Any], line: int) -> DataHandle:
    own_name = re.sub(r"[^A-Za-z0-9_]", "_", name)
    handle = DataHandle(own_name, settings, line)
    declarations = _current.get()
    if declarations is None:
        return handle
    known = declarations.data.setdefault(own_name, handle)
    if known.settings != settings:
        raise ScriptFault(
            f"two data sets are named {own_name!r}", hint=f"tell them apart: data.{handle.kind}(..., name=...)"
        )
    return known


data = DataDeclarations()


def thresholds(rules: Mapping[str, str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]]) -> None:
    """``thresholds({"http_req_duration": ["p(95)<400"]})``: as in YAML. Counts when the script itself is run."""
    declarations = _current.get()
    if declarations is not None:
        declarations.thresholds.update(rules)
        declarations.lines["thresholds"] = sys._getframe(1).f_lineno


OPTIONS = (
    *("base_url", "seed", "name", "timeout", "headers", "tls_verify", "tls_ca", "on_agent_loss", "lease"),
    "include",
)


def options(**settings: Any) -> None:
    """The rest of a plan, under its names in YAML: see `OPTIONS`. Counts when the script itself is run."""
    if unknown := [key for key in settings if key not in OPTIONS]:
        raise ScriptFault(f"options() has no option {unknown[0]!r}", hint=f"it has {', '.join(OPTIONS)}")
    declarations = _current.get()
    if declarations is not None:
        declarations.options.update(settings)
        declarations.lines["options"] = sys._getframe(1).f_lineno
