"""The pool: the worker processes of one agent, from the agent's side.

Takes orders for the whole agent (prepare, arm, start, stop) and gives `PoolEvent`s to one function, on the
agent's event loop. Every wait has a limit; a worker that dies, falls silent or does not end in time is
reported by name and never waited for. Workers are spawned ahead and serve one run each: `renew` after a run
gives fresh ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from loadr.clock import boottime_ns
from loadr.engine.books import ledger_of, sum_ledgers
from loadr.engine.channel import (
    ArmOrder,
    AroundOrder,
    ExitOrder,
    PrepareOrder,
    ReportMessage,
    ReshareOrder,
    ScenarioLedger,
    SetupOrder,
    ShareOrder,
    StartOrder,
    StopOrder,
    ValueOrder,
    WorkerArmed,
    WorkerAround,
    WorkerClaim,
    WorkerDone,
    WorkerEvent,
    WorkerPrepared,
    WorkerReady,
    WorkerSecond,
    WorkerStarted,
)
from loadr.engine.faults import Fault
from loadr.engine.holding import Holding
from loadr.engine.member import Member, Round
from loadr.engine.page import ALIVE_AT, LEASE_END, REVISION, block_of
from loadr.engine.pool_events import (
    PoolArmed,
    PoolAround,
    PoolClaim,
    PoolEvent,
    PoolFinished,
    PoolHealth,
    PoolInterval,
    PoolNotice,
    PoolPrepared,
    PoolStarted,
    PoolWorkerLost,
)
from loadr.engine.process import WorkerProcess
from loadr.engine.sparse import interval_of
from loadr.errors import FleetFault
from loadr.masking import NO_SECRETS
from loadr.metrics.series import Kind, SeriesKey
from loadr.plan.model import Plan
from loadr.schedule.change import NEVER_RUN_NS, Change
from loadr.schedule.share import ScenarioShare
from loadr.units import NS_PER_MS, NS_PER_S

READY_LIMIT_S = 20.0
PREPARE_LIMIT_S = 60.0
ARM_LIMIT_S = 10.0
START_LIMIT_S = 10.0
END_GRACE_S = 5.0
"""How long after a scenario's graceful stop a worker may take to say that it is done; then it is killed."""
EXIT_LIMIT_S = 1.0
KILL_LIMIT_S = 5.0
WATCH_EVERY_S = 1.0
FROZEN_TURNS = 5
"""A worker whose page does not move for so many turns of the watch is killed. Counted in turns of the agent's
own timer and not by the clock, so that an agent that was frozen with its workers does not blame them."""
TAKE_OVER_NS = 50 * NS_PER_MS
"""How long after a worker's death the others have its share: by then they know. What is planned in between is
nobody's."""


class WorkerPool:
    """``workers`` processes (≥ 1). Methods are called on one event loop, in the main thread.

    Order of a run: `prepare` → PoolPrepared (→ `around` → PoolAround, `share_setup`) → `arm` → PoolArmed →
    `set_lease` (and again and again) → `start` → PoolStarted, PoolInterval …, PoolFinished → `renew`. `reshare`
    may come at any time after `arm`; `stop` and `kill` at any time after `prepare`, and they always lead to
    PoolFinished.
    """

    def __init__(self, workers: int, on_event: Callable[[PoolEvent], None]) -> None:
        if workers < 1:
            raise ValueError("a pool has at least one worker")
        self.workers = workers
        self._on_event = on_event
        self._members: list[Member] = []
        self._in_run = False
        self._holding: Holding | None = None
        self._start_ns: int | None = None
        self._stopping = False
        self._killed = False
        self._round: Round | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._revision = 0
        self._around: tuple[str, Member] | None = None  # what is carried out, and by whom

    @property
    def pids(self) -> tuple[int, ...]:
        """The worker processes, by index."""
        return tuple(member.process.pid for member in self._members)

    # --- life of the processes ------------------------------------------------------------------------------

    async def spawn(self) -> None:
        """Start the workers and wait until they are up.

        Raises `FleetFault` if one is not up within 20 s, or dies; then none is left.
        """
        self._members = [
            Member(WorkerProcess(index, self._on_report, self._on_exit)) for index in range(self.workers)
        ]
        try:
            for member in self._members:
                await member.process.spawn()
            async with asyncio.timeout(READY_LIMIT_S):
                for member in self._members:
                    await member.ready.wait()
                    if member.lost:
                        raise FleetFault(f"{member.name} {member.process.how_ended} while it came up")
        except TimeoutError:
            await self._end_all()
            raise FleetFault(f"the workers were not up within {READY_LIMIT_S:.0f} s") from None
        except BaseException:
            await self._end_all()
            raise

    async def renew(self) -> None:
        """End the workers of the run that is over and spawn fresh ones. Raises as `spawn` does."""
        await self._end_all()
        await self.spawn()

    async def close(self) -> None:
        """End all workers. No event comes afterwards."""
        await self._end_all()

    def kill(self) -> None:
        """End all load now, by SIGKILL. PoolFinished(cause="killed") follows, with ledgers that say what was in
        flight, once no process is left."""
        self._killed = self._stopping = True
        for member in self._members:
            member.process.kill("asked to")
        self._set_deadline(KILL_LIMIT_S)
        self._finish_if_all_done("killed")

    async def _end_all(self) -> None:
        self._leave_run()
        members, self._members = self._members, []
        for member in members:
            member.process.send(ExitOrder())
        for limit_s in (EXIT_LIMIT_S, KILL_LIMIT_S):
            waits = [m.process.gone.wait() for m in members if m.process.pid]
            try:
                async with asyncio.timeout(limit_s):
                    await asyncio.gather(*waits)
            except TimeoutError:
                for member in members:
                    member.process.kill()
        for member in members:
            member.process.close()

    # --- orders of a run ------------------------------------------------------------------------------------

    def prepare(
        self, run_id: str, plan_json: bytes, files_dir: str, secrets: Mapping[str, str] = NO_SECRETS
    ) -> None:
        """Have every worker load the plan; its files stand under ``files_dir``. PoolPrepared follows."""
        self._in_run, self._stopping, self._killed = True, False, False
        self._around = None
        self._holding = self._start_ns = None

        def over(answers: list[ReportMessage], silent: list[Member]) -> None:
            self._on_event(PoolPrepared(*self._fault_of(answers, silent, "load the plan", PREPARE_LIMIT_S)))

        self._begin_round(PREPARE_LIMIT_S, over)
        for member in self._members:
            order = PrepareOrder(
                run_id=run_id,
                plan_json=plan_json,
                files_dir=files_dir,
                worker=member.process.index,
                secrets=dict(secrets),
            )
            member.process.send(order)
        self._answer_for_the_dead()

    def around(self, what: str, data: bytes = b"") -> None:
        """Have the first worker that lives carry out "setup" or "teardown", after `prepare`. PoolAround follows.
        ``data``: what setup returned."""
        living = [member for member in self._members if not member.lost]
        if not living:
            self._on_event(PoolAround(what, Fault.WORKER, "no worker was left"))
            return
        self._around = what, living[0]
        living[0].process.send(AroundOrder(what, data))

    def share_setup(self, data: bytes) -> None:
        """Tell all workers what setup returned, before `arm`."""
        for member in self._members:
            member.process.send(SetupOrder(data))

    def give(self, worker: int, value: ValueOrder) -> None:
        """Answer a PoolClaim of that worker."""
        for member in self._members:
            if member.process.index == worker:
                member.process.send(value)

    def arm(self, shares: Sequence[ScenarioShare], plan: Plan, changes: Sequence[Change] = ()) -> None:
        """Deal this agent's shares, of a run with these changes, to the workers. PoolArmed follows.

        Shares may be empty, or hold from a later instant on only.
        """
        holding = self._holding = Holding(plan)
        holding.follow(changes)

        def over(answers: list[ReportMessage], silent: list[Member]) -> None:
            self._on_event(PoolArmed(*self._fault_of(answers, silent, "take its share", ARM_LIMIT_S)))

        self._begin_round(ARM_LIMIT_S, over)
        for worker, orders in holding.deal(shares, self._living()).items():
            self._members[worker].process.send(ArmOrder(orders, list(changes)))
        self._answer_for_the_dead()

    def set_lease(self, end_boot_ns: int) -> None:
        """Nothing is dispatched at or after this instant of CLOCK_BOOTTIME, on any worker, from now on."""
        for member in self._members:
            member.process.page.words[LEASE_END] = end_boot_ns

    def start(self, start_boot_ns: int) -> None:
        """Begin at this instant, or at once if it is past. PoolStarted follows once every worker has begun."""
        self._start_ns = start_boot_ns
        wait_s = max(0, start_boot_ns - boottime_ns()) / 1e9
        self._begin_round(wait_s + START_LIMIT_S, self._started)
        for member in self._members:
            member.process.send(StartOrder(start_boot_ns=start_boot_ns))
        self._expect_end()
        if self._watch is None:
            self._watch = asyncio.get_running_loop().call_later(WATCH_EVERY_S, self._watch_frozen)
        self._answer_for_the_dead()

    def reshare(self, shares: Sequence[ScenarioShare], changes: Sequence[Change] = ()) -> None:
        """The agent's whole share, from each ``from_run_ns`` on, and all changes of the run so far.

        What holds from an instant that is past holds from now on: nothing is started twice, nothing made up for.
        """
        if self._holding is None or not self._in_run:
            return
        self._holding.follow(changes)
        self._announce_revision()
        # Whoever has not read this revision's order starts nothing more, so all that was started was planned
        # before this instant, and from it on slots can go from worker to worker.
        now_run_ns = max(self._run_ns(), 0)
        self._send_shares(self._holding.deal(shares, self._living(), now_run_ns))
        self._expect_end()

    def stop(self, graceful: bool, cause: str) -> None:
        """Start nothing more. ``graceful`` waits for iterations within each scenario's graceful stop."""
        self._stopping = True
        for member in self._members:
            member.process.send(StopOrder(graceful=graceful, cause=cause))
        graceful_ns = 0
        if graceful and self._holding is not None:
            graceful_ns = max(s.graceful_stop_ns for s in self._holding.plan.scenarios.values())
        self._set_deadline(graceful_ns / 1e9 + END_GRACE_S)
        self._finish_if_all_done(cause)

    def take_health(self) -> PoolHealth:
        """Of the last second of each worker that is not lost; zeros while none has begun. The lags are the worst
        since the last call: the short last second of a run must not hide the one before it."""
        heard = [m for m in self._members if m.last is not None and (m.done or not m.lost)]
        lasts = [m.last for m in heard if m.last is not None]
        if not lasts:
            return PoolHealth()
        lags = [member.take_worst_lags() for member in heard]
        wall_ns = sum(last.wall_ns for last in lasts)
        return PoolHealth(
            cpu_percent=min(100.0, 100.0 * sum(last.cpu_ns for last in lasts) / wall_ns) if wall_ns else 0.0,
            rss_bytes=sum(last.rss_bytes for last in lasts),
            loop_lag_ns=max(loop_ns for loop_ns, _ in lags),
            lag_p99_ns=max(p99_ns for _, p99_ns in lags),
            vus=sum(last.vus for last in lasts),
        )

    # --- shares ---------------------------------------------------------------------------------------------

    def _living(self) -> list[int]:
        return [m.process.index for m in self._members if m.done is None and not m.lost]

    def _run_ns(self) -> int:
        """Now, on the run's timeline; 0 while its start is not known."""
        return 0 if self._start_ns is None else boottime_ns() - self._start_ns

    def _announce_revision(self) -> None:
        self._revision += 1
        for member in self._members:
            member.process.page.words[REVISION] = self._revision

    def _send_shares(self, orders: dict[int, list[ShareOrder]]) -> None:
        assert self._holding is not None
        for worker, shares in orders.items():
            order = ReshareOrder(shares, list(self._holding.changes), self._revision)
            self._members[worker].process.send(order)

    def _share_of_the_dead(self) -> None:
        """Somebody died: those who live have all of the agent's share from soon on."""
        if self._holding is None or not self._in_run or self._stopping:
            return
        self._announce_revision()
        soon_ns = max(self._run_ns() + TAKE_OVER_NS, 0) if self._start_ns is not None else 0
        self._send_shares(self._holding.deal_again(self._living(), soon_ns))

    # --- rounds, deadlines ----------------------------------------------------------------------------------

    def _begin_round(self, limit_s: float, on_over: Callable[[list[ReportMessage], list[Member]], None]) -> None:
        if self._round is not None:
            self._round.cancel()
        self._round = Round(self._members, limit_s, on_over)

    def _answer(self, member: Member, report: ReportMessage | None) -> None:
        if self._round is not None:
            self._round.answer(member, report)

    def _answer_for_the_dead(self) -> None:
        for member in self._members:
            if member.lost:
                self._answer(member, None)

    def _fault_of(
        self, answers: list[ReportMessage], silent: list[Member], what: str, limit_s: float
    ) -> tuple[int, str]:
        for answer in answers:
            if isinstance(answer, WorkerPrepared | WorkerArmed) and answer.fault:
                return answer.fault, answer.detail
        for member in silent:
            if member.lost:
                return Fault.WORKER, f"{member.name} {member.process.how_ended}"
            return Fault.TIMEOUT, f"{member.name} did not {what} within {limit_s:.0f} s"
        return Fault.NONE, ""

    def _started(self, answers: list[ReportMessage], silent: list[Member]) -> None:
        for member in silent:
            member.process.kill(f"it did not begin within {START_LIMIT_S:.0f} s of the start")
        errors = [answer.start_error_ns for answer in answers if isinstance(answer, WorkerStarted)]
        if errors:
            self._on_event(PoolStarted(max(errors, key=abs)))

    def _expect_end(self) -> None:
        """The deadline follows the plan and the changes of the run: none while it is paused."""
        if self._holding is None or self._start_ns is None or self._stopping:
            return
        end_run_ns = self._holding.end_run_ns
        if end_run_ns < NEVER_RUN_NS:
            self._set_deadline(max(end_run_ns - self._run_ns(), 0) / NS_PER_S + END_GRACE_S)
        elif self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _set_deadline(self, delay_s: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(delay_s, self._deadline_reached)

    def _deadline_reached(self) -> None:
        self._deadline = None
        if self._killed:
            self._finish("killed")
        for member in self._members:
            if member.done is None:
                member.process.kill("it did not end in time")

    def _watch_frozen(self) -> None:
        self._watch = asyncio.get_running_loop().call_later(WATCH_EVERY_S, self._watch_frozen)
        for member in self._members:
            alive_at = member.process.page.words[ALIVE_AT]
            moved = alive_at != member.alive_at or member.done is not None
            member.still_turns = 0 if moved else member.still_turns + 1
            member.alive_at = alive_at
            if member.still_turns >= FROZEN_TURNS:
                member.process.kill("it was frozen")

    # --- what workers say -----------------------------------------------------------------------------------

    def _on_report(self, process: WorkerProcess, report: ReportMessage) -> None:
        member = self._member_of(process)
        if member is None:
            return
        match report:
            case WorkerReady():
                member.ready.set()
            case WorkerPrepared() | WorkerArmed() | WorkerStarted():
                self._answer(member, report)
            case WorkerSecond():
                self._take_second(member, report)
            case WorkerAround():
                self._around = None
                done = report
                self._on_event(PoolAround(done.what, done.fault, done.detail, done.result, done.requests))
            case WorkerClaim():
                self._on_event(PoolClaim(process.index, report))
            case WorkerEvent():
                self._on_event(PoolNotice(report.kind, report.detail))
            case WorkerDone():
                member.done = report
                self._finish_if_all_done(report.cause)

    def _take_second(self, member: Member, report: WorkerSecond) -> None:
        member.take(report)
        try:
            for new in report.new_series:
                member.series[new.id] = SeriesKey(new.metric, Kind(new.kind), tuple(new.tags))
            intervals = [interval_of(slice_, member.series) for slice_ in report.slices]
        except (KeyError, ValueError) as error:
            member.process.kill(f"it sent a second that can not be: {error}")
            return
        for interval in intervals:
            member.reported.add(interval)
            self._on_event(PoolInterval(interval))

    def _on_exit(self, process: WorkerProcess, how: str) -> None:
        member = self._member_of(process)
        if member is None:
            return
        member.ready.set()
        if self._around is not None and self._around[1] is member:
            what, self._around = self._around[0], None
            self._on_event(PoolAround(what, Fault.WORKER, f"{member.name} {how}"))
        if self._in_run and member.done is None:
            member.ledgers = self._page_of(process)
            if not self._killed:
                unreported = member.reported.missing_from(member.ledgers)
                self._on_event(PoolWorkerLost(process.index, process.pid, how, member.ledgers, unreported))
                self._share_of_the_dead()
        self._answer(member, None)
        self._finish_if_all_done("workers lost")

    def _page_of(self, process: WorkerProcess) -> tuple[ScenarioLedger, ...]:
        """The ledgers of a worker that writes no more."""
        if self._holding is None:
            return ()
        words = process.page.words
        scenarios = enumerate(self._holding.plan.scenarios)
        return tuple(ledger_of(name, block_of(words, index)) for index, name in scenarios)

    def _member_of(self, process: WorkerProcess) -> Member | None:
        """None for a process of an earlier run."""
        return next((member for member in self._members if member.process is process), None)

    def _finish_if_all_done(self, cause: str) -> None:
        if all(member.done is not None or member.lost for member in self._members):
            causes = [member.done.cause for member in self._members if member.done is not None]
            if self._killed:
                self._finish("killed")
            else:
                self._finish(next((c for c in causes if c), "") if causes else cause)

    def _finish(self, cause: str) -> None:
        if not self._in_run:
            return
        self._leave_run()
        books = (member.ledgers if member.done is None else member.done.ledgers for member in self._members)
        self._on_event(PoolFinished(sum_ledgers(books), cause))

    def _leave_run(self) -> None:
        self._in_run = False
        for timer in (self._deadline, self._watch):
            if timer is not None:
                timer.cancel()
        self._deadline = self._watch = None
        if self._round is not None:
            self._round.cancel()
            self._round = None
