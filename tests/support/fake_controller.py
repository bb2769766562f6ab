"""A controller that is ours to play: it answers one agent's registration, beats and requests for files."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

from loadr.clock import boottime_ns
from loadr.coordination import messages as m
from loadr.plan.model import Plan
from loadr.transport.link import AgentLink, ControllerLink
from loadr.transport.memory import memory_pair
from loadr.units import NS_PER_S
from support.conversation import plan

LIMIT_S = 20.0


class FakeController:
    """Answers registration, beats and file requests; ``contents`` are what it sends for a digest."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.registered: m.Register | None = None
        self.requests: list[m.FileRequest] = []
        self.answers: dict[str, asyncio.Future[m.Prepared]] = {}
        self.online = asyncio.Event()
        self.asked = asyncio.Event()
        self.silent = False  # requests are not answered
        self._link: ControllerLink
        self._reader: asyncio.Task[None]

    async def dial(self, timeout_s: float) -> AgentLink:
        ours, self._link = memory_pair()
        self._reader = asyncio.create_task(self._read())
        return ours

    def assign(
        self, run_id: str, files: Sequence[m.ManifestFile] = (), the_plan: Plan | None = None
    ) -> Awaitable[m.Prepared]:
        """The agent's answer, within a limit."""
        the_plan = the_plan or plan()
        self.answers[run_id] = answer = asyncio.get_running_loop().create_future()
        order = m.Assignment(
            run_id, 1, the_plan.canonical_json(), the_plan.digest, tuple(files), int(LIMIT_S) * NS_PER_S
        )
        self._link.send(order)
        return asyncio.wait_for(answer, LIMIT_S)

    def forget(self, run_id: str) -> None:
        self._link.send(m.Desired(run_id, 1, 9, m.RunPhase.NONE))

    async def _read(self) -> None:
        async for message in self._link.messages():
            now_ns = boottime_ns()
            if isinstance(message, m.Register):
                self.registered = message
                self._link.send(m.Registered("c", 1, "s", 1, (), NS_PER_S, 10 * NS_PER_S, 0))
            elif isinstance(message, m.AgentBeat):
                grants = tuple(m.LeaseGrant(run.run_id, run.generation, 10 * NS_PER_S) for run in message.runs)
                beat = m.ControllerBeat(message.number, now_ns, message.number, now_ns, grants)
                self._link.send(beat)
                self.online.set()
            elif isinstance(message, m.FileRequest):
                self.requests.append(message)
                self.asked.set()
                if not self.silent:
                    self.send_file(message)
            elif isinstance(message, m.Prepared):
                self.answers[message.run_id].set_result(message)

    def send_file(self, request: m.FileRequest) -> None:
        content = self.contents[request.digest]
        end = request.offset + request.length
        for offset in range(request.offset, end, 65536):
            data = content[offset : min(offset + 65536, end)]
            self._link.send(m.FileChunk(request.run_id, request.digest, offset, data))
