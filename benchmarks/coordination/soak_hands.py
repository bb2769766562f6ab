"""The hands of a soak: they start agents, each behind its own proxy, and do to them what was drawn.

Takes a controller, proxies and faults (see soak_faults.py); keeps which processes there were, which changes of
the run were made, and when an agent was in trouble.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from soak_faults import PERCENTS, RATE, VUS, Fault

from loadr.api.client import ControllerClient
from loadr.schedule.change import Change, ChangeKind
from loadr.testing.proxy import Proxy
from support.fleet import LOADR, Fleet, Process

SLOW_BYTES_PER_S = 8_000
LEAVE_LIMIT_S = 70.0
"""An agent that was told to leave waits 60 s at most; see `loadr.coordination.timing`."""


@dataclass(slots=True)
class Incarnation:
    """One process of one agent."""

    agent: int
    process: Process
    was_killed: bool = False


class Hands:
    """``proxies``: one for each agent. Agents are started at once; faults begin when `act` is called in time."""

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
        """What `act` is to do, and when."""
        for fault in faults:
            self._at(fault.at_s, lambda now_s, fault=fault: self._begin(fault, now_s))

    def act(self, now_s: float) -> None:
        """Do what is due at this second of the run."""
        due = [item for item in self._todo if item[0] <= now_s]
        for item in sorted(due, key=lambda item: item[0]):
            self._todo.remove(item)
            item[1](now_s)

    def here(self) -> list[Incarnation]:
        """Agents that run."""
        return list(self._present.values())

    def processes(self) -> Iterator[tuple[str, str, int]]:
        """(role, name, pid) of all whose memory is of interest."""
        yield "controller", "controller", self._fleet.controller.popen.pid
        for one in self.here():
            yield "agent", one.process.name, one.process.popen.pid
            try:
                workers = one.process.children
            except OSError:  # it ends just now
                continue
            for pid in workers:
                yield "worker", f"of {one.process.name}", pid

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
                one.was_killed = fault.kind == "kill -9"
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
