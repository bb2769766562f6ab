"""A VU without a network: requests of a flow are noted and answered by a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from loadr.engine.draws import stream_seed
from loadr.engine.feeders import Feeder
from loadr.engine.page import REQUESTS_STARTED
from loadr.engine.recorder import Recorder, RequestSeries, ScenarioRecorder
from loadr.engine.requests import Target
from loadr.engine.response import Response
from loadr.engine.vu import Vu


@dataclass
class Sent:
    """One request as it would have been written."""

    series: RequestSeries
    target: Target
    head: bytes
    body: bytes
    timeout_ns: int

    @property
    def line(self) -> str:
        return self.head.split(b"\r\n")[0].decode()

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode().split("\r\n")[1:-2]
        return dict(line.split(": ", 1) for line in lines)


Answer = Callable[[Sent], Response]


def answer(
    sent: Sent,
    body: Any = b"",
    *,
    status: int = 200,
    duration_ns: int = 1_000_000,
    head: bytes = b"",
    error: str = "",
) -> Response:
    """A response to ``sent``; a body that is not bytes becomes JSON."""
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Response(
        status=status,
        body=content,
        duration_ns=duration_ns,
        scenario=sent.series.scenario,
        series=sent.series,
        target=sent.target,
        sent_head=sent.head,
        head=head,
        error=error,
    )


@dataclass
class NotedHttp:
    """Stands where `loadr.engine.client.Http` does."""

    answer_with: Answer = answer
    sent: list[Sent] = field(default_factory=list)
    first_intended_ns: int = 0
    aborted: int = 0

    async def send(
        self, series: RequestSeries, target: Target, head: bytes, body: bytes = b"", timeout_ns: int = 0
    ) -> Response:
        request = Sent(series, target, head, body, timeout_ns)
        self.sent.append(request)
        series.scenario.counts[REQUESTS_STARTED] += 1
        return self.answer_with(request)

    def abort(self) -> None:
        self.aborted += 1


def new_scenario(name: str = "browse") -> ScenarioRecorder:
    """A recorder of one scenario."""
    return Recorder([name]).scenario(name)


def new_vu(
    http: Any,
    scenario: ScenarioRecorder,
    *,
    number: int = 0,
    env: Mapping[str, str] | None = None,
    feeders: Mapping[str, Feeder] | None = None,
    seed: int = 0,
    open_model: bool = True,
) -> Vu:
    """A VU in its first iteration."""
    vu = Vu(
        number,
        http,
        scenario,
        env=env or {},
        feeders=feeders or {},
        stream=stream_seed(seed, scenario.name),
        open_model=open_model,
    )
    vu.iteration = 0
    return vu
