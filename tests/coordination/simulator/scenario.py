"""Scenarios: what is drawn from a seed, plays the same each time, and is written to a file when it fails."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

HEALED_S = 25.0

KINDS = (
    "cut",
    "half_open",
    "block",
    "block_up",
    "block_down",
    "refuse",
    "repeat",
    "crash",
    "freeze",
    "freeze_controller",
    "crash_controller",
    "wall_step",
    "worker_lost",
    "drain",
    "stop",
    "kill",
    "pause",
    "resume",
    "rate",
    "factor",
    "scale",
)
CHANGES = ("pause", "resume", "rate", "factor", "scale")
HARMLESS = (*CHANGES, "wall_step", "repeat", "drain")
RARE = {"crash_controller": 0.15, "stop": 0.15, "kill": 0.1, "drain": 0.6}


@dataclass
class Fault:
    """``for_s``: how long; of a crash: until the restart (0: never). ``agent``: which one. ``value``: of a
    change."""

    at_s: float
    kind: str
    agent: int = -1
    for_s: float = 0.0
    value: str = ""


@dataclass
class AgentSetting:
    """``latency_ms``: up and down. ``slow_ms``: how late its workers may report a second."""

    latency_ms: tuple[float, float]
    jitter_ms: float
    offset_s: float
    drift_ppm: int
    wall_error_ms: int
    slow_ms: int
    prepare_fails: bool = False
    joins_at_s: float = 0.0
    workers: int = 2


@dataclass
class Scenario:
    """One story. Times in seconds of true time."""

    seed: int
    rate: float
    duration_s: int
    lease_s: int
    graceful_s: int
    poisson: bool
    file_kb: int
    loopback: bool
    controller_drift_ppm: int
    agents: list[AgentSetting]
    faults: list[Fault] = field(default_factory=list)
    note: str = ""
    policy: str = "redistribute"
    values: bool = False  # it has setup, teardown, rows in blocks, and VUs that meet

    @property
    def is_calm(self) -> bool:
        """Agents are near, and nothing happens that costs load: the schedule must be kept to the unit."""
        near = all(max(each.latency_ms) <= 2.0 and each.jitter_ms <= 20.0 for each in self.agents)
        harmless = all(fault.kind in HARMLESS for fault in self.faults)
        return near and harmless and self.policy == "redistribute" and not self.poisson

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Scenario:
        agents = [AgentSetting(**{**each, "latency_ms": tuple(each["latency_ms"])}) for each in data["agents"]]
        return cls(**{**data, "agents": agents, "faults": [Fault(**each) for each in data["faults"]]})

    @classmethod
    def read(cls, path: Path) -> Scenario:
        return cls.of(json.loads(path.read_text()))


def draw(seed: int) -> Scenario:
    """A scenario of a seed: each draws its own weather, some of it calm, some faults never."""
    rng = random.Random(f"scenario {seed}")
    lease_s = rng.choice((3, 5, 10, 10))
    scenario = Scenario(
        seed=seed,
        rate=rng.choice((3.0, 10.0, 20.0)),
        duration_s=rng.choice((rng.randrange(2, 10), rng.randrange(5, 20), rng.randrange(15, 35))),
        lease_s=lease_s,
        graceful_s=rng.choice((0, 1, 3)),
        poisson=rng.random() < 0.3,
        file_kb=rng.choice((0, 0, 1, 300, 900)),
        loopback=rng.random() < 0.3,
        controller_drift_ppm=rng.randrange(-240, 241),
        agents=[_draw_agent(rng) for _ in range(rng.choice((1, 2, 2, 3, 4)))],
        policy=rng.choice(("redistribute",) * 8 + ("continue", "abort")),
        values=random.Random(f"values {seed}").random() < 0.5,
    )
    if rng.random() < 0.5:
        for agent in scenario.agents[1:]:
            if rng.random() < 0.5:
                agent.joins_at_s = round(rng.uniform(1.0, HEALED_S - 5), 3)
    kind_of_story = rng.random()
    if kind_of_story < 0.2:  # near agents, and nothing that costs load
        _calm(rng, scenario)
        return scenario
    if kind_of_story < 0.3 and len(scenario.agents) > 1:
        _deaf(rng, scenario)
        return scenario
    if rng.random() < 0.15:
        return scenario
    weights = {kind: rng.choice((0.0, 0.0, 0.3, 1.0)) * RARE.get(kind, 1.0) for kind in KINDS}
    if not any(weights.values()):
        weights["cut"] = 1.0
    for _ in range(rng.choice((1, 1, 2, 3, 5, 8))):
        kind = rng.choices(list(weights), list(weights.values()))[0]
        at_s = rng.uniform(0.0, HEALED_S - 3) if rng.random() < 0.7 else rng.uniform(0.9, 4.0)
        longest = HEALED_S - at_s
        for_s = min(
            longest, rng.choice((0.05, 0.5, 1.0, 0.8 * lease_s, 1.5 * lease_s, 20.0)) * rng.uniform(0.5, 1.5)
        )
        if kind == "crash" and rng.random() < 0.4:
            for_s = 0.0
        value = _value(rng, kind)
        agent = rng.randrange(len(scenario.agents))
        scenario.faults.append(Fault(round(at_s, 3), kind, agent, round(for_s, 3), value))
    scenario.faults.sort(key=lambda fault: fault.at_s)
    return scenario


def _calm(rng: random.Random, scenario: Scenario) -> None:
    for agent in scenario.agents:
        agent.latency_ms = (round(rng.uniform(0.05, 2.0), 3), round(rng.uniform(0.05, 2.0), 3))
        agent.jitter_ms = 1.0
        agent.prepare_fails = False
    scenario.policy = "redistribute"
    for _ in range(rng.choice((0, 1, 2, 4))):
        kind = rng.choice((*CHANGES, "drain"))
        last = len(scenario.agents) - 1
        if kind == "drain" and (last == 0 or scenario.agents[last].joins_at_s):
            continue
        at_s = round(rng.uniform(2.0, HEALED_S - 3), 3)
        scenario.faults.append(Fault(at_s, kind, last, 0.0, _value(rng, kind)))
    scenario.faults.sort(key=lambda fault: fault.at_s)


def _deaf(rng: random.Random, scenario: Scenario) -> None:
    """An agent hears too late of a change that puts off what it has begun; then its load moves."""
    lease_s = scenario.lease_s
    scenario.duration_s = rng.randrange(10, 30)
    at_s = rng.uniform(2.5, 8.0)
    deaf = rng.randrange(len(scenario.agents))
    kind = rng.choice(("block_down", "block_down", "refuse", "freeze", "half_open"))
    for_s = rng.choice((0.3, 0.6, 0.9, 1.5)) * lease_s
    scenario.agents[deaf].joins_at_s = 0.0
    scenario.faults.append(Fault(round(at_s, 3), kind, deaf, round(for_s, 3)))
    slower = rng.choice(("pause", "factor", "rate"))
    value = {"factor": rng.choice(("0", "0.2", "0.5")), "rate": "1"}.get(slower, "")
    change_s = at_s + rng.uniform(-0.4, 1.0)
    scenario.faults.append(Fault(round(change_s, 3), slower, 0, 0.0, value))
    moves_s = at_s + for_s + rng.uniform(-1.0, 4.0)
    moves = rng.choice(("crash", "drain", "join", "nothing"))
    if moves == "join":
        other = (deaf + 1) % len(scenario.agents)
        scenario.agents[other].joins_at_s = round(moves_s, 3) if len(scenario.agents) > 2 else 0.0
    elif moves != "nothing":
        scenario.faults.append(Fault(round(min(moves_s, HEALED_S - 1), 3), moves, deaf, 0.0))
    if slower == "pause":
        resume_s = min(moves_s + rng.uniform(0.5, 4.0), HEALED_S - 1)
        scenario.faults.append(Fault(round(resume_s, 3), "resume"))
    scenario.faults.sort(key=lambda fault: fault.at_s)


def _value(rng: random.Random, kind: str) -> str:
    values = {"rate": ("1", "5", "40"), "factor": ("0", "0.5", "3"), "scale": ("1", "7", "60")}
    return rng.choice(values[kind]) if kind in values else ""


def _draw_agent(rng: random.Random) -> AgentSetting:
    near = rng.random() < 0.5
    top = 2.0 if near else 300.0
    return AgentSetting(
        latency_ms=(round(rng.uniform(0.05, top), 3), round(rng.uniform(0.05, top), 3)),
        jitter_ms=rng.choice((0.0, 1.0, 20.0 if near else 200.0)),
        offset_s=rng.uniform(-1e6, 1e6),
        drift_ppm=rng.randrange(-240, 241),
        wall_error_ms=rng.choice((0, 5000, -5000, 3_600_000, -3_600_000)),
        slow_ms=rng.choice((1, 150, 1500)),
        prepare_fails=rng.random() < 0.03,
        workers=rng.choice((1, 2, 4)),
    )
