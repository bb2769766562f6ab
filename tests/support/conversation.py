"""Conversations: cores of agents and a controller that talk to each other at once; tests move the clock.

There is no delay and no thread: a message is delivered before the next one is sent. Engines and sandboxes answer
by themselves as long as a test does not take that over (``engine=False``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from loadr.coordination import agent_io, controller_io
from loadr.coordination.agent import AgentConfig, AgentCore
from loadr.coordination.controller import ControllerConfig, ControllerCore
from loadr.coordination.messages import Ledger, ManifestFile
from loadr.coordination.views import RunView
from loadr.metrics.delta import CounterDelta, IntervalDelta
from loadr.metrics.series import Kind, series
from loadr.plan.model import Plan
from loadr.schedule.change import ChangeKind
from loadr.schedule.ownership import from_bitmap
from loadr.schedule.share import ScenarioShare

S = 1_000_000_000
MS = 1_000_000
REQUESTS = series("http_reqs", Kind.COUNTER, scenario="s")
ITERATIONS = series("iterations", Kind.COUNTER, scenario="s")


def plan(**changes: Any) -> Plan:
    """Ten iterations a second for five seconds, one request each."""
    scenario = {
        "executor": "constant-arrival-rate",
        "rate": 10,
        "duration": "5s",
        "max_vus": 5,
        "graceful_stop": "2s",
        "flow": [{"request": {"method": "GET", "url": "http://target/"}}],
    }
    return Plan.model_validate({"scenarios": {"s": scenario | changes.pop("scenario", {})}, **changes})


def second(number: int, requests: int) -> IntervalDelta:
    """What a worker reports of one second."""
    values = {REQUESTS: CounterDelta(requests), ITERATIONS: CounterDelta(requests)}
    return IntervalDelta(number, number + 1, dict(values))


def ledger(count: int, **changes: int) -> Ledger:
    """Books that agree with that many requests."""
    return replace(Ledger("s", count, count, count, requests=count), **changes)


@dataclass
class Agent:
    """One agent of a conversation. ``did`` are its effects, oldest first."""

    talk: Conversation
    name: str
    core: AgentCore
    incarnation: str
    identities: tuple[str, ...] = ()
    engine: bool = True
    reachable: bool = True
    dials: int = 1_000_000  # how often it can still connect
    patient: bool = False  # it waits before it dials, as long as it may; or else it connects at once
    deaf: bool = False  # nothing of the controller arrives
    mute: bool = False  # nothing that it sends arrives
    link: int = 0
    up: bool = False
    dial_ns: int | None = None  # when it will
    exit_code: int | None = None
    did: list[Any] = field(default_factory=list)

    def feed(self, event: Any) -> None:
        self.talk.put(self, event)
        self.talk.settle()

    def of(self, effect: type) -> list[Any]:
        """Its effects of one type."""
        return [done for done in self.did if isinstance(done, effect)]

    def sent(self, message: type) -> list[Any]:
        """What it sent of one type."""
        return [done.message for done in self.of(agent_io.Send) if isinstance(done.message, message)]

    @property
    def start_ns(self) -> int:
        return int(self.of(agent_io.StartEngine)[-1].start_mono_ns)

    def begin(self, run_id: str = "run", generation: int = 1) -> None:
        """Its engine says that it has begun."""
        self.feed(agent_io.EngineStarted(run_id, generation, 5))

    def report(self, number: int, requests: int, run_id: str = "run", generation: int = 1) -> None:
        self.feed(agent_io.EngineInterval(run_id, generation, second(number, requests)))

    def finish(
        self, count: int, cause: str = "", run_id: str = "run", generation: int = 1, **changes: int
    ) -> None:
        self.feed(agent_io.EngineFinished(run_id, generation, (ledger(count, **changes),), cause))

    @property
    def share(self) -> ScenarioShare:
        """What its engine was told last to own of the first scenario."""
        told = [d for d in self.did if isinstance(d, agent_io.ArmEngine | agent_io.ReshareEngine)]
        share: ScenarioShare = told[-1].shares[0]
        return share

    @property
    def slots(self) -> set[int]:
        """The slots of it."""
        return set(from_bitmap(self.share.slots).tolist())

    def leave(self) -> None:
        """Nobody can reach it, and it hears of it."""
        self.reachable = False
        self.cut()

    def come_back(self) -> None:
        """It can be reached again, and dials."""
        self.reachable = True
        self.feed(agent_io.LinkDown("connection refused"))

    def cut(self, *, told: bool = True) -> None:
        """Its stream breaks; ``told``: both ends hear of it."""
        if self.up:
            self.up = False
            if told:
                self.talk.put(None, controller_io.LinkClosed(self.link, "connection reset"))
                self.talk.put(self, agent_io.LinkDown("connection reset"))
                self.talk.settle()


MAX_SPINS = 100


class Conversation:
    """Begins with a controller and ``agents`` agents that are online."""

    def __init__(self, *agents: str, controller_id: str = "controller", epoch: int = 1) -> None:
        self.now = 1000 * S
        self.controller = ControllerCore(ControllerConfig(controller_id, epoch))
        self.did: list[Any] = []  # effects of the controller
        self.agents: dict[str, Agent] = {}
        self._links = 0
        self._queue: deque[tuple[Agent | None, Any, int]] = deque()
        self._busy = False
        for name in agents:
            self.join(name)

    def join(self, name: str, incarnation: str = "", **changes: Any) -> Agent:
        """Another agent process dials and registers."""
        settings = {
            key: changes.pop(key)
            for key in ("identities", "engine", "reachable", "dials", "patient")
            if key in changes
        }
        incarnation = incarnation or f"{name}/1"
        config = AgentConfig(name, name, incarnation, "1.0", 2, 1 << 30, **{"weight": 2, **changes})
        agent = Agent(self, name, AgentCore(config), incarnation, **settings)
        self.agents[incarnation] = agent
        agent.feed(agent_io.TimePassed())
        return agent

    def __getitem__(self, name: str) -> Agent:
        return next(agent for agent in self.agents.values() if agent.name == name)

    def change(self, kind: ChangeKind, value: str = "", scenario: str = "") -> Any:
        """An operator changes the run; the answer."""
        before = len(self.did)
        self.tell(controller_io.ChangeRequested("run", kind, scenario, value))
        answers = controller_io.ChangeAccepted | controller_io.ChangeRefused
        (answer,) = [done for done in self.did[before:] if isinstance(done, answers)]
        return answer

    @property
    def held(self) -> dict[str, Any]:
        """What the controller thinks that each part owns."""
        return self.controller._runs["run"].moving.held  # type: ignore[union-attr]

    @property
    def run(self) -> RunView:
        found = self.controller.run("run")
        assert found is not None
        return found

    def of(self, effect: type) -> list[Any]:
        """The controller's effects of one type."""
        return [done for done in self.did if isinstance(done, effect)]

    def said(self, message: type, agent: Agent | None = None) -> list[Any]:
        """What the controller sent of one type."""
        return [
            done.message
            for done in self.of(controller_io.Send)
            if isinstance(done.message, message) and (agent is None or done.link == agent.link)
        ]

    def submit(
        self,
        the_plan: Plan | None = None,
        *,
        run_id: str = "run",
        files: tuple[ManifestFile, ...] = (),
        expect: int = 0,
    ) -> None:
        request = controller_io.RunRequest(run_id, the_plan or plan(), files, expect)
        self.tell(controller_io.RunSubmitted(request, 1_700_000_000_000))

    def stop(
        self, *, graceful: bool = True, by: controller_io.StoppedBy = controller_io.StoppedBy.OPERATOR
    ) -> None:
        self.tell(controller_io.StopRequested("run", "enough", by, graceful))

    def tell(self, event: Any) -> None:
        """An event of the controller."""
        self.put(None, event)
        self.settle()

    def start(self) -> None:
        """Go to the start instant; every engine says that it has begun."""
        start_ns = self.run.start_controller_ns
        assert start_ns is not None
        self.to(start_ns)
        for agent in self.agents.values():
            if agent.of(agent_io.StartEngine):
                agent.begin()

    def to(self, until_ns: int, each: Callable[[], None] | None = None) -> None:
        """Let time pass; every core is woken at its deadlines. One that keeps its deadline would spin."""
        spins = 0
        while True:
            due = [at for at in self._deadlines() if at <= until_ns]
            if not due:
                break
            spins = spins + 1 if min(due) <= self.now else 0
            assert spins < MAX_SPINS, f"a deadline {self.now - min(due)} ns ago stays, whoever is woken"
            self.now = max(self.now, min(due))
            for agent in list(self.agents.values()):
                if agent.dial_ns is not None and self.now >= agent.dial_ns:
                    self._connect(agent)
                agent.feed(agent_io.TimePassed())
            self.tell(controller_io.TimePassed())
            if each is not None:
                each()
        self.now = until_ns

    def after(self, seconds: float) -> None:
        self.to(self.now + int(seconds * S))

    def _deadlines(self) -> Iterator[int]:
        cores = [self.controller, *(agent.core for agent in self.agents.values() if agent.exit_code is None)]
        for core in cores:
            deadline = core.deadline_ns()
            if deadline is not None:
                yield deadline
        yield from (a.dial_ns for a in self.agents.values() if a.dial_ns is not None and a.exit_code is None)

    # --- carrying effects out -------------------------------------------------------------------------------

    def put(self, agent: Agent | None, event: Any, link: int = 0) -> None:
        """``link``: the event is of this stream, and is dropped if that is not the agent's any more."""
        self._queue.append((agent, event, link))

    def settle(self) -> None:
        if self._busy:
            return
        self._busy = True
        try:
            while self._queue:
                agent, event, link = self._queue.popleft()
                if agent is not None and link and (agent.link != link or not agent.up):
                    continue
                if agent is not None and isinstance(event, agent_io.LinkDown):
                    agent.up = False
                if agent is None:
                    for effect in self.controller.handle(event, self.now):
                        self.did.append(effect)
                        self._do_controller(effect)
                elif agent.exit_code is None:
                    for effect in agent.core.handle(event, self.now):
                        agent.did.append(effect)
                        self._do_agent(agent, effect)
        finally:
            self._busy = False  # a core that raised is not hidden behind a world that stands still

    def _do_controller(self, effect: Any) -> None:
        match effect:
            case controller_io.Send(link, message):
                for agent in self.agents.values():
                    if agent.link == link and agent.up and not agent.deaf:
                        self.put(agent, agent_io.Received(message), link)
            case controller_io.CloseLink(link, reason):
                for agent in self.agents.values():
                    if agent.link == link and agent.up:
                        self.put(agent, agent_io.LinkDown(reason), link)

    def _connect(self, agent: Agent) -> None:
        agent.dial_ns = None
        if agent.reachable and agent.dials:
            agent.dials -= 1
            self._links += 1
            agent.link, agent.up = self._links, True
            opened = controller_io.LinkOpened(agent.link, "127.0.0.1:9", agent.identities, loopback=True)
            self.put(None, opened)
            self.put(agent, agent_io.LinkUp())

    def _do_agent(self, agent: Agent, effect: Any) -> None:
        match effect:
            case agent_io.Send(message):
                if agent.up and not agent.mute:
                    self.put(None, controller_io.Received(agent.link, message))
            case agent_io.Dial(max_delay_ns) if agent.patient and max_delay_ns:
                agent.dial_ns = self.now + max_delay_ns
            case agent_io.Dial():
                self._connect(agent)
            case agent_io.CloseLink(reason):
                if agent.up:
                    agent.up = False
                    self.put(None, controller_io.LinkClosed(agent.link, reason))
            case agent_io.Leave(exit_code, _):
                agent.exit_code = exit_code
            case agent_io.OpenSandbox(run_id, generation) if agent.engine:
                self.put(agent, agent_io.SandboxReady(run_id, generation))
            case agent_io.PrepareEngine(run_id, generation) if agent.engine:
                self.put(agent, agent_io.EnginePrepared(run_id, generation))
            case agent_io.ArmEngine(run_id, generation) if agent.engine:
                self.put(agent, agent_io.EngineArmed(run_id, generation))
