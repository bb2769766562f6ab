"""The processes of the simulated world: one controller, some agents. They only carry effects out."""

from __future__ import annotations

import copy
from typing import Any

from coordination.simulator.clocks import MachineClock
from coordination.simulator.engine import EngineModel
from coordination.simulator.network import Route, Stream
from coordination.simulator.oracle import Oracle
from coordination.simulator.world import MS, Node, S, Violation, World
from loadr.coordination import agent_io, controller_io
from loadr.coordination.agent import AgentConfig, AgentCore, LinkState
from loadr.coordination.controller import ControllerConfig, ControllerCore
from loadr.coordination.dealer import holes
from loadr.coordination.messages import (
    AgentBeat,
    ControllerBeat,
    Desired,
    FaultKind,
    FileChunk,
    Metrics,
    RunEvent,
    Value,
    ValueKind,
)

CHUNK = 64 * 1024
ANSWERED_NS = 10 * S


class ControllerNode(Node):
    """``restart`` makes another controller, that knows nothing."""

    def __init__(self, world: World, clock: MachineClock, oracle: Oracle) -> None:
        super().__init__(world, clock, lambda: controller_io.TimePassed(clock.wall_ms(world.now)))
        self.oracle = oracle
        self.links: dict[int, tuple[Stream, AgentNode, str]] = {}
        self.last_link = 0
        self.epoch = 0
        self.refusals: list[Any] = []
        self.changes_refused = self.changes_accepted = 0
        self.held: Any = ()
        self.holes = 0
        self.holes_since: int | None = None
        self.frozen_for_ns = 0
        self.restart()

    def restart(self) -> None:
        self.epoch += 1
        self.alive = True
        self.config = ControllerConfig(f"controller-{self.epoch}", self.epoch)
        self.core = ControllerCore(self.config)
        self.record = [] if self.record is not None else None
        self._set_timer()

    def crash(self) -> None:
        self.alive = False
        for stream, _, _ in self.links.values():
            stream.cut((False, True))
        self.links.clear()

    def accept(self, stream: Stream, agent: AgentNode) -> int:
        self.last_link += 1
        self.links[self.last_link] = (stream, agent, agent.incarnation)
        self.feed(controller_io.LinkOpened(self.last_link, agent.name, (), agent.loopback))
        return self.last_link

    def apply(self, effect: Any) -> None:
        match effect:
            case controller_io.Send(link, message):
                if link not in self.links:
                    return
                stream, _, incarnation = self.links[link]
                if isinstance(message, ControllerBeat):
                    self.oracle.granted(link, incarnation, message)
                elif isinstance(message, Desired):
                    self.oracle.commit(message, self.clock)
                elif isinstance(message, Value) and message.kind is ValueKind.DO:
                    self.oracle.doers.add((message.run_id, incarnation, message.generation))
                stream.send(1, message)
            case controller_io.CloseLink(link):
                if link in self.links:
                    self.links.pop(link)[0].close(1)
            case controller_io.SendFile(link, request):
                if link in self.links:
                    for at in range(0, request.length, CHUNK):
                        data = bytes(min(CHUNK, request.length - at))
                        self.links[link][0].send(
                            1, FileChunk(request.run_id, request.digest, request.offset + at, data)
                        )
            case controller_io.Merge():
                part = self.core.run(effect.run_id).agents[effect.part]
                who = (effect.run_id, part.incarnation, part.generation)
                self.oracle.merged(self.config.controller_id, who, effect)
            case controller_io.RunEnded(run_id):
                self.oracle.check_ended(self.core.run(run_id))
            case controller_io.RunRefused():
                self.refusals.append(effect)
            case controller_io.ChangeRefused():
                self.changes_refused += 1
            case controller_io.ChangeAccepted():
                self.changes_accepted += 1
        self._note_given_up()

    def _note_given_up(self) -> None:
        for run_id in self.oracle.committed:
            run = self.core.run(run_id)
            for part in run.agents.values() if run is not None else ():
                if part.state in ("lost", "returning", "finished"):
                    who = (run_id, part.incarnation, part.generation)
                    self.oracle.given_up.setdefault(who, self.world.now)

    def check(self) -> None:
        """I6, I7, I12, I13."""
        if not self.alive:
            return
        self._check_slots()
        seen: set[str] = set()
        for stream in self.core._streams.values():
            if stream.member is not None:
                agent_id = stream.member.view.agent_id
                if agent_id in seen or stream.member.stream is not stream:
                    raise Violation(f"I12: two live sessions of {agent_id}")
                seen.add(agent_id)

    def _check_slots(self) -> None:
        """No slot has two owners, ever; none is without one for long while there is somebody to own it."""
        run = self.core._current
        if run is None or run.moving is None or run.view.state != "running":
            self.holes_since = None
            return
        held = tuple(run.moving.held.values())
        if held != self.held:
            self.held = held
            try:
                self.holes = holes(held)
            except ValueError as both:
                raise Violation(f"I6: {both}") from both
        if not self.holes or not run.moving.weights() or run.view.plan.on_agent_loss != "redistribute":
            self.holes_since = None
        elif self.holes_since is None:
            self.holes_since = self.world.now
        elif self.world.now - self.holes_since > 3 * run.view.plan.lease_ns + 15 * S + self.frozen_for_ns:
            raise Violation(f"I7: {self.holes} slots are nobody's since {self.holes_since / S:.3f} s")

    def freeze(self, duration_ns: int) -> None:
        super().freeze(duration_ns)
        self.frozen_for_ns += duration_ns


class AgentNode(Node):
    """A machine with an agent process, its workers and its files."""

    def __init__(
        self,
        world: World,
        name: str,
        clock: MachineClock,
        route: Route,
        controller: ControllerNode,
        oracle: Oracle,
    ) -> None:
        super().__init__(world, clock, agent_io.TimePassed)
        self.name = name
        self.route = route
        self.controller = controller
        self.oracle = oracle
        self.loopback = False
        self.workers = 2
        self.prepare_fault = FaultKind.NONE
        self.slow_ns = 100 * MS
        self.life = 0
        self.left: tuple[int, str] | None = None
        self.cache: dict[str, int] = {}
        self.engine: EngineModel | None = None  # the newest
        self.engines: dict[tuple[str, int], EngineModel] = {}
        self.applied: dict[tuple[str, str, int], int] = {}
        self.stream: Stream | None = None
        self.link = 0
        self.online_at = 0  # when its stream was opened
        self.logs: list[str] = []
        self.alive = False

    def start(self) -> None:
        """A new process."""
        self.life += 1
        self.incarnation = f"{self.name}/{self.life}"
        self.alive = True
        self.left = None
        self.config = AgentConfig(self.name, self.name, self.incarnation, "1", 2, 1 << 30, self.workers)
        self.core = AgentCore(self.config)
        self.record = [] if self.record is not None else None
        self._waiting.clear()
        self._timer_at = None
        self._busy = False
        self._frozen_until = 0
        self._set_timer()
        self._sample()

    def crash(self) -> None:
        """The process and its workers are gone; the kernel says so to the other end, if it can."""
        self.alive = False
        for engine in self.engines.values():
            engine.dead = True
        self.engines.clear()
        self.engine = None
        if self.stream is not None:
            self.stream.close(0)
            self.stream = None

    def keep(self, event: Any) -> Any:
        return copy.deepcopy(event) if isinstance(event, agent_io.EngineInterval) else event

    def _sample(self) -> None:
        life = self.life

        def sample() -> None:
            if self.life == life and self.alive:
                wall = self.clock.wall_ms(self.world.now)
                self.feed(agent_io.HealthSampled(10.0, 1 << 20, 0, 0, 0, 2, wall))
                self._check_claims()
                self.world.after(1000 * MS, sample)

        self.world.after(1000 * MS, sample)

    def apply(self, effect: Any) -> None:
        match effect:
            case agent_io.Send(message):
                self._send(message)
            case agent_io.Dial(max_delay_ns, timeout_ns):
                self._dial(max_delay_ns, timeout_ns)
            case agent_io.CloseLink():
                if self.stream is not None:
                    self.stream.close(0)
                    self.stream = None
            case agent_io.OpenSandbox(run_id, generation, files):
                missing = tuple(
                    f for f in files if f.inline is None and self.cache.get(f.digest, 0) < f.size_bytes
                )
                answer: Any = agent_io.SandboxReady(run_id, generation)
                if missing:
                    for file in missing:
                        self.cache[file.digest] = 0
                    answer = agent_io.SandboxMissing(run_id, generation, missing)
                self.sizes = {f.digest: f.size_bytes for f in files}
                self.world.after(self.world.random.randrange(20 * MS), self._mine(lambda: self.feed(answer)))
            case agent_io.StoreChunk(chunk):
                if self.cache[chunk.digest] != chunk.offset:
                    raise Violation(f"a chunk at {chunk.offset}, and {self.cache[chunk.digest]} bytes are stored")
                self.cache[chunk.digest] += len(chunk.data)
                stored = self.cache[chunk.digest]
                done = stored == self.sizes[chunk.digest]
                self.feed(agent_io.ChunkStored(chunk.run_id, chunk.digest, stored, done))
            case agent_io.PrepareEngine():
                self.engine = EngineModel(
                    self.world,
                    self.clock,
                    self.oracle,
                    self.feed,
                    effect,
                    self.incarnation,
                    slow_ns=self.slow_ns,
                    workers=self.workers,
                )
                self.engines[effect.run_id, effect.generation] = self.engine
                self.engine.prepare(self.prepare_fault, self.world.random.randrange(300 * MS))
            case agent_io.ArmEngine(_, _, shares):
                self.engine.arm(shares, self.world.random.randrange(100 * MS))
            case agent_io.StartEngine(_, _, start_mono_ns):
                self.oracle.started(self.engine.who, start_mono_ns, self.clock)
                self.engine.start(start_mono_ns)
            case agent_io.ReshareEngine(_, _, shares, changes):
                self.engine.reshare(shares, changes)
            case agent_io.SetLease(run_id, generation, end_mono_ns):
                engine = self.engines[run_id, generation]
                if end_mono_ns < engine.lease_end:
                    raise Violation("a lease that shrinks")
                engine.lease_end = end_mono_ns
            case agent_io.GiveValue(run_id, generation, value):
                self.engines[run_id, generation].claims.give(value)
            case agent_io.StopEngine(_, _, graceful, cause):
                self.engine.stop(graceful, cause)
            case agent_io.ForgetRun(run_id, generation):
                engine = self.engines.pop((run_id, generation), None)
                if engine is not None:
                    engine.dead = True
                if engine is self.engine:
                    self.engine = None
            case agent_io.Leave(exit_code, reason):
                self.left = (exit_code, reason)
                self.crash()
            case agent_io.Log(_, text):
                self.logs.append(text)
        self._check()

    def _check_claims(self) -> None:
        """I15: on a session that lives, claims for rows and meetings are answered soon."""
        since = max(self.online_at, self._frozen_until, self.controller._frozen_until)
        if self.core.state is not LinkState.ONLINE or self.world.now - since < ANSWERED_NS:
            return
        for engine in self.engines.values():
            if stale := engine.claims.stale(ANSWERED_NS):
                raise Violation(f"I15: {engine.who} waits for an answer to {stale}")

    def _mine(self, action: Any) -> Any:
        """Only for the process of now."""
        life = self.life

        def guarded() -> None:
            if self.life == life and self.alive:
                action()

        return guarded

    def _send(self, message: Any) -> None:
        if self.stream is None:
            return
        if isinstance(message, AgentBeat):
            self.oracle.beat_sent[self.link, message.number] = self.world.now
        elif isinstance(message, Metrics | RunEvent):
            self.oracle.sent(self.incarnation, message)
        self.stream.send(0, message)

    def _dial(self, max_delay_ns: int, timeout_ns: int) -> None:
        delay = self.world.random.randrange(max_delay_ns + 1)
        self.world.after(delay, self._mine(lambda: self._connect(timeout_ns)))

    def _connect(self, timeout_ns: int) -> None:
        now = self.world.now
        if max(self.route.blocked_until) > now:
            self.world.after(timeout_ns, self._mine(lambda: self.feed(agent_io.LinkDown("timed out"))))
            return
        took = self.route.delay(0) + self.route.delay(1)
        if self.route.refused_until > now or not self.controller.alive:
            self.world.after(took, self._mine(lambda: self.feed(agent_io.LinkDown("connection refused"))))
            return
        self.world.after(took, self._mine(self._connected))

    def _connected(self) -> None:
        if not self.controller.alive:
            self.feed(agent_io.LinkDown("connection refused"))
            return
        life = self.life

        def is_mine() -> bool:
            return self.stream is stream and self.life == life

        def is_served() -> bool:
            return number in self.controller.links

        def up(message: Any) -> None:
            self.controller.feed(controller_io.Received(number, message), is_served)

        def down(message: Any) -> None:
            self.feed(agent_io.Received(message), is_mine)

        def controller_end(reason: str) -> None:
            self.controller.feed(controller_io.LinkClosed(number, reason), lambda: is_served() and forget())

        def forget() -> bool:
            return self.controller.links.pop(number, None) is not None

        def agent_end(reason: str) -> None:
            self.feed(agent_io.LinkDown(reason), lambda: is_mine() and let_go())

        def let_go() -> bool:
            self.stream = None
            return True

        stream = Stream(self.route, (up, down), (controller_end, agent_end))
        self.stream = stream
        self.online_at = self.world.now
        number = self.link = self.controller.accept(stream, self)
        self.feed(agent_io.LinkUp(), is_mine)

    def _check(self) -> None:
        """I11, I13."""
        for run in self.core.runs.values():
            key = (self.incarnation, run.run_id, run.generation)
            if run.revision < self.applied.get(key, 0):
                raise Violation("I11: an older revision was applied")
            self.applied[key] = run.revision
            if len(run.claims.open) > 200:
                raise Violation(f"I13: {len(run.claims.open)} claims are open")
            if len(run.uplink._frozen) > 16 or len(run.uplink._tail) > 40:
                raise Violation(f"I13: {len(run.uplink._frozen)} frozen, {len(run.uplink._tail)} in the tail")
