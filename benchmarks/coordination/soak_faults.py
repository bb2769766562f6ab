"""The faults of a soak: a seed in, the sequence out; and the hands that do them to a live fleet.

`draw` is a pure function. Every kind comes once before any comes twice, so that a few minutes play them all. One
fault begins every 10 to 30 s; an agent that is in trouble gets no second one, and one agent at least is never
touched meanwhile. No agent is lost more than twice in five minutes (at the third time the controller would give
it no share for a while, and load would be short for a reason that is not looked for here). The last agent is
never killed nor told to leave: it shows how the memory of one process goes over the whole run.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from loadr.api.client import ControllerClient
from loadr.schedule.change import Change, ChangeKind
from loadr.testing.proxy import Proxy
from support.fleet import LOADR, Fleet, Process

FIRST_S = 8.0
APART_S = (10.0, 30.0)
QUIET_END_S = 25.0
"""The last of a run; what was hit has healed by then."""
LOSSES, LOSS_WINDOW_S = 2, 330.0
RATE, VUS = 100, 15
"""Of the plan; operators' changes go back to them."""
SLOW_BYTES_PER_S = 8_000
LEAVE_LIMIT_S = 70.0
"""An agent that was told to leave waits 60 s at most; see `loadr.coordination.timing`."""


@dataclass(frozen=True, slots=True)
class Kind:
    """``lasts`` (from, to) until it is healed, in leases (operators: in seconds); ``loses``: the agent may be
    lost by it; ``ends``: its process ends; ``lacks``: what it did may be missing from the totals."""

    lasts: tuple[float, float]
    loses: bool = False
    ends: bool = False
    lacks: bool = False
    by_operator: bool = False


KINDS = {
    "kill -9": Kind((0.2, 2.0), loses=True, ends=True, lacks=True),
    "told to leave": Kind((0.2, 1.0), ends=True),
    "frozen under the lease": Kind((0.2, 0.5)),
    "frozen beyond the lease": Kind((1.6, 3.0), loses=True),
    "worker killed": Kind((1.0, 1.0), lacks=True),
    "worker frozen": Kind((2.0, 2.0), lacks=True),
    "link reset": Kind((0.05, 0.1)),
    "link refused": Kind((0.5, 2.5), loses=True),
    "link silent under the lease": Kind((0.2, 0.5)),
    "link silent beyond the lease": Kind((1.6, 3.0), loses=True),
    "link silent downwards": Kind((1.6, 2.5), loses=True),
    "link half-open": Kind((1.0, 1.0)),
    "link slow": Kind((2.5, 5.0)),
    "pause": Kind((2.0, 6.0), by_operator=True),
    "rate": Kind((8.0, 20.0), by_operator=True),
    "rate in percent": Kind((8.0, 20.0), by_operator=True),
    "scale": Kind((8.0, 20.0), by_operator=True),
}
PERCENTS = {50: "2", 80: "1.25", 125: "0.8"}
"""Percent of the rate, and the factor that takes it back."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Seconds of the run. ``agent`` is None for what an operator does; ``value`` is his."""

    at_s: float
    kind: str
    agent: int | None
    until_s: float
    value: int = 0

    @property
    def takes_life(self) -> bool:
        """What was done and not yet reported may be missing from the totals."""
        return KINDS[self.kind].lacks

    @property
    def words(self) -> str:
        who = "" if self.agent is None else f"agent-{self.agent} "
        value = f" {self.value}" if self.value else ""
        return f"{self.at_s:7.1f} s  {who}{self.kind}{value}, for {self.until_s - self.at_s:.1f} s"


def draw(seed: int, seconds: float, lease_s: float, agents: int) -> list[Fault]:
    """Those of a run of so many seconds, ascending; the same for the same arguments."""
    rng = random.Random(seed)
    out: list[Fault] = []
    bag: list[str] = []
    free_s = [0.0] * agents  # when each is whole again
    operator_free_s = 0.0
    losses: list[list[float]] = [[] for _ in range(agents)]
    at_s = FIRST_S
    while True:
        if len(bag) < len(KINDS) // 2:
            bag += rng.sample(list(KINDS), len(KINDS))
        for name in bag:
            kind = KINDS[name]
            lasts_s = rng.uniform(*kind.lasts) * (1 if kind.by_operator else lease_s)
            agent: int | None = None
            value = 0
            if kind.by_operator:
                if operator_free_s > at_s:
                    continue
                operator_free_s = at_s + lasts_s + 2
                if name == "rate":
                    value = rng.randint(50, 130)
                elif name == "rate in percent":
                    value = rng.choice(list(PERCENTS))
                elif name == "scale":
                    value = rng.randint(6, 24)
            else:
                whole = [one for one in range(agents) if free_s[one] <= at_s]
                able = [one for one in whole if not (kind.ends and one == agents - 1)]
                if kind.loses:
                    able = [
                        a for a in able if sum(at_s - lost_s < LOSS_WINDOW_S for lost_s in losses[a]) < LOSSES
                    ]
                if len(whole) < 2 or not able:
                    continue
                agent = rng.choice(able)
                free_s[agent] = at_s + lasts_s + lease_s + 5
                if kind.loses:
                    losses[agent].append(at_s + lasts_s)
            if at_s + lasts_s > seconds - QUIET_END_S:
                return out
            bag.remove(name)
            out.append(Fault(at_s, name, agent, at_s + lasts_s, value))
            break
        at_s += rng.uniform(*APART_S)
        if at_s > seconds - QUIET_END_S:
            return out


@dataclass(slots=True)
class Incarnation:
    """One process of one agent."""

    agent: int
    process: Process
    is_over: bool = False  # it was ended by a fault
    was_killed: bool = False


class Hands:
    """Start agents, each behind its own proxy, and do to them what was drawn."""

    def __init__(self, fleet: Fleet, proxies: list[Proxy]) -> None:
        self.incarnations: list[Incarnation] = []
        self.changes: list[Change] = []
        self.troubles: list[tuple[float, float]] = []  # [from, to) in seconds of the run, as they really were
        self.client = ControllerClient(fleet.api)
        self.run_id = ""
        self._fleet = fleet
        self._proxies = proxies
        self._todo: list[tuple[float, Callable[[float], None]]] = []
        self._present: dict[int, Incarnation] = {}
        for agent in range(len(proxies)):
            self._start(agent)

    def plan(self, faults: list[Fault]) -> None:
        for fault in faults:
            self._at(fault.at_s, lambda now_s, fault=fault: self._begin(fault, now_s))

    def act(self, now_s: float) -> None:
        """Do what is due at this second of the run."""
        due = [item for item in self._todo if item[0] <= now_s]
        for item in sorted(due, key=lambda item: item[0]):
            self._todo.remove(item)
            item[1](now_s)

    @property
    def is_done(self) -> bool:
        return not self._todo

    def here(self) -> list[Incarnation]:
        """Agents that run."""
        return list(self._present.values())

    def _at(self, at_s: float, what: Callable[[float], None]) -> None:
        self._todo.append((at_s, what))

    def _start(self, agent: int) -> None:
        count = sum(one.agent == agent for one in self.incarnations) + 1
        command = [
            *(*LOADR, "agent", "--join", f"127.0.0.1:{self._proxies[agent].port}", "--name", f"agent-{agent}"),
            *("--workers", "1", "--work-dir", str(self._fleet.folder / f"work-{agent}")),
        ]
        one = Incarnation(agent, self._fleet.start(command, f"agent-{agent}.{count}"))
        self.incarnations.append(one)
        self._present[agent] = one

    def _begin(self, fault: Fault, now_s: float) -> None:
        if fault.agent is None:
            self._operate(fault)
        else:
            heal = self._hit(fault, fault.agent)
            self._at(fault.until_s, lambda now_s: self._heal(heal, fault, now_s))

    def _heal(self, heal: Callable[[], bool], fault: Fault, now_s: float) -> None:
        if not heal():  # not yet
            if now_s > fault.until_s + LEAVE_LIMIT_S:
                raise AssertionError(f"not over in {LEAVE_LIMIT_S:.0f} s: {fault.words}")
            self._at(now_s + 0.3, lambda later_s: self._heal(heal, fault, later_s))
            return
        self.troubles.append((fault.at_s, now_s))

    def _hit(self, fault: Fault, agent: int) -> Callable[[], bool]:
        """Do it; what heals it, which says whether it could."""
        proxy, one = self._proxies[agent], self._present[agent]
        process = one.process
        match fault.kind:
            case "kill -9" | "told to leave":
                one.is_over, one.was_killed = True, fault.kind == "kill -9"
                del self._present[agent]
                process.popen.send_signal(signal.SIGKILL if one.was_killed else signal.SIGTERM)

                def again() -> bool:
                    if process.popen.poll() is None:
                        return False
                    self._start(agent)
                    return True

                return again
            case "frozen under the lease" | "frozen beyond the lease":
                process.freeze()
                return _done(process.thaw)
            case "worker killed" | "worker frozen":
                for worker in process.children:
                    os.kill(worker, signal.SIGKILL if fault.kind == "worker killed" else signal.SIGSTOP)
                return _done(lambda: None)
            case "link reset" | "link refused":
                proxy.cut_and_refuse()
                return _done(proxy.allow)
            case "link silent under the lease" | "link silent beyond the lease":
                proxy.stall()
            case "link silent downwards":
                proxy.stall(up=False)
            case "link half-open":
                proxy.half_open()
                return _done(lambda: None)
            case "link slow":
                for way in (proxy.up, proxy.down):
                    way.bytes_per_s, way.delay_s = SLOW_BYTES_PER_S, 0.02

                def fast() -> None:
                    for way in (proxy.up, proxy.down):
                        way.bytes_per_s, way.delay_s = None, 0.0

                return _done(fast)
        return _done(proxy.flow)

    def _operate(self, fault: Fault) -> None:
        kind, scenario, value, back = {
            "pause": (ChangeKind.PAUSE, "", "", (ChangeKind.RESUME, "")),
            "rate": (ChangeKind.RATE, "open", str(fault.value), (ChangeKind.RATE, str(RATE))),
            "rate in percent": (
                *(ChangeKind.FACTOR, "open", f"{fault.value / 100:g}"),
                (ChangeKind.FACTOR, PERCENTS.get(fault.value, "")),
            ),
            "scale": (ChangeKind.SCALE, "closed", str(fault.value), (ChangeKind.SCALE, str(VUS))),
        }[fault.kind]
        self._change(kind, scenario, value)
        self._at(fault.until_s, lambda _: self._change(back[0], scenario, back[1]))

    def _change(self, kind: ChangeKind, scenario: str, value: str) -> None:
        at_s, _ = self.client.change(self.run_id, kind.name.lower(), scenario, value)
        self.changes.append(Change(round(at_s * 1e9), kind, scenario, value))


def _done(heal: Callable[[], None]) -> Callable[[], bool]:
    def call() -> bool:
        heal()
        return True

    return call


def wait_ended(process: Process, limit_s: float) -> None:
    """Until a process has ended by itself; `AssertionError` if it does not."""
    deadline = time.monotonic() + limit_s
    while process.popen.poll() is None:
        if time.monotonic() > deadline:
            raise AssertionError(f"{process.name} did not end within {limit_s:.0f} s")
        time.sleep(0.05)
