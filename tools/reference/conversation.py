"""A conversation of one agent and a controller, as the two cores hold it, message by message."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_args

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

import numpy as np

from loadr.coordination import agent_io, controller_io
from loadr.coordination.messages import AgentBeat, ControllerBeat, WireDelta
from loadr.metrics.delta import TrendDelta
from loadr.metrics.histogram import Histogram
from loadr.metrics.series import Kind, series
from loadr.schedule.change import ChangeKind
from support.conversation import Agent, Conversation, ledger, plan, second

S = 1_000_000_000
_PLAN = plan(name="example", scenario={"duration": "2s"})
DURATION = series("http_req_duration", Kind.TREND, scenario="s")


class Overheard(Conversation):
    """Keeps what is said, in order: (time, who, message)."""

    def __init__(self, *agents: str) -> None:
        self.heard: list[tuple[int, str, Any]] = []
        super().__init__(*agents)

    def _do_agent(self, agent: Agent, effect: Any) -> None:
        if isinstance(effect, agent_io.Send):
            self.heard.append((self.now, "→", effect.message))
        super()._do_agent(agent, effect)

    def _do_controller(self, effect: Any) -> None:
        if isinstance(effect, controller_io.Send):
            self.heard.append((self.now, "←", effect.message))
        super()._do_controller(effect)


def render() -> str:
    """The messages, one block each. Of beats only those that say something new; the others are counted."""
    talk = _hold()
    start_ns = talk.run.start_controller_ns or 0
    lines: list[str] = []
    told: dict[type, object] = {}
    beats = 0
    for at_ns, way, message in talk.heard:
        news = _news(message)
        if news is not None and told.get(type(message)) == news:
            beats += 1
            continue
        told[type(message)] = news
        if beats:
            lines.append(f"           … {beats} beats and answers that say nothing new")
            beats = 0
        lines.append(f"{(at_ns - start_ns) / S:+8.3f} {way} {type(message).__name__}")
        lines += _lines(message, " " * 11)
    return "\n".join(["```text", *lines, "```"])


def render_plan() -> str:
    """The plan of the conversation, as it is sent."""
    text = json.dumps(json.loads(_PLAN.canonical_json()), indent=1)
    return f"```json\n{text}\n```"


def _news(message: Any) -> object:
    """What a beat says beside the time; None of what is no beat."""
    if isinstance(message, AgentBeat):
        return [(run.run_id, run.phase, run.revision) for run in message.runs], message.draining
    return (message.grants, message.acks) if isinstance(message, ControllerBeat) else None


def _hold() -> Overheard:
    """Two seconds at ten iterations a second, with a pause of one second after the first."""
    talk = Overheard("web")
    talk.submit(_PLAN)
    talk.start()
    start_ns = talk.run.start_controller_ns or 0
    web = talk["web"]
    talk.to(start_ns + S // 2)
    talk.tell(controller_io.ChangeRequested("run", ChangeKind.PAUSE, "", ""))
    for number in range(3):
        talk.to(start_ns + (number + 1) * S)
        if number == 1:
            talk.tell(controller_io.ChangeRequested("run", ChangeKind.RESUME, "", ""))
            continue
        interval = second(number, 10)
        samples = np.full(10, 1_500_000 + number, dtype=np.int64)
        interval.values[DURATION] = TrendDelta(Histogram.of(samples))
        web.feed(agent_io.EngineInterval("run", 1, interval))
    talk.to(start_ns + 4 * S)
    web.feed(agent_io.EngineFinished("run", 1, (ledger(20),), ""))
    web.feed(agent_io.DrainRequested("told to leave by SIGTERM"))
    return talk


def _lines(value: Any, lead: str) -> Iterator[str]:
    """Field by field; what is nested below, indented."""
    for name, inner in _fields(value):
        nested = inner if isinstance(inner, tuple) else (inner,)
        if all(is_dataclass(one) for one in nested):
            for one in nested:
                kind = type(one).__name__
                name = f"deltas {_snake(kind)}" if kind in _DELTAS else name
                short = ", ".join(f"{key}: {_text(text)}" for key, text in _fields(one))
                if len(short) <= 90:
                    yield f"{lead}{name} {{ {short} }}"
                else:
                    yield f"{lead}{name}"
                    yield from _lines(one, lead + "  ")
        else:
            yield f"{lead}{name}: {_text(inner)}"


def _fields(message: Any) -> Iterator[tuple[str, Any]]:
    """Those that are on the wire: not zero, and not empty."""
    for field in fields(message):
        value = getattr(message, field.name)
        if value not in (0, "", b"", (), {}, None):
            yield field.name, value


_DELTAS = {one.__name__ for one in get_args(WireDelta)}


def _snake(name: str) -> str:
    """Of a class, the field of the envelope that carries it."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _text(value: Any) -> str:
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, bytes):
        return _bytes(value)
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):
        return " ".join(f"{key}={text}" for key, text in value)
    if isinstance(value, tuple):
        return ", ".join("{ " + ", ".join(f"{k}: {_text(v)}" for k, v in _fields(one)) + " }" for one in value)
    return f'"{value}"' if isinstance(value, str) else str(value)


def _bytes(value: bytes) -> str:
    if value.startswith(b"{"):
        return f"<{len(value)} bytes of JSON>"
    bits = sum(byte.bit_count() for byte in value)
    return f"<{len(value)} bytes, {bits} bits set>" if len(value) > 100 else value.hex()
