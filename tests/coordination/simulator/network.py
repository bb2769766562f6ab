"""The simulated network: streams with lanes of priority, latency, stalls in either direction, cuts, refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coordination.simulator.world import MS, S, World

# As in the transport: within a lane the order stays, and a lower number may overtake a higher one.
LANES = {
    "Register": 0,
    "Registered": 0,
    "Refused": 0,
    "Desired": 0,
    "Assignment": 0,
    "Drain": 0,
    "Prepared": 0,
    "Armed": 0,
    "AgentBeat": 1,
    "ControllerBeat": 1,
    "FileRequest": 0,
    "Claim": 0,
    "Value": 0,
    "Metrics": 2,
    "RunEvent": 2,
    "FileChunk": 3,
    "Goodbye": 3,
}


class Route:
    """Between one agent's machine and the controller's: what the weather is in each direction."""

    def __init__(self, world: World, latency_ns: tuple[int, int], jitter_ns: int) -> None:
        self.world = world
        self.latency_ns = latency_ns  # up, down: asymmetric
        self.jitter_ns = jitter_ns
        self.blocked_until = [0, 0]
        self.refused_until = 0
        self.repeats_until = 0  # numbered messages may come twice: something on the way tries again
        self.streams: list[Stream] = []

    def delay(self, way: int) -> int:
        jitter = self.world.random.randrange(self.jitter_ns + 1)
        return self.latency_ns[way] + jitter


class Stream:
    """``to_agent`` and ``to_controller`` take messages; the ``end`` callbacks are told once that it broke."""

    def __init__(
        self,
        route: Route,
        deliver: tuple[Callable[[Any], None], Callable[[Any], None]],
        ended: tuple[Callable[[str], None], Callable[[str], None]],
    ) -> None:
        self.route = route
        self.world = route.world
        self._deliver = deliver  # up (to the controller), down (to the agent)
        self._ended = ended  # controller's end, agent's end
        self._last = [[0, 0, 0, 0], [0, 0, 0, 0]]
        self._broken_at: list[int | None] = [None, None]  # nothing is delivered after it
        self._open = [True, True]  # controller's end, agent's end
        route.streams.append(self)

    def send(self, way: int, message: Any) -> None:
        if self._broken_at[way] is not None:
            return
        lane = LANES[type(message).__name__]
        at = self._arrival(way, lane)
        self._last[way][lane] = at
        self._schedule(at, way, message)
        if lane == 2 and self.route.repeats_until > self.world.now and self.world.random.random() < 0.5:
            self._schedule(at + 1, way, message)

    def _arrival(self, way: int, lane: int) -> int:
        return max(self.world.now + self.route.delay(way), *self._last[way][: lane + 1])

    def _schedule(self, at: int, way: int, message: Any) -> None:
        def arrive() -> None:
            free = self.route.blocked_until[way]
            if free > self.world.now:  # waits in the sender's kernel
                self.world.at(free, arrive_in_order)
                return
            arrive_in_order()

        def arrive_in_order() -> None:
            broken = self._broken_at[way]
            if (broken is None or self.world.now <= broken) and self._open[way]:
                self._deliver[way](message)

        self.world.at(at, arrive)

    def close(self, way: int) -> None:
        """By one end: the other hears of it after what was sent before."""
        own = 1 - way  # way 0 goes up, so its sender is the agent, end 1
        if not self._open[own]:
            return
        self._open[own] = False
        at = self._arrival(way, 3)

        def arrive() -> None:
            free = self.route.blocked_until[way]
            if free > self.world.now:
                self.world.at(free, arrive)
            else:
                self._end(way, "closed by the peer")

        if self._broken_at[way] is None:
            self.world.at(at, arrive)
        self._forget()

    def _end(self, end: int, reason: str) -> None:
        if self._open[end]:
            self._open[end] = False
            self._forget()
            self._ended[end](reason)

    def cut(self, told: tuple[bool, bool]) -> None:
        """The connection is gone. A prefix of what was under way still arrives; an end that is not ``told``
        (half-open) has to find out by itself."""
        for way in (0, 1):
            self._broken_at[way] = self.world.now + self.world.random.randrange(5 * MS)
            if told[way]:
                self.world.at(
                    self._broken_at[way] + self.world.random.randrange(S // 10),
                    lambda way=way: self._end(way, "connection reset"),
                )

    def _forget(self) -> None:
        if not any(self._open) and self in self.route.streams:
            self.route.streams.remove(self)
