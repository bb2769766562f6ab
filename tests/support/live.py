"""A live run on a real fleet, and what the target saw of it, iteration by iteration.

The plans here ask for a path that ends with the iteration's number, so that the target's record says which
iteration arrived when, and how often. Instants are seconds of the run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadr.clock import boottime_ns
from loadr.plan.loader import load_plan
from loadr.plan.model import ConstantVus
from loadr.schedule.arrivals import Arrivals
from loadr.testing.process import TargetProcess
from support.fleet import LOADR, Fleet, await_condition
from support.plans import assert_balanced, read_summary, scenario_accounts, write_steady

NAMED = """
import os

from loadr import constant_arrival_rate, scenario

WHO = f"{os.environ.get('WHO', 'nobody')}.{os.getpid()}"


@scenario(constant_arrival_rate(rate=1, duration="1s", max_vus=1))
async def steady(vu):
    await vu.http.get(f"/{WHO}/{vu.iteration}", name="steady")
"""


def target_with_record() -> TargetProcess:
    """A target that keeps what arrived when."""
    return TargetProcess("--record-arrivals", "9999")


def write_counted(folder: Path, url: str, *, rate: int, seconds: int, lease: str, extra: str = "") -> Path:
    """Evenly spaced arrivals of ``/i/<iteration>``."""
    return write_steady(folder, url, rate=rate, seconds=seconds, lease=lease, extra=extra, path="/i/${iteration}")


def write_named(folder: Path, url: str, *, rate: int, seconds: int, lease: str, extra: str = "") -> Path:
    """Evenly spaced arrivals of ``/<WHO of the agent>.<pid of the worker>/<iteration>``."""
    (folder / "steady.py").write_text(NAMED)
    path = write_steady(folder, url, rate=rate, seconds=seconds, lease=lease, extra=extra)
    head, flow, tail = re.split(r"    (flow:\n.*\n)", path.read_text())
    assert "request" in flow
    path.write_text(f"{head}    script: steady.py\n{tail}")
    return path


@dataclass(frozen=True)
class Seen:
    """One request at the target."""

    at_s: float
    planned_s: float
    who: str
    iteration: int


@dataclass(frozen=True)
class Outcome:
    """A run that is over."""

    code: int
    said: str
    summary: dict[str, Any]
    seen: list[Seen]
    total: int  # by the target's own count
    planned_s: list[float]  # of every iteration of the plan

    @property
    def loadr(self) -> dict[str, Any]:
        found = self.summary["loadr"]
        assert isinstance(found, dict)
        return found

    @property
    def account(self) -> Mapping[str, int]:
        """Of the only scenario."""
        (account,) = scenario_accounts(self.summary).values()
        return account

    @property
    def reported(self) -> int:
        return int(self.summary["metrics"].get("http_reqs", {"count": 0})["count"])

    def agent(self, name: str) -> dict[str, Any]:
        (line,) = [line for line in self.loadr["agents"] if line["name"] == name]
        return dict(line)

    @property
    def missing_at_most(self) -> int:
        """The bound that the summary gives."""
        bounds = [line["missing_at_most"] for line in self.loadr["agents"]]
        assert None not in bounds, self.said
        return sum(bounds)

    def assert_books(self) -> None:
        """They balance, the agents planned what the schedule has, and no iteration arrived twice."""
        assert_balanced(self.summary)
        assert self.loadr["accounting"]["balanced"]
        twice = [i for i, times in Counter(seen.iteration for seen in self.seen).items() if times > 1]
        assert twice == []
        assert len(self.seen) == self.total

    def assert_exact(self) -> None:
        """Nothing is missing from the totals, whatever happened on the way."""
        self.assert_books()
        assert (self.reported, self.missing_at_most) == (self.total, 0), self.said
        assert self.account["lost"] == 0
        assert self.total == self.account["started"]

    def assert_within_bound(self) -> None:
        """What is missing from the totals is not more than the summary says."""
        self.assert_books()
        assert 0 <= self.total - self.reported <= self.missing_at_most, self.said

    def not_seen(self, from_s: float, to_s: float) -> list[int]:
        """Iterations that were planned in [from, to) and never arrived."""
        arrived = {seen.iteration for seen in self.seen}
        planned = enumerate(self.planned_s)
        return [i for i, at_s in planned if from_s <= at_s < to_s and i not in arrived]

    def dropped(self, from_s: float, to_s: float) -> int:
        """What a busy machine dropped in the seconds of the timeline that touch [from, to)."""
        points = self.loadr["timeline"]
        return sum(point["dropped"] for point in points if point["t1_s"] > from_s and point["t0_s"] < to_s)

    def assert_on_target(self, from_s: float, to_s: float) -> None:
        """In every second of the plan in between, 95 % of what was planned arrived; what a busy machine dropped
        was counted, and is no hole."""
        assert to_s - from_s >= 1
        second = from_s
        while second + 1 <= to_s:
            planned = sum(second <= at_s < second + 1 for at_s in self.planned_s)
            missing = len(self.not_seen(second, second + 1))
            excused = self.dropped(second, second + 1.5)  # it is counted when it is noticed
            where = f"{missing} of {planned} are missing in the second from {second:g}, {excused} were dropped"
            assert missing <= max(planned * 0.05, excused), where
            second += 1


class LiveRun:
    """``loadr run PLAN --controller …`` under way. Everything in it may be waited for, with a limit."""

    def __init__(self, fleet: Fleet, target: TargetProcess, plan: Path) -> None:
        self._target = target
        self._export = plan.parent / "summary.json"
        loaded = load_plan(plan)
        ((name, scenario),) = loaded.plan.scenarios.items()
        assert not isinstance(scenario, ConstantVus)
        self._planned_ns: list[int] = Arrivals(name, scenario, loaded.plan.seed).chunk(0)[1].tolist()
        flags = ["--controller", fleet.api, "--quiet", "--summary-export", str(self._export)]
        self._process = fleet.start([*LOADR, "run", str(plan), *flags], f"run-{len(fleet.processes)}")
        await_condition(lambda: len(self._arrivals()) >= 20 or self._is_over, "load arrives")
        assert not self._is_over, self._process.said
        # The instant that fits the most punctual of these requests.
        self._start_ns = min(at_ns - self._planned_ns[iteration] for at_ns, _, iteration in self._arrivals())

    @property
    def _is_over(self) -> bool:
        return self._process.popen.poll() is not None

    def _arrivals(self) -> list[tuple[int, str, int]]:
        """(instant, who, iteration), oldest first."""
        counters = self._target.counters()
        out = []
        for at_ns, path in zip(counters["arrivals_ns"], counters["arrival_paths"], strict=True):
            _, who, iteration = path.split("/")
            out.append((at_ns, who, int(iteration)))
        return out

    @property
    def now_s(self) -> float:
        return (boottime_ns() - self._start_ns) / 1e9

    def until(self, run_s: float) -> None:
        """Till the run is so old."""
        await_condition(lambda: self.now_s >= run_s, f"{run_s:.1f} s of the run")

    def await_words(self, fleet: Fleet, pattern: str) -> float:
        """Until the controller has said something; when that was, roughly."""
        fleet.controller.await_words(pattern)
        return self.now_s

    def await_arrivals(self, who: str, count: int) -> None:
        """Until so many requests of an agent have arrived."""
        await_condition(
            lambda: sum(name.startswith(who) for _, name, _ in self._arrivals()) >= count,
            f"{count} requests of {who}",
        )

    def await_quiet(self, who: str) -> float:
        """Until nothing has come from an agent for half a second; when that was."""
        quiet_ns = 500_000_000

        def is_quiet() -> bool:
            last_ns = max(at_ns for at_ns, name, _ in self._arrivals() if name.startswith(who))
            return boottime_ns() - last_ns > quiet_ns

        await_condition(is_quiet, f"{who} is quiet")
        return self.now_s

    def await_gone(self, pid: int) -> None:
        """Until a process has ended and was reaped."""
        await_condition(lambda: not Path(f"/proc/{pid}").exists(), f"process {pid} is gone")

    def end(self, limit_s: float = 60.0) -> Outcome:
        """Wait for it. ``planned_s`` is of the plan as it was at the start."""
        await_condition(lambda: self._is_over, "the run ends", limit_s)
        arrivals = self._arrivals()
        seen = [
            Seen((at_ns - self._start_ns) / 1e9, self._planned_ns[iteration] / 1e9, who, iteration)
            for at_ns, who, iteration in arrivals
        ]
        summary = read_summary(self._export) if self._export.exists() else {}
        planned_s = [at_ns / 1e9 for at_ns in self._planned_ns]
        total = self._target.counters()["total"]
        return Outcome(self._process.popen.returncode, self._process.said, summary, seen, total, planned_s)
