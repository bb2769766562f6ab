"""Plays a scenario: first faults, with safety checked after every event; then the world heals: the run must
end, and another one must be complete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coordination.simulator.clocks import MachineClock
from coordination.simulator.network import Route
from coordination.simulator.nodes import AgentNode, ControllerNode
from coordination.simulator.oracle import Oracle
from coordination.simulator.scenario import CHANGES, HEALED_S, Fault, Scenario
from coordination.simulator.world import MS, S, Violation, World
from loadr.coordination import controller_io
from loadr.coordination.agent import AgentCore
from loadr.coordination.agent_io import DrainRequested
from loadr.coordination.controller import ControllerCore
from loadr.coordination.controller_io import RunRequest, RunState
from loadr.coordination.messages import FaultKind, ManifestFile
from loadr.plan.model import Plan
from loadr.schedule.change import ChangeKind

LONGEST_END_S = 170.0  # gather 30, prepare 65, arm 30, then stop and flush
LONGEST_VALUES_S = 90.0  # setup and teardown, each with a loss
VALUES = {
    "data": {"rows": {"file": "users.csv", "rows": 2000, "columns": ["id"], "mode": "unique"}},
    "setup": {"flow": [], "timeout": "5s"},
    "teardown": {"flow": [], "timeout": "5s"},
}


@dataclass
class Outcome:
    """What became of the runs; ``None``: the controller that had it is gone."""

    first: RunState | None
    cause: str
    second: RunState | None
    requests: int
    notes: tuple[str, ...]


class Failure(AssertionError):
    """A violation with everything that is needed to understand and to repeat it."""

    def __init__(self, scenario: Scenario, violation: BaseException, stories: str) -> None:
        super().__init__(
            f"seed {scenario.seed}: {violation}\n"
            f"replay with: python tests/coordination/simulate.py --first {scenario.seed} --seeds 1\n"
            f"faults: {scenario.faults}\n{stories}"
        )
        self.scenario = scenario
        self.violation = violation


def plan_of(scenario: Scenario, duration_s: int) -> Plan:
    return Plan.model_validate(
        {
            "seed": scenario.seed,
            "lease": f"{scenario.lease_s}s",
            "on_agent_loss": scenario.policy,
            **(VALUES if scenario.values else {}),
            "scenarios": {
                "s": {
                    "executor": "constant-arrival-rate",
                    "rate": scenario.rate,
                    "duration": f"{duration_s}s",
                    "max_vus": 40,
                    "arrivals": "poisson" if scenario.poisson else "uniform",
                    "graceful_stop": f"{scenario.graceful_s}s",
                    "flow": [{"request": {"method": "GET", "url": "http://target/"}}],
                }
            },
        }
    )


class Stage:
    """The world of one scenario."""

    def __init__(self, scenario: Scenario, *, record: bool = False) -> None:
        self.scenario = scenario
        self.world = World(scenario.seed)
        self.oracle = Oracle(self.world)
        self.oracle.is_calm = scenario.is_calm
        clock = MachineClock(self.world.random.randrange(10**15), scenario.controller_drift_ppm * 1000)
        self.controller = ControllerNode(self.world, clock, self.oracle)
        if record:
            self.controller.record = []
        self.agents = [self._agent(index) for index in range(len(scenario.agents))]
        if record:
            for agent in self.agents:
                agent.record = []
        self.first_controller = self.controller.epoch

    def _agent(self, index: int) -> AgentNode:
        setting = self.scenario.agents[index]
        clock = MachineClock(int((2e6 + setting.offset_s) * S), setting.drift_ppm * 1000, setting.wall_error_ms)
        up, down = setting.latency_ms
        route = Route(self.world, (int(up * MS), int(down * MS)), int(setting.jitter_ms * MS))
        agent = AgentNode(self.world, f"agent-{index}", clock, route, self.controller, self.oracle)
        agent.loopback = self.scenario.loopback
        agent.slow_ns = setting.slow_ms * MS
        agent.workers = setting.workers
        if setting.prepare_fails:
            agent.prepare_fault = FaultKind.SCRIPT
        self.world.at(int(setting.joins_at_s * S), agent.start)
        return agent

    # --- faults ---------------------------------------------------------------------------------------------

    def strike(self, fault: Fault) -> None:
        agent = self.agents[fault.agent]
        until = self.world.now + int(fault.for_s * S)
        route = agent.route
        if fault.kind in ("cut", "half_open"):
            told = (True, True) if fault.kind == "cut" else (self.world.random.random() < 0.5, False)
            for stream in list(route.streams):
                stream.cut(told)
        elif fault.kind in ("block", "block_up", "block_down"):
            for way in (0, 1):
                if fault.kind != ("block_down", "block_up")[way]:
                    route.blocked_until[way] = max(route.blocked_until[way], until)
        elif fault.kind == "repeat":
            route.repeats_until = max(route.repeats_until, until)
        elif fault.kind == "refuse":
            route.refused_until = max(route.refused_until, until)
            for stream in list(route.streams):
                stream.cut((True, True))
        elif fault.kind == "crash":
            if agent.alive:
                agent.crash()
                if fault.for_s:
                    self.world.at(until, lambda: None if agent.alive else agent.start())
        elif fault.kind == "freeze":
            agent.freeze(int(fault.for_s * S))
        elif fault.kind == "freeze_controller":
            self.controller.freeze(int(fault.for_s * S))
        elif fault.kind == "crash_controller":
            if self.controller.alive:
                self.controller.crash()
                self.world.at(until, self.controller.restart)
        elif fault.kind == "wall_step":
            agent.clock.wall_error_ms += 3_600_000
        elif fault.kind == "worker_lost":
            if agent.engine is not None and agent.alive:
                agent.engine.lose_worker()
        elif fault.kind == "drain":
            agent.feed(DrainRequested("SIGTERM"))
        elif fault.kind in ("stop", "kill"):
            self.controller.feed(controller_io.StopRequested("first", "enough", graceful=fault.kind == "stop"))
        elif fault.kind in CHANGES:
            kind = ChangeKind[fault.kind.upper()]
            self.controller.feed(controller_io.ChangeRequested("first", kind, "", fault.value))

    # --- the play -------------------------------------------------------------------------------------------

    def check(self) -> None:
        self.controller.check()
        for agent in self.agents:
            for text in agent.logs:
                if "broke the protocol" in text:
                    raise Violation(text)
            agent.logs.clear()
        if self.controller.alive and any(member.strikes for member in self.controller.core._members.values()):
            raise Violation("an honest agent got a strike\n" + self.controller.core.story.text(15))

    def submit(self, run_id: str, duration_s: int, agents: int) -> None:
        size = self.scenario.file_kb * 1024
        inline = bytes(size) if size <= 64 * 1024 else None
        file = ManifestFile("users.csv", size, f"{size:064x}", inline)
        request = RunRequest(run_id, plan_of(self.scenario, duration_s), (file,) * bool(size), agents)
        wall = self.controller.clock.wall_ms(self.world.now)
        self.controller.feed(controller_io.RunSubmitted(request, wall))

    def play(self) -> Outcome:
        world, scenario = self.world, self.scenario
        at_start = sum(not setting.joins_at_s for setting in scenario.agents)
        world.at(S, lambda: self.submit("first", scenario.duration_s, at_start))
        for fault in scenario.faults:
            world.at(int(fault.at_s * S), lambda fault=fault: self.strike(fault))
        world.run_until(int(HEALED_S * S), self.check)
        resume = controller_io.ChangeRequested("first", ChangeKind.RESUME)
        self.controller.feed(resume, lambda: self._is_paused())
        world.at(world.now + (2 * scenario.lease_s + 15) * S, self._check_applied)
        longest_s = LONGEST_END_S + LONGEST_VALUES_S * scenario.values
        limit = int((2 * HEALED_S + scenario.duration_s + scenario.graceful_s + longest_s) * S)
        first = self._await("first", limit)
        alive = self._gather()
        second = None
        if alive:
            for agent in self.agents:
                agent.prepare_fault = FaultKind.NONE
            self.submit("second", 2, len(alive))
            limit = self.world.now + int((longest_s + 10) * S)
            second = self._await("second", limit)
            if second is not RunState.COMPLETE:
                view = self.controller.core.run("second")
                raise Violation(f"I15: after healing a new run ends as {second}: {view and view.cause}")
            self.world.run_until(self.world.now + 5 * S, self.check)
            for agent in alive:
                if agent.core.runs:
                    raise Violation(f"I13: {agent.name} still holds {list(agent.core.runs)}")
        view = self.controller.core.run("first")
        return Outcome(
            first,
            view.cause if view else "",
            second,
            sum(deed.requests for who, deed in self.oracle.deeds.items() if who[0] == "first"),
            tuple(view.notes) if view else (),
        )

    def _is_paused(self) -> bool:
        view = self.controller.core.run("first")
        pauses = [c for c in view.changes if c.kind in (ChangeKind.PAUSE, ChangeKind.RESUME)] if view else []
        return bool(pauses) and pauses[-1].kind is ChangeKind.PAUSE

    def _check_applied(self) -> None:
        """I7: when nothing bad has happened for a while, everybody owns just what the controller thinks."""
        run = self.controller.core._current
        if run is None or run.view.run_id != "first" or run.view.state is not RunState.RUNNING:
            return
        if run.moving.is_under_way:
            return  # a move that has just begun; I7 is held by its time limit
        for part in run.parts:
            agent = next(agent for agent in self.agents if agent.name == part.view.agent_id)
            mine = agent.engine is not None and agent.engine.who[2] == part.view.generation
            if part.view.state.value != "running" or not mine or not agent.alive:
                continue
            (share,) = run.moving.held[part.view.key]
            if agent.engine.share.slots != share.slots or agent.engine.changes != run.view.changes:
                raise Violation(f"I7: {part.view.key} does not own what it was given")
            if stale := agent.engine.claims.stale(15 * S):
                raise Violation(f"I15: {part.view.key} waits for an answer to {stale}")

    def _await(self, run_id: str, limit: int) -> RunState | None:
        """I15: it ends in bounded time; then its load is over, too."""
        while run_id not in self.oracle.ended:
            if self.controller.core.run(run_id) is None:
                return None
            if self.world.now >= limit:
                raise Violation(f"I15: {run_id} is still {self.controller.core.run(run_id).state.value}")
            self.world.run_until(self.world.now + S, self.check)
        return self.oracle.ended[run_id]

    def _gather(self) -> list[AgentNode]:
        """I15: every agent that lives is online again."""
        self.world.run_until(self.world.now + 45 * S, self.check)
        alive = [agent for agent in self.agents if agent.alive]
        for agent in alive:
            view = self.controller.core.agents.get(agent.name)
            if view is None or view.state != "online" or view.incarnation != agent.incarnation:
                raise Violation(f"I15: {agent.name} is not online: {view}")
        return alive

    def stories(self) -> str:
        parts = [f"--- controller\n{self.controller.core.story.text(60)}"]
        there = [agent for agent in self.agents if agent.core is not None]
        parts += [f"--- {agent.name} ({agent.left})\n{agent.core.story.text(40)}" for agent in there]
        return "\n".join(parts)

    def check_replay(self) -> None:
        """I18: the same events give the same effects, of every core."""
        again: Any = ControllerCore(self.controller.config)
        _replay("the controller", again, self.controller.record or [])
        for agent in self.agents:
            _replay(agent.name, AgentCore(agent.config), agent.record or [])


def _replay(name: str, core: Any, record: list[tuple[Any, int, list[Any]]]) -> None:
    for event, now, effects in record:
        if core.handle(event, now) != effects:
            raise Violation(f"I18: {name} did something else about {event}")


def simulate(scenario: Scenario, *, record: bool = False) -> Outcome:
    """Play a scenario. Raises `Failure` with seed and stories."""
    stage = Stage(scenario, record=record)
    try:
        outcome = stage.play()
        if record:
            stage.check_replay()
        return outcome
    except Exception as error:
        raise Failure(scenario, error, stage.stories()) from error
