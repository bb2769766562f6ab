"""Runs on this machine: the same controller and agents, started for one plan and gone after it.

Takes a loaded plan. With no agents given, one agent stands in this process and is joined by an in-memory link;
with N, N agent processes join over real gRPC on loopback. Gives live views while it works, and the summary.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from loadr.agent import Agent, AgentSetup, open_corpora
from loadr.clock import unix_ms
from loadr.controller import Controller
from loadr.errors import FleetFault
from loadr.masking import NO_SECRETS, Secrets
from loadr.plan.loader import LoadedPlan
from loadr.transport.corpora import MEMORY, Corpora
from loadr.transport.filestore import FileStore
from loadr.transport.link import AgentLink
from loadr.transport.memory import memory_pair
from loadr.transport.tokens import TokenReader, TokenStore, write_token
from loadr.verdict.model import LiveView, Summary

VIEW_EVERY_S = 0.5
JOIN_LIMIT_S = 30.0
LEAVE_LIMIT_S = 10.0
TOKEN_MS = 30 * 24 * 3_600_000


class MemoryDialer:
    """Dials the controller in this process."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._served: set[asyncio.Task[None]] = set()

    async def dial(self, timeout_s: float) -> AgentLink:
        ours, theirs = memory_pair()
        task = asyncio.create_task(self._controller.accept(theirs))
        self._served.add(task)
        task.add_done_callback(self._served.discard)
        return ours


class LocalRun:
    """One run on this machine. ``agents`` 0: in this process. ``workers`` None: one per core, in all."""

    def __init__(
        self,
        loaded: LoadedPlan,
        *,
        agents: int = 0,
        workers: int | None = None,
        corpora: Mapping[str, Path] | None = None,
        secrets: Secrets = NO_SECRETS,
        on_view: Callable[[LiveView], None] = lambda _: None,
        on_notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._loaded = loaded
        self._agents = agents
        cores = len(os.sched_getaffinity(0))
        self._workers = workers or (max(1, cores // agents) if agents else cores)
        self._corpora = dict(corpora or {})
        self._secrets = secrets
        self._on_view = on_view
        self._on_notice = on_notice
        self._controller: Controller | None = None
        self._run_id = ""
        self._stops = 0
        self._opening: Corpora | None = None  # while digests of corpora are computed
        self._log_lines: list[str] = []

    async def run(self) -> Summary:
        """The whole run. Raises `FleetFault` when it could not be started."""
        if not self._agents:
            return await self._with_one_in_here()
        with tempfile.TemporaryDirectory(prefix="loadr-run-") as folder:
            return await self._with_processes(Path(folder))

    def stop(self) -> None:
        """First call: let iterations finish. Second: interrupt them."""
        self._stops += 1
        if self._opening is not None:
            self._opening.close()
        if self._controller is not None and self._run_id:
            self._controller.stop(self._run_id, graceful=self._stops == 1, cause="interrupted")

    def _log(self, level: str, text: str) -> None:
        """What went wrong in words stays at hand for the message; the view and the summary tell the rest."""
        if level != "info":
            self._log_lines = [*self._log_lines[-20:], text]

    @asynccontextmanager
    async def _open(self, tokens: TokenReader | None = None) -> AsyncIterator[Controller]:
        controller = self._controller = Controller(self._log, tokens=tokens)
        controller.open()
        try:
            yield controller
        finally:
            await controller.close()

    async def _with_one_in_here(self) -> Summary:
        corpora = await self._open_corpora()
        async with self._open() as controller:
            agent = Agent(
                AgentSetup("local", self._workers, corpora=corpora), MemoryDialer(controller), self._log
            )
            serving = asyncio.create_task(agent.run())
            try:
                return await self._follow(controller, 1, serving)
            finally:
                await _leave(agent, serving)

    async def _with_processes(self, folder: Path) -> Summary:
        """Everybody on this machine can reach loopback: so our agents, and nobody else's, join by a token."""
        from loadr.transport.grpc_server import GrpcServer

        await self._open_corpora(folder)
        store = TokenStore(folder / "tokens")
        token = store.create(expires_unix_ms=unix_ms() + TOKEN_MS, uses=None)
        write_token(folder / "token", token)
        async with self._open(TokenReader(store)) as controller:
            server = GrpcServer("127.0.0.1:0", tls=None, insecure=False, on_link=controller.accept)
            host, port = await server.start()
            processes = [self._spawn_agent(f"{host}:{port}", i + 1, folder) for i in range(self._agents)]
            watch = asyncio.create_task(_all_gone(processes))
            try:
                return await self._follow(controller, self._agents, watch)
            finally:
                watch.cancel()
                await asyncio.to_thread(_end, processes)
                await server.stop()

    async def _open_corpora(self, memory: Path | None = None) -> Corpora:
        """Their digests are computed once, here: a copy of the memory in its folder spares each agent that."""
        loop = asyncio.get_running_loop()
        self._opening = Corpora(self._corpora, memory)

        def tell(text: str) -> None:
            loop.call_soon_threadsafe(self._on_notice, text)

        opened = await open_corpora(self._opening, tell)
        self._opening = None
        return opened

    def _spawn_agent(self, address: str, number: int, folder: Path) -> subprocess.Popen[bytes]:
        work = folder / str(number)
        work.mkdir()
        if (folder / MEMORY).exists():
            shutil.copy(folder / MEMORY, work)
        command = [
            *(sys.executable, "-m", "loadr", "agent", "--join", address, "--name", f"agent-{number}"),
            *("--workers", str(self._workers), "--work-dir", str(work), "--until-stdin-ends"),
            *("--token-file", str(folder / "token")),
            *(part for name, path in self._corpora.items() for part in ("--corpus", f"{name}={path}")),
        ]
        with (folder / f"agent-{number}.log").open("wb") as log:
            # Its own session: the terminal's Ctrl-C is for us, and we tell the fleet. The pipe ends with us.
            return subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )

    async def _follow(
        self, controller: Controller, expect_agents: int, fleet: asyncio.Task[int] | asyncio.Task[None]
    ) -> Summary:
        """Submit, and hand out views until the run is over. ``fleet`` ends early only when something broke."""
        files = FileStore.of_folder(self._loaded.plan, self._loaded.files)
        self._run_id = controller.submit(
            self._loaded.plan, files, expect_agents=expect_agents, secrets=self._secrets
        )
        if self._stops:
            controller.stop(self._run_id, graceful=self._stops == 1, cause="interrupted")
        over = asyncio.create_task(controller.wait(self._run_id))
        try:
            while not over.done():
                await asyncio.wait({over, fleet}, timeout=VIEW_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
                view = controller.view(self._run_id)
                if view is not None:
                    self._on_view(view)
                if fleet.done() and not over.done():
                    fleet.result()  # its own words, if it has any
                    await asyncio.wait({over}, timeout=JOIN_LIMIT_S)
                    if not over.done():
                        raise FleetFault(
                            "the agent left before the run was over", hint="; ".join(self._log_lines)
                        )
            return over.result()
        finally:
            over.cancel()


async def _leave(agent: Agent, serving: asyncio.Task[int]) -> None:
    agent.drain("the run is over")
    done, _ = await asyncio.wait({serving}, timeout=LEAVE_LIMIT_S)
    if not done:
        serving.cancel()
        await asyncio.wait({serving}, timeout=LEAVE_LIMIT_S)


async def _all_gone(processes: list[subprocess.Popen[bytes]]) -> None:
    """Ends when no agent process is left; the protocol notices each single one."""
    while any(process.poll() is None for process in processes):  # noqa: ASYNC110 - there is no event of N exits
        await asyncio.sleep(0.2)


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(LEAVE_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()
