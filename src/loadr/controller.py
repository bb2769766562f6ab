"""The controller: the shell around `ControllerCore`: links of agents, runs that people submit, files.

Takes links (gRPC or in memory) and plans, gives live views and summaries. It decides nothing about the protocol:
what happens becomes an event for the core, what the core answers is carried out here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from secrets import token_hex
from typing import Any

from loadr.clock import boottime_ns, unix_ms
from loadr.coordination import controller_io as io
from loadr.coordination.controller import ControllerConfig, ControllerCore
from loadr.coordination.messages import Goodbye, Metrics, RunEvent
from loadr.coordination.timing import TIMING, Timing
from loadr.coordination.views import AgentState
from loadr.errors import ArgumentInvalid, FleetFault, InternalFault, LoadrError
from loadr.lane import Lane
from loadr.masking import NO_SECRETS, Secrets
from loadr.metrics.merge import RunMetrics
from loadr.plan.model import Plan
from loadr.plan.usage import secrets_of
from loadr.pump import Pump
from loadr.schedule.change import Change, ChangeKind
from loadr.tracker import RunTracker
from loadr.transport.filestore import FileStore
from loadr.transport.link import ControllerLink
from loadr.transport.tokens import TokenReader
from loadr.units import NS_PER_S
from loadr.verdict.model import LiveView, Summary

Logger = Callable[[str, str], None]
LOOK_EVERY_S = 0.25
HERE = (AgentState.REGISTERED, AgentState.ONLINE)
SLOW = (Metrics, RunEvent, Goodbye)
"""What may wait for its turn: measurements, and what must not overtake them."""
KEEP_RUNS = 20
"""Ended runs whose summaries are kept for those who ask; older ones are forgotten. Only of the last one, until
another begins, all that was merged is kept, too."""


class Controller:
    """One controller in this process. `open` it, `accept` links, `submit` runs, `close` it."""

    def __init__(self, log: Logger, timing: Timing = TIMING, tokens: TokenReader | None = None) -> None:
        self.controller_id = token_hex(8)
        self.core = ControllerCore(ControllerConfig(self.controller_id), timing)
        self._pump: Pump[io.ControllerEvent, io.ControllerEffect] = Pump(
            self.core, self._apply, lambda: io.TimePassed(unix_ms())
        )
        self._lane: Lane[io.ControllerEvent] = Lane(self._pump.feed)
        self._log = log
        self._tokens = tokens
        self._links: dict[int, ControllerLink] = {}
        self._last_link = 0
        self._trackers: dict[str, RunTracker] = {}
        self._stores: dict[str, FileStore] = {}
        self._refused: dict[str, str] = {}
        self._answer: io.ChangeAccepted | io.ChangeRefused | None = None  # to the change that is being asked for
        self._tasks: set[asyncio.Task[Any]] = set()
        self._watcher: asyncio.Task[None] | None = None
        self._told_states: dict[str, AgentState] = {}

    def open(self) -> None:
        """Begin to look after runs; needs a running event loop."""
        self._watcher = asyncio.create_task(self._look())
        if self._tokens is not None:
            self._pump.feed(io.TokensLoaded(self._tokens.tokens, unix_ms()))

    async def close(self) -> None:
        """Close all links and end all tasks of this controller."""
        if self._watcher is not None:
            self._watcher.cancel()
        links, self._links = list(self._links.values()), {}
        await asyncio.gather(*(link.close("the controller is closing") for link in links), return_exceptions=True)
        self._lane.close()
        self._pump.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    # --- links ----------------------------------------------------------------------------------------------

    async def accept(self, link: ControllerLink) -> None:
        """Serve one link until it ends."""
        if self._tokens is not None and self._tokens.look():
            self._pump.feed(io.TokensLoaded(self._tokens.tokens, unix_ms()))
        self._last_link += 1
        number = self._last_link
        self._links[number] = link
        self._pump.feed(io.LinkOpened(number, link.peer, link.identities, link.loopback))
        try:
            async for message in link.messages():
                if isinstance(message, SLOW):
                    await self._lane.put(number, io.Received(number, message))
                else:
                    self._pump.feed(io.Received(number, message))
        finally:
            if self._links.pop(number, None) is not None:
                await self._lane.put(number, io.LinkClosed(number, link.reason))

    # --- runs -----------------------------------------------------------------------------------------------

    def submit(
        self,
        plan: Plan,
        files: FileStore,
        *,
        expect_agents: int = 1,
        labels: Mapping[str, str] | None = None,
        wait_s: float | None = None,
        secrets: Secrets = NO_SECRETS,
    ) -> str:
        """Begin a run; its id. ``expect_agents`` 0: on those that are here, and not without any. Only agents with
        all of ``labels`` count; so many are waited for ``wait_s`` at most.

        Raises `FleetFault` when another one is going on, or when nobody is here, and `ArgumentInvalid` without
        the secrets that the plan uses.
        """
        labels = dict(labels or {})
        wait_ns = None if wait_s is None else round(wait_s * NS_PER_S)
        here = [agent for agent in self.core.agents.values() if agent.state in HERE]
        if not expect_agents and not here:
            raise FleetFault(
                "no agent has joined this controller", hint="start one: loadr agent --join HOST:PORT"
            )
        if not expect_agents and not any(labels.items() <= agent.labels.items() for agent in here):
            wanted = " ".join(f"{key}={value}" for key, value in labels.items())
            raise FleetFault(
                f"none of the {len(here)} agents here has the labels {wanted}",
                hint="start one: loadr agent --join HOST:PORT --label KEY=VALUE; see who is here: loadr status",
            )
        lacking = [name for name in secrets_of(plan) if name not in secrets]
        if lacking:
            raise ArgumentInvalid(
                f"the plan uses secret.{lacking[0]}, and no value came with it",
                hint=f"export LOADR_SECRET_{lacking[0]} where `loadr run` is started",
            )
        run_id = f"{plan.name[:40].strip().replace(' ', '-')}-{token_hex(3)}"
        tracker = RunTracker(run_id, plan)
        self._trackers[run_id] = tracker
        self._stores[run_id] = files
        request = io.RunRequest(run_id, plan, files.manifest(), expect_agents, labels, wait_ns, secrets)
        self._pump.feed(io.RunSubmitted(request, unix_ms()))
        refusal = self._refused.pop(run_id, None)
        if refusal is not None:
            del self._trackers[run_id], self._stores[run_id]
            raise FleetFault(refusal, hint="wait until it ends, or stop it")
        self._forget_old_runs()
        return run_id

    def stop(self, run_id: str, *, graceful: bool, cause: str = "stopped by the operator") -> None:
        """Stop a run: iterations may finish, or are interrupted at once. Unknown or ended: nothing happens."""
        self._pump.feed(io.StopRequested(run_id, cause, io.StoppedBy.OPERATOR, graceful))

    def change(self, run_id: str, kind: ChangeKind, scenario: str, value: str) -> tuple[Change, int]:
        """Pause, resume, scale or set the rate of a run; the change, and in how many ns all agents apply it.

        Raises `FleetFault` (as things stand it can not be) or `ArgumentInvalid`, in words for the operator.
        """
        self._answer = None
        self._pump.feed(io.ChangeRequested(run_id, kind, scenario, value))
        match self._answer:
            case io.ChangeAccepted(_, change, in_ns):
                self._log("info", f"run {run_id}: {kind.name.lower()} {value}".rstrip())
                return change, in_ns
            case io.ChangeRefused(_, io.Refusal.INVALID, detail, hint):
                raise FleetFault(detail, hint=hint)
            case io.ChangeRefused(_, _, detail, hint):
                raise FleetFault(detail, hint=hint or "see: loadr status")
        raise InternalFault(f"the core gave no answer to a change of run {run_id}")

    def view(self, run_id: str) -> LiveView | None:
        """The live view of a run, also after its end."""
        tracker = self._trackers.get(run_id)
        return tracker.view() if tracker else None

    def summary(self, run_id: str) -> Summary | None:
        """The summary of a run that is over."""
        tracker = self._trackers.get(run_id)
        return tracker.summary if tracker else None

    def metrics(self, run_id: str) -> RunMetrics | None:
        """What was merged of a run so far; to be read only. None once it is over and another one has begun."""
        tracker = self._trackers.get(run_id)
        return tracker.record.metrics if tracker and tracker.has_metrics else None

    @property
    def run_ids(self) -> Sequence[str]:
        """Known runs, oldest first."""
        return tuple(self._trackers)

    async def wait(self, run_id: str) -> Summary:
        """The summary, once the run is over."""
        tracker = self._trackers[run_id]
        await tracker.over.wait()
        if tracker.summary is None:
            raise InternalFault(f"run {run_id} is over and has no summary")
        return tracker.summary

    def _forget_old_runs(self) -> None:
        ended = [run_id for run_id, tracker in self._trackers.items() if tracker.over.is_set()]
        for run_id in ended[:-KEEP_RUNS]:
            del self._trackers[run_id]
        for run_id in ended[-KEEP_RUNS:]:
            self._trackers[run_id].let_go()

    async def _look(self) -> None:
        """Take over the core's state for the live view, and judge thresholds, a few times a second."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self._update_current()

    def _update_current(self) -> None:
        run = self.core.current_run
        tracker = self._trackers.get(run.run_id) if run else None
        if run is None or tracker is None:
            return
        failing = tracker.update(run, dict(self.core.agents), boottime_ns())
        if failing:
            self._pump.feed(
                io.StopRequested(
                    run.run_id, f"threshold failed: {failing}", io.StoppedBy.THRESHOLD, graceful=True
                )
            )

    # --- effects --------------------------------------------------------------------------------------------

    def _apply(self, effect: io.ControllerEffect) -> None:
        match effect:
            case io.Send(number, message):
                link = self._links.get(number)
                if link is not None:
                    link.send(message)
            case io.Merge(run_id):
                tracker = self._trackers.get(run_id)
                if tracker is not None:
                    tracker.merge(effect)
            case io.CloseLink(number, reason):
                link = self._links.pop(number, None)
                if link is not None:
                    self._spawn(link.close(reason))
            case io.SendFile(number, request):
                link = self._links.get(number)
                store = self._stores.get(request.run_id)
                if link is not None and store is not None:
                    for chunk in store.chunks(request):
                        link.send(chunk)
            case io.TokenUsed(token_id, agent_id, incarnation):
                self._keep_use(token_id, agent_id, incarnation)
            case io.AgentChanged(agent_id):
                self._tell_of_agent(agent_id)
            case io.RunChanged(run_id, state, _):
                self._log("info", f"run {run_id}: {state.value}")
            case io.RunRefused(run_id, _, detail):
                self._refused[run_id] = detail
            case io.ChangeAccepted() | io.ChangeRefused():
                self._answer = effect
            case io.RunEnded(run_id):
                self._spawn(self._finish(run_id))
            case io.Log(level, text):
                self._log(level, text)

    def _keep_use(self, token_id: str, agent_id: str, incarnation: str) -> None:
        if self._tokens is None:
            return
        try:
            self._tokens.store.record_use(token_id, agent_id, incarnation)
        except LoadrError as fault:
            self._log("error", f"the use of token {token_id} is known to this process only: {fault.message}")

    def _tell_of_agent(self, agent_id: str) -> None:
        """One line for people each time that an agent's state changes in a way that matters to them."""
        agent = self.core.agents.get(agent_id)
        if agent is None or self._told_states.get(agent_id) is agent.state:
            return
        before, self._told_states[agent_id] = self._told_states.get(agent_id), agent.state
        if agent.state is AgentState.ONLINE and before is AgentState.SUSPECT:
            self._log("info", f"agent {agent.name} is back")
        elif agent.state is AgentState.ONLINE:
            plural = "s" if agent.weight != 1 else ""
            self._log("info", f"agent {agent.name} joined from {agent.peer} with {agent.weight} worker{plural}")

    async def _finish(self, run_id: str) -> None:
        run = self.core.run(run_id)
        tracker = self._trackers.get(run_id)
        self._stores.pop(run_id, None)
        if run is None or tracker is None:
            return
        tracker.update(run, dict(self.core.agents), boottime_ns())
        await tracker.finish(run)

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
