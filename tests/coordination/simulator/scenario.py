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
)
RARE = {"crash_controller": 0.15, "drain": 0.3, "stop": 0.3, "worker_lost": 0.3, "crash": 0.5}


@dataclass
class Fault:
    """``for_s``: how long; of a crash: until the restart (0: never). ``agent``: which one."""

    at_s: float
    kind: str
    agent: int = -1
    for_s: float = 0.0


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
        duration_s=rng.randrange(2, 20),
        lease_s=lease_s,
        graceful_s=rng.choice((0, 1, 3)),
        poisson=rng.random() < 0.3,
        file_kb=rng.choice((0, 0, 1, 300, 900)),
        loopback=rng.random() < 0.3,
        controller_drift_ppm=rng.randrange(-240, 241),
        agents=[_draw_agent(rng) for _ in range(rng.choice((1, 1, 2, 3, 4)))],
    )
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
        scenario.faults.append(Fault(round(at_s, 3), kind, rng.randrange(len(scenario.agents)), round(for_s, 3)))
    scenario.faults.sort(key=lambda fault: fault.at_s)
    return scenario


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
    )
