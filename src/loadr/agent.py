"""The agent: the shell around `AgentCore`: its link, its workers, its files, its signals.

Takes a dialer (gRPC, or the in-memory one of a local run) and gives load at the target and metrics to the
controller. It decides nothing: what happens becomes an event for the core, what it answers is carried out here.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Protocol

from loadr.clock import boottime_ns, unix_ms
from loadr.coordination import agent_io as io
from loadr.coordination.agent import AgentConfig, AgentCore
from loadr.coordination.messages import FaultKind, Ledger, RunEventKind
from loadr.coordination.timing import TIMING, Timing
from loadr.engine import pool_events as pool_io
from loadr.engine.channel import ScenarioLedger
from loadr.engine.pool import WorkerPool
from loadr.engine.pool_events import PoolHealth
from loadr.errors import ArgumentInvalid, ExitCode, LoadrError, PeerRefused
from loadr.masking import NO_SECRETS
from loadr.plan.model import CORPORA_FOLDER, Plan
from loadr.pump import Pump
from loadr.schedule.change import Change
from loadr.schedule.share import ScenarioShare
from loadr.transport.cache import SandboxFault
from loadr.transport.corpora import Corpora
from loadr.transport.link import AgentLink
from loadr.transport.sandbox import Sandbox
from loadr.transport.work_folder import temporary_folder
from loadr.values_desk import Order, ValuesDesk, ValuesPool
from loadr.version import __version__

Logger = Callable[[str, str], None]
"""Takes a level ("info", "warning", "error") and a line of text."""

HEALTH_EVERY_S = 1.0
CLOSE_LIMIT_S = 5.0
QUOTA_BYTES = 256 * 1024 * 1024

ORPHANED = "orphaned"
RENEW_AFTER_S = 1.0
"""An agent that leaves right after a run needs no fresh workers."""

NOTICES = {"script_exception": RunEventKind.SCRIPT_EXCEPTION, "abort": RunEventKind.ABORT_REQUESTED}


class Dialer(Protocol):
    """Opens a link to the controller. Raises `PeerRefused` where trying again is of no use, else `LoadrError`."""

    async def dial(self, timeout_s: float) -> AgentLink: ...


class EnginePool(ValuesPool, Protocol):
    """What carries the load: `loadr.engine.pool.WorkerPool`, or a model of it in tests and benchmarks."""

    async def spawn(self) -> None: ...

    async def renew(self) -> None: ...

    async def close(self) -> None: ...

    def prepare(
        self, run_id: str, plan_json: bytes, files_dir: str, secrets: Mapping[str, str] = NO_SECRETS
    ) -> None: ...

    def arm(self, shares: Sequence[ScenarioShare], plan: Plan) -> None: ...

    def start(self, start_boot_ns: int) -> None: ...

    def reshare(self, shares: Sequence[ScenarioShare], changes: Sequence[Change] = ()) -> None: ...

    def set_lease(self, end_boot_ns: int) -> None: ...

    def stop(self, graceful: bool, cause: str) -> None: ...

    def take_health(self) -> PoolHealth: ...


MakePool = Callable[[int, Callable[[pool_io.PoolEvent], None]], EnginePool]


@dataclass(slots=True)
class _Engine:
    """The run that the workers are on, or were on: each worker serves one run. ``hurry``: somebody waits for
    fresh ones."""

    run_id: str
    generation: int
    plan: Plan | None = None
    closed: bool = False
    lease_end_ns: int = 0
    tears_down: bool = False  # the load is over; fresh workers, of whom one tears down
    hurry: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class AgentSetup:
    """``work_dir`` None: a temporary folder that goes with the agent. ``corpora`` are open already."""

    name: str
    workers: int
    labels: Mapping[str, str] = field(default_factory=dict)
    work_dir: Path | None = None
    corpora: Corpora = field(default_factory=lambda: Corpora({}))
    timing: Timing = TIMING


class Agent:
    """One agent in this process. `run` ends when the core says so, with its exit code."""

    def __init__(self, setup: AgentSetup, dialer: Dialer, log: Logger, make_pool: MakePool = WorkerPool) -> None:

        config = AgentConfig(
            agent_id=setup.name,
            agent_name=setup.name,
            incarnation=token_hex(8),
            software_version=__version__,
            cores=len(os.sched_getaffinity(0)),
            memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
            weight=setup.workers,
            labels=dict(setup.labels),
            corpora=setup.corpora.announced,
        )
        self._core = AgentCore(config, setup.timing)
        self._pump: Pump[io.AgentEvent, io.AgentEffect] = Pump(self._core, self._apply, io.TimePassed)
        self._dialer = dialer
        self._log = log
        self._setup = setup
        self._pool = make_pool(setup.workers, self._on_pool)
        self._pool_ready: asyncio.Task[None] | None = None
        self._sandbox: Sandbox
        self._engine: _Engine | None = None
        self._desks: dict[tuple[str, int], ValuesDesk] = {}  # of parts that are not forgotten
        self._opened: dict[str, set[int]] = {}  # generations of a run that need its sandbox
        self._link: AgentLink | None = None
        self._link_task: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._left: asyncio.Future[int] | None = None
        self._exit_code: int | None = None
        self._told_unreachable = False
        self._loop_lag_ns = 0

    async def run(self) -> int:
        """Serve until told to leave; the exit code. Raises `FleetFault` if the workers can not be started."""
        loop = asyncio.get_running_loop()
        own_dir = None
        work_dir = self._setup.work_dir
        if work_dir is None:
            work_dir = own_dir = temporary_folder()
        health = sandbox = None
        try:
            try:
                self._sandbox = sandbox = Sandbox(work_dir, QUOTA_BYTES)
            except SandboxFault as fault:
                raise ArgumentInvalid(fault.message, hint=fault.hint) from None
            self._left = loop.create_future()
            if self._exit_code is not None:
                return self._exit_code  # told to leave before it began
            self._pool_ready = asyncio.create_task(self._pool.spawn())
            self._keep(self._pool_ready)
            health = asyncio.create_task(self._sample_health())
            self._pump.feed(io.TimePassed())
            # Workers come up while the agent registers; an agent without workers is of no use.
            first: set[asyncio.Future[None] | asyncio.Future[int]] = {self._pool_ready, self._left}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if self._pool_ready.done():
                self._pool_ready.result()
            return await self._left
        finally:
            if health is not None:
                health.cancel()
            await self._close()
            if sandbox is not None:
                sandbox.close()
            if own_dir is not None:
                shutil.rmtree(own_dir, ignore_errors=True)

    def drain(self, reason: str) -> None:
        """Finish what is going on, say goodbye and leave; a second call leaves at once."""
        self._pump.feed(io.DrainRequested(reason))

    async def _close(self) -> None:
        self._pump.close()
        self._setup.corpora.close()
        if self._link_task is not None:
            self._link_task.cancel()
        if self._link is not None:
            self._close_link(self._link, "leaving")
        if self._pool_ready is not None and not self._pool_ready.done():
            self._pool_ready.cancel()  # it is among those that are waited for
        if self._closing:
            await asyncio.wait(self._closing, timeout=CLOSE_LIMIT_S)
        await self._pool.close()

    # --- effects --------------------------------------------------------------------------------------------

    def _apply(self, effect: io.AgentEffect) -> None:
        match effect:
            case io.Send(message):
                if self._link is not None:
                    self._link.send(message)
            case io.SetLease(run_id, generation, end_mono_ns):
                if self._engine is not None and self._is_current(run_id, generation):
                    self._engine.lease_end_ns = end_mono_ns
                    self._pool.set_lease(end_mono_ns)
            case io.Dial(max_delay_ns, timeout_ns):
                self._link_task = asyncio.create_task(self._dial(max_delay_ns, timeout_ns))
            case io.CloseLink(reason):
                if self._link_task is not None:
                    self._link_task.cancel()
                    self._link_task = None
                if self._link is not None:
                    self._close_link(self._link, reason)
            case io.OpenSandbox():
                self._open_sandbox(effect)
            case io.StoreChunk():
                self._store(effect)
            case io.PrepareEngine(run_id, generation, plan_json, secrets):
                self._log("info", f"run {run_id}: preparing")
                order = Order(run_id, generation, plan_json, secrets)
                desk = ValuesDesk(order, self._pool, self._pump.feed, self._tear_down)
                self._desks[run_id, generation] = desk
                self._engage(desk, _Engine(run_id, generation))
            case io.GiveValue(run_id, generation, value):
                self._desks[run_id, generation].give(value)
            case io.ArmEngine(run_id, generation, shares):
                if self._is_current(run_id, generation) and self._engine is not None and self._engine.plan:
                    self._pool.arm(shares, self._engine.plan)
            case io.StartEngine(run_id, generation, start_mono_ns):
                if self._is_current(run_id, generation):
                    self._log("info", f"run {run_id}: load begins")
                    self._pool.start(start_mono_ns)
            case io.ReshareEngine(run_id, generation, shares, changes):
                if self._is_current(run_id, generation):
                    self._pool.reshare(shares, changes)
            case io.StopEngine(run_id, generation, graceful, cause):
                if self._is_current(run_id, generation):
                    self._log("warning" if cause == ORPHANED else "info", f"run {run_id}: {_stop_words(cause)}")
                    self._pool.stop(graceful, cause)
            case io.ForgetRun(run_id, generation):
                self._forget(run_id, generation)
            case io.Leave(exit_code, reason):
                if reason:
                    self._log("info" if exit_code == 0 else "error", reason)
                self._exit_code = exit_code
                if self._left is not None and not self._left.done():
                    self._left.set_result(exit_code)
            case io.Log(level, text):
                self._log(level, text)

    def _engage(self, desk: ValuesDesk, engine: _Engine) -> None:
        """The workers, fresh ones if need be, are to load the plan."""
        if self._engine is not None:
            self._engine.hurry.set()
        self._engine = engine
        self._keep(asyncio.create_task(self._prepare(engine, desk)))

    def _tear_down(self, desk: ValuesDesk) -> None:
        order = desk.order
        self._log("info", f"run {order.run_id}: tearing down")
        self._engage(desk, _Engine(order.run_id, order.generation, tears_down=True))

    def _is_current(self, run_id: str, generation: int) -> bool:
        engine = self._engine
        return engine is not None and engine.run_id == run_id and engine.generation == generation

    def _keep(self, task: asyncio.Task[None]) -> None:
        """asyncio holds tasks weakly."""
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    # --- link -----------------------------------------------------------------------------------------------

    async def _dial(self, max_delay_ns: int, timeout_ns: int) -> None:
        await asyncio.sleep(random.uniform(0, max_delay_ns) / 1e9)
        try:
            link = await self._dialer.dial(timeout_ns / 1e9)
        except PeerRefused as refusal:
            if not refusal.retry:
                self._pump.feed(io.LinkDown(refusal.message))
                hint = f" ({refusal.hint})" if refusal.hint else ""
                self._apply(io.Leave(ExitCode.FLEET_COULD_NOT_START, f"{refusal.message}{hint}"))
                return
            self._unreachable(refusal.message)
            return
        except LoadrError as error:
            self._unreachable(error.message)
            return
        self._told_unreachable = False
        self._link = link
        self._pump.feed(io.LinkUp())
        async for message in link.messages():
            self._pump.feed(io.Received(message))
        if self._link is link:
            self._close_link(link, link.reason)
            self._pump.feed(io.LinkDown(link.reason))

    def _unreachable(self, reason: str) -> None:
        if not self._told_unreachable:
            self._told_unreachable = True
            self._log("warning", f"{reason}; trying again until it answers")
        self._pump.feed(io.LinkDown(reason))

    def _close_link(self, link: AgentLink, reason: str) -> None:
        self._link = None
        self._keep(asyncio.create_task(link.close(reason)))

    # --- files ----------------------------------------------------------------------------------------------

    def _open_sandbox(self, effect: io.OpenSandbox) -> None:
        run_id, generation = effect.run_id, effect.generation
        self._opened.setdefault(run_id, set()).add(generation)
        try:
            missing = self._sandbox.open(run_id, effect.files)
        except SandboxFault as fault:
            self._pump.feed(io.SandboxFailed(run_id, generation, fault.kind, _in_one_line(fault)))
            return
        if missing:
            self._pump.feed(io.SandboxMissing(run_id, generation, tuple(missing)))
        else:
            self._pump.feed(io.SandboxReady(run_id, generation))

    def _store(self, effect: io.StoreChunk) -> None:
        chunk = effect.chunk
        try:
            progress = self._sandbox.store(chunk)
        except SandboxFault as fault:
            generation = max(self._opened.get(chunk.run_id, {0}))
            self._pump.feed(io.SandboxFailed(chunk.run_id, generation, fault.kind, _in_one_line(fault)))
            return
        self._pump.feed(io.ChunkStored(chunk.run_id, chunk.digest, progress.next_offset, progress.complete))

    # --- engine ---------------------------------------------------------------------------------------------

    async def _prepare(self, engine: _Engine, desk: ValuesDesk) -> None:
        fault, detail = FaultKind.NONE, ""
        try:
            if self._pool_ready is not None:
                await asyncio.shield(self._pool_ready)
            plan = desk.plan = Plan.from_json(desk.order.plan_json)
            if faults := await asyncio.to_thread(self._setup.corpora.faults, plan):
                fault, detail = FaultKind.CORPUS, "; ".join(faults)
            elif engine is self._engine and not engine.closed:
                engine.plan = plan
                for name in plan.corpora:
                    path = self._setup.corpora.path(name)
                    self._sandbox.link(engine.run_id, f"{CORPORA_FOLDER}/{name}", path)
        except SandboxFault as error:
            fault, detail = error.kind, _in_one_line(error)
        except LoadrError as error:
            fault, detail = FaultKind.WORKER, error.message
        except ValueError as error:
            fault, detail = FaultKind.PLAN, f"the plan that was sent is not valid here: {error}"
        if engine is not self._engine or engine.closed:
            return
        if fault:
            self._loaded(engine, fault, detail)
            return
        folder = str(self._sandbox.folder(engine.run_id))
        self._pool.prepare(engine.run_id, desk.order.plan_json, folder, desk.order.secrets)
        if engine.lease_end_ns:
            self._pool.set_lease(engine.lease_end_ns)

    def _loaded(self, engine: _Engine, fault: FaultKind, detail: str) -> None:
        """The workers have loaded the plan, or could not."""
        desk = self._desks.get((engine.run_id, engine.generation))
        if desk is None:
            return
        if engine.tears_down and fault:
            desk.failed("teardown", fault, detail)
        elif engine.tears_down:
            desk.begin_teardown()
        elif fault:
            self._pump.feed(io.EnginePrepared(engine.run_id, engine.generation, fault, detail))
        else:
            desk.loaded()

    def _forget(self, run_id: str, generation: int) -> None:
        self._desks.pop((run_id, generation), None)
        opened = self._opened.get(run_id, set())
        opened.discard(generation)
        if not opened:
            self._opened.pop(run_id, None)
            self._sandbox.forget(run_id)
        if self._engine is not None and self._is_current(run_id, generation):
            self._retire(self._engine)

    def _retire(self, engine: _Engine) -> None:
        """The workers have done their run, or are not needed for it any more: fresh ones come up, a moment later
        if nobody waits for them."""
        if engine.closed or self._left is None or self._left.done():
            return
        engine.closed = True
        self._pool_ready = asyncio.create_task(self._renew(engine, self._pool_ready))
        self._keep(self._pool_ready)

    async def _renew(self, engine: _Engine, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        try:
            await asyncio.wait_for(engine.hurry.wait(), RENEW_AFTER_S)
        except TimeoutError:
            pass
        await self._pool.renew()

    def _on_pool(self, event: pool_io.PoolEvent) -> None:
        engine = self._engine
        if engine is None:
            return
        run = (engine.run_id, engine.generation)
        desk = self._desks.get(run)
        match event:
            case pool_io.PoolAround():
                if desk is not None:
                    desk.done(event)
            case pool_io.PoolClaim():
                if desk is not None:
                    desk.asked(event)
            case pool_io.PoolInterval(delta):
                self._pump.feed(io.EngineInterval(*run, delta))
            case pool_io.PoolPrepared(fault, detail):
                self._loaded(engine, FaultKind(fault), detail)
            case pool_io.PoolArmed(fault, detail):
                self._pump.feed(io.EngineArmed(*run, FaultKind(fault), detail))
            case pool_io.PoolStarted(start_error_ns):
                self._pump.feed(io.EngineStarted(*run, start_error_ns))
            case pool_io.PoolWorkerLost():
                text = f"worker {event.worker} (pid {event.pid}) {event.how}"
                unreported = tuple(map(_ledger, event.unreported))
                self._pump.feed(io.EngineEvent(*run, RunEventKind.WORKER_LOST, text, unreported))
            case pool_io.PoolNotice(kind, detail):
                self._pump.feed(io.EngineEvent(*run, NOTICES[kind], detail))
            case pool_io.PoolFinished(ledgers, cause):
                self._pump.feed(io.EngineFinished(*run, tuple(map(_ledger, ledgers)), cause))
                self._retire(engine)
                if desk is not None and not engine.tears_down:
                    desk.finished()

    # --- health ---------------------------------------------------------------------------------------------

    async def _sample_health(self) -> None:
        due_ns = boottime_ns()
        while True:
            await asyncio.sleep(HEALTH_EVERY_S)
            now_ns = boottime_ns()
            lag_ns = max(0, now_ns - due_ns - int(HEALTH_EVERY_S * 1e9))
            due_ns = now_ns
            pool = self._pool.take_health()
            self._pump.feed(
                io.HealthSampled(
                    cpu_percent=pool.cpu_percent,
                    memory_bytes=pool.rss_bytes + own_rss_bytes(),
                    loop_lag_ns=max(lag_ns, pool.loop_lag_ns),
                    dispatch_lag_p99_ns=pool.lag_p99_ns,
                    queue_depth=0,
                    vus=pool.vus,
                    wall_unix_ms=unix_ms(),
                )
            )


def _in_one_line(fault: LoadrError) -> str:
    """What happened and what to do about it."""
    return f"{fault.message} ({fault.hint})" if fault.hint else fault.message


def _ledger(own: ScenarioLedger) -> Ledger:
    return Ledger(
        scenario=own.scenario,
        planned=own.planned,
        started=own.started,
        finished=own.finished,
        interrupted=own.interrupted,
        dropped=own.dropped,
        missed=own.missed,
        requests=own.requests,
        lost=own.lost,
    )


def _stop_words(cause: str) -> str:
    if cause == ORPHANED:
        return "orphaned: the lease ended without word from the controller, and so does the load"
    return f"load ends: {cause}" if cause else "load ends"


def own_rss_bytes() -> int:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


async def open_corpora(corpora: Corpora, tell: Callable[[str], None]) -> Corpora:
    """Open them in a thread; when this is cancelled, its reading ends soon. Raises as `Corpora.open`."""
    try:
        await asyncio.to_thread(corpora.open, tell)
    except BaseException:
        corpora.close()
        raise
    return corpora
