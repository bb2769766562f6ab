"""What all connections of the demo target share: counters, routes, the stall, and one seeded source of chance."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from loadr.clock import boottime_ns
from loadr.testing.counters import TargetCounters
from loadr.testing.target_behaviour import Behaviour
from loadr.testing.target_routes import Answer, Control, Route, Routes, json_answer
from loadr.units import NS_PER_S

if TYPE_CHECKING:
    from loadr.testing.target_connection import Connection


class Site:
    """``seed`` makes delays and errors repeatable: the n-th request draws the same numbers in every run."""

    def __init__(self, behaviour: Behaviour, seed: int = 0, record_arrivals: int = 0) -> None:
        self.counters = TargetCounters(record_arrivals)
        self.routes = Routes(behaviour)
        self.connections: set[Connection] = set()
        self._random = Random(seed)
        self._record_arrivals = record_arrivals
        self._stall_end_ns = 0

    def draw(self, route: Route) -> tuple[Answer, float]:
        """The answer to one request and its delay in seconds."""
        behaviour = route.behaviour
        failed = behaviour.error_rate > 0 and self._random.random() < behaviour.error_rate
        delay_s = behaviour.delay(self._random) if behaviour.delay is not None else 0.0
        return route.failure if failed else route.answer, delay_s

    def stalled_s(self) -> float:
        """Seconds until answers may leave again; 0 when nothing holds them."""
        if not self._stall_end_ns:
            return 0.0
        left_ns = self._stall_end_ns - boottime_ns()
        if left_ns <= 0:
            self._stall_end_ns = 0
            return 0.0
        return left_ns / NS_PER_S

    def control(self, route: Route) -> Answer:
        """Obey a request about the target itself."""
        match route.control:
            case Control.COUNTERS:
                return json_answer(self.counters.to_json())
            case Control.RESET:
                # What was under way is still counted when it ends.
                self.counters = TargetCounters(self._record_arrivals)
            case Control.STALL:
                self._stall_end_ns = boottime_ns() + route.stall_ns
        return route.answer
