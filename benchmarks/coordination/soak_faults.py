"""The faults of a soak: a seed in, the sequence out. What they do to a fleet is in soak_hands.py.

`draw` is a pure function. Every kind comes once before any comes twice, so that a few minutes play them all. One
fault begins every 10 to 30 s; an agent that is in trouble gets no second one, and one agent at least is never
touched meanwhile. No agent is lost more than twice in five minutes (at the third time the controller would give
it no share for a while, and load would be short for a reason that is not looked for here). The last agent is
never killed nor told to leave: it shows how the memory of one process goes over the whole run.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

FIRST_S = 8.0
APART_S = (10.0, 30.0)
QUIET_END_S = 25.0
"""The last of a run; what was hit has healed by then."""
LOSSES, LOSS_WINDOW_S = 2, 330.0
RATE, VUS = 100, 15
"""Of the plan; operators' changes go back to them."""


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
