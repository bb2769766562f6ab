"""The flow compiler: the steps of a YAML scenario → one ``async def flow(vu)``, compiled once.

Everything that is known beforehand (heads, bodies, series, check counters, values of ``env`` and ``secret``) is a
constant of the compiled code; expressions stand in it as they were written, their names replaced by locals. So
an iteration runs no interpreter of ours, and does what a script's author would have written by hand over the
same client. Names of compiled code begin with two underscores: no name of an expression can.
"""

from __future__ import annotations

import ast
from asyncio import sleep
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loadr.clock import boottime_ns
from loadr.engine import splice
from loadr.engine.feeders import Feeder
from loadr.engine.flow_request import RequestCompiler
from loadr.engine.iterations import FirstOfEach
from loadr.engine.recorder import RequestSeries, ScenarioRecorder
from loadr.engine.signals import IterationAborted
from loadr.engine.splice import Unsendable, as_text
from loadr.engine.vu import Vu
from loadr.masking import NO_SECRETS, Secrets
from loadr.plan.expressions import FUNCTIONS, Expression, Template, parse_template, rewrite
from loadr.plan.model import HttpDefaults, Step, ThinkStep
from loadr.units import NS_PER_MS, NS_PER_S

EXPRESSION_FAILED = "expression_failed"
REQUEST_INVALID = "request_invalid"
EXTRACT_FAILED = "extract_failed"
"""Kinds of ``http_req_errors`` that end the iteration before, or after, a request."""

_RESPONSE = {
    "status": "__response.status",
    "duration_ms": f"(__response.duration_ns / {NS_PER_MS})",
    "body": "__response.text",
    "text": "__response.text",
    "json": "__response.json()",
    "headers": "__response.headers",
    "error": "__response.error",
    "size": "__response.size",
}


@dataclass(frozen=True, slots=True)
class CompiledFlow:
    """``run`` carries one iteration; ``source`` is what it was compiled from, for people who look for a fault."""

    run: Callable[[Vu], Any]
    source: str = field(repr=False)  # values of secrets stand in it


@dataclass(frozen=True, slots=True)
class FlowContext:
    """What a flow is compiled against. ``tell`` gets what went wrong in an expression, in words."""

    scenario: ScenarioRecorder
    defaults: HttpDefaults
    env: Mapping[str, str]
    feeders: Mapping[str, Feeder]
    tell: FirstOfEach
    secrets: Secrets = NO_SECRETS


def compile_flow(steps: Sequence[Step], context: FlowContext, returns: Sequence[str] = ()) -> CompiledFlow:
    """Compile the steps of a plan that the loader has accepted; the flow returns these of its variables by name.

    Raises `ValueError` on a request that can not be prepared, such as one without a host."""
    return FlowCompiler(context).compile(steps, returns)


class FlowCompiler:
    """Collects the lines of the function, and what the names in them stand for."""

    def __init__(self, context: FlowContext) -> None:
        self.context = context
        self._lines: list[str] = []
        self._variables: dict[str, str] = {}
        self._meets = False
        self._roots: set[str] = set()  # data sets, "random" and "setup", as far as some step reads them
        self._names: dict[str, Any] = {
            **FUNCTIONS,
            **splice.FUNCTIONS,
            "__builtins__": {},
            "__Exception": Exception,
            "__fail": _failure(context.tell),
            "__no_value": _no_value,
            "__sleep": sleep,
        }

    def compile(self, steps: Sequence[Step], returns: Sequence[str] = ()) -> CompiledFlow:
        for number, step in enumerate(steps):
            if step.think is not None:
                self._think(step.think)
            elif step.rendezvous is not None:
                met, self._meets = step.rendezvous, True
                self.line(f"await __meet({met.name!r}, {met.users!r}, {met.timeout_ns / NS_PER_S!r})")
            elif step.request is not None:
                RequestCompiler(self, step.request, number).compile()
        if returns:
            self.line(f"return {{{', '.join(f'{name!r}: {self._variables[name]}' for name in returns)}}}")
        source = "\n".join(("async def flow(vu):", *self._prologue(), *self._lines)) + "\n"
        code = compile(source, f"<flow of {self.context.scenario.name}>", "exec")
        exec(code, self._names)  # noqa: S102 - our own source; expressions in it were checked node by node
        return CompiledFlow(self._names["flow"], source)

    def _prologue(self) -> Iterator[str]:
        yield "    __send = vu.http.send"
        if self._meets:
            yield "    __meet = vu.rendezvous"
        if "random" in self._roots:
            yield "    __random = vu.random"
        if "setup" in self._roots:
            yield "    __setup = vu.setup"
        for name in sorted(self._roots - {"random", "setup"}):
            self.name(f"__pick_{name}", self.context.feeders[name].pick)
            yield f"    __row_{name} = __pick_{name}(vu.owner_key, vu.iteration)"

    def _think(self, think: ThinkStep) -> None:
        low_s, high_s = think.low_ns / NS_PER_S, think.high_ns / NS_PER_S
        if low_s == high_s:
            self.line(f"await __sleep({low_s!r})")
        else:
            self._roots.add("random")
            self.line(f"await __sleep(__random.uniform({low_s!r}, {high_s!r}))")

    def line(self, text: str, depth: int = 1) -> None:
        """One line of the function."""
        self._lines.append("    " * depth + text)

    def name(self, name: str, value: object) -> str:
        """Make ``value`` known to the compiled code; gives its name."""
        self._names[name] = value
        return name

    def names(self, values: Mapping[str, object]) -> None:
        """Make several values known."""
        self._names.update(values)

    def variable(self, name: str) -> str:
        """The local of a value that is extracted here, and known to later steps."""
        return self._variables.setdefault(name, f"__value_{name}")

    def template(self, text: str) -> Template:
        """A text of the plan, in which expressions of ``env`` and ``secret`` alone stand as values."""
        parts: list[str | Expression] = []
        for part in parse_template(text).parts:
            known = self._known_text(part)
            if known is None:
                parts.append(part)
            elif parts and isinstance(parts[-1], str):
                parts[-1] += known
            else:
                parts.append(known)
        return Template(tuple(parts))

    def _known_text(self, part: str | Expression) -> str | None:
        if isinstance(part, str):
            return part
        if not part.names <= {"env", "secret"}:
            return None
        try:
            return as_text(eval(self.code(part), dict(self._names)))  # noqa: S307 - checked node by node
        except Exception:  # noqa: BLE001 - it will fail when the flow runs, and be counted
            return None

    def code(self, expression: Expression) -> str:
        """An expression as source over the locals."""
        return ast.unparse(rewrite(expression, self._resolve, rows=self.context.feeders.keys()))

    def _resolve(self, root: str, member: str | None) -> ast.expr:
        return ast.parse(self._resolve_source(root, member), mode="eval").body

    def _resolve_source(self, root: str, member: str | None) -> str:
        if member is None:
            return "vu.iteration" if root == "iteration" else self._variables[root]
        if root == "env":
            return repr(self.context.env[member])
        if root == "secret":
            return repr(self.context.secrets[member])
        if root == "vu":
            return f"vu.{member}"
        if root == "response":
            return _RESPONSE[member]
        self._roots.add(root)
        if root == "random":
            return f"__random.{member}"
        if root == "setup":
            return f"__setup[{member!r}]"
        return f"__row_{root}[{self.context.feeders[root].columns.index(member)}]"


def _failure(tell: FirstOfEach) -> Callable[[RequestSeries, Exception], None]:
    def fail(series: RequestSeries, error: Exception) -> None:
        """Count what went wrong before a request could be made, and give the iteration up."""
        kind = REQUEST_INVALID if isinstance(error, Unsendable) else EXPRESSION_FAILED
        series.error(kind, boottime_ns())
        what = type(error).__name__
        words = f"request {series.name!r}: {what}: {error}"
        tell((series.name, what), lambda: words)
        raise IterationAborted("expression", words)

    return fail


def _no_value(series: RequestSeries) -> None:
    """Count an extraction that found nothing, and give the iteration up."""
    series.error(EXTRACT_FAILED, boottime_ns())
    raise IterationAborted("extract", f"request {series.name!r} gave nothing to extract")
