"""1,000 simulated agents against one controller: its CPU, lateness and memory, and a reconnect of all at once.

    .venv/bin/python benchmarks/coordination/fleet.py [--agents 1000] [--seconds 60] [--minutes M] [--drivers 2]

Each agent delivers five trends of 1,000 samples, five of 100 and 20 counters per second, over real gRPC on
loopback; agents are real but for their engine (see fleet_agents.py), several hundred in a process. They share the
machine with the controller, so its cost is its own CPU time (all of its processes), not what the clock says;
its lateness includes that it has to wait for a core that an agent has. A watcher asks for the live view twice a
second, as `loadr run` does. The first `WARM_UP_S` seconds of the run are not counted. At two thirds of the run
all links are cut in the same instant; the seconds around that are told apart.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadr.api.client import ControllerClient

HERE = Path(__file__).parent
WARM_UP_S = 10
STORM_S = 12  # that the cut may be felt
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """User and system time of a process and of all below it."""
    total = 0.0
    waiting = [pid]
    while waiting:
        at = waiting.pop()
        try:
            fields = Path(f"/proc/{at}/stat").read_text().rpartition(")")[2].split()
            for task in Path(f"/proc/{at}/task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += (int(fields[11]) + int(fields[12])) / TICKS_PER_S
    return total


@dataclass(slots=True)
class Seen:
    """One second of the run, as the probe told it, and what the controller and the agents used meanwhile."""

    elapsed_s: float
    controller_cores: float
    agents_cores: float
    lag_ms: float
    own_lag_ms: float
    rss_mb: float
    merged_ms: list[float]


@dataclass(slots=True)
class Measured:
    seconds: list[Seen] = field(default_factory=list)
    all_online_ms: int = 0
    cut_s: float = 0.0
    reconnected_ms: int | None = None
    result: dict[str, Any] = field(default_factory=dict)

    def calm(self) -> list[Seen]:
        """Without the warm-up and without what the cut did."""
        return [
            seen
            for seen in self.seconds
            if seen.elapsed_s > WARM_UP_S + 1 and not self.cut_s <= seen.elapsed_s <= self.cut_s + STORM_S
        ]

    def stormy(self) -> list[Seen]:
        return [seen for seen in self.seconds if self.cut_s <= seen.elapsed_s <= self.cut_s + STORM_S]


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    # In a session of its own, as somebody else's process would be: the kernel shares its cores among sessions.
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )


def tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def watch(api: str, run_id: str, stop: threading.Event) -> None:
    """What `loadr run --controller` does while it waits."""
    client = ControllerClient(api)
    while not stop.wait(0.5):
        client.view(run_id)


def measure(agents: int, seconds: int, drivers: int, watched: bool) -> Measured:
    out = Measured(cut_s=float(seconds * 2 // 3))
    controller = start("fleet_controller.py", agents, seconds)
    fleet: list[subprocess.Popen[str]] = []
    stop = threading.Event()
    watcher: threading.Thread | None = None
    try:
        assert controller.stdout is not None
        api, was_cut, last = "", False, (time.monotonic(), 0.0, 0.0)
        for line in controller.stdout:
            told: dict[str, Any] = json.loads(line)
            if "join" in told:
                api = told["api"]
                share = -(-agents // drivers)
                fleet += [
                    start("fleet_agents.py", told["join"], first, min(share, agents - first))
                    for first in range(0, agents, share)
                ]
            elif "all_online_ms" in told:
                out.all_online_ms = told["all_online_ms"]
            elif "run_id" in told and watched:
                watcher = threading.Thread(target=watch, args=(api, told["run_id"], stop), daemon=True)
                watcher.start()
            elif "reconnected_ms" in told:
                out.reconnected_ms = told["reconnected_ms"]
            elif "verdict" in told:
                out.result = told
                break
            elif "elapsed_s" in told:
                now = (time.monotonic(), cpu_s(controller.pid), sum(cpu_s(each.pid) for each in fleet))
                length_s = now[0] - last[0]
                own, others = ((now[at] - last[at]) / length_s for at in (1, 2))
                last = now
                merged_ms = [late_ms for _, late_ms in told["merged"]]
                out.seconds.append(
                    Seen(
                        told["elapsed_s"],
                        own,
                        others,
                        told["lag_ms"],
                        told["own_lag_ms"],
                        told["rss_mb"],
                        merged_ms,
                    )
                )
                facts = (
                    f"{told['elapsed_s']:7.1f} s  {told['online']:5} online  {own:4.2f} cores",
                    f"agents {others:4.2f}  lag {told['lag_ms']:5.0f} ms",
                    f"late {max(merged_ms, default=0):5.0f} ms  {told['rss_mb']:.0f} MB ",
                )
                print("\r" + "  ".join(facts), end="", file=sys.stderr, flush=True)
                if not was_cut and told["elapsed_s"] >= out.cut_s:
                    was_cut = True
                    tell(controller, "cut")
                    for each in fleet:
                        tell(each, "cut")
        print(file=sys.stderr)
    finally:
        stop.set()
        if watcher is not None:
            watcher.join(15)
        for process in [*fleet, controller]:
            assert process.stdin is not None
            process.stdin.close()
        for process in [*fleet, controller]:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    return out


def row(name: str, values: list[float], unit: str, digits: int = 0) -> str:
    if not values:
        return f"{name:<44} {'-':>9} {'-':>9}"
    middle, worst = statistics.median(values), max(values)
    return f"{name:<44} {middle:>9.{digits}f} {worst:>9.{digits}f}  {unit}"


def report(measured: Measured, agents: int) -> None:
    calm, stormy = measured.calm(), measured.stormy()
    print(f"{agents} agents, each 5 trends of 1,000 samples, 5 of 100 and 20 counters per second")
    print(f"{'after the warm-up, second by second':<44} {'median':>9} {'worst':>9}")
    print(row("controller, all processes", [seen.controller_cores for seen in calm], "cores", 2))
    print(
        row("  for each agent and second", [seen.controller_cores / agents * 1e6 for seen in calm], "µs of CPU")
    )
    print(row("loop that grants leases, late by", [seen.lag_ms for seen in calm], "ms"))
    print(row("  of that, itself at work", [seen.own_lag_ms for seen in calm], "ms"))
    print(row("a merged second is published, late by", [ms for seen in calm for ms in seen.merged_ms], "ms"))
    print(row("simulated agents, beside it", [seen.agents_cores for seen in calm], "cores", 2))
    if len(calm) >= 4:
        third = max(1, len(calm) // 3)
        early, late = ([seen.rss_mb for seen in part] for part in (calm[:third], calm[-third:]))
        print(row("memory, first third", early, "MB"))
        print(row("memory, last third", late, "MB"))
    print(f"{agents} agents join for the first time: all online after {measured.all_online_ms} ms")
    if measured.reconnected_ms is None:
        print("not all agents came back after the cut")
    else:
        print(f"all links cut at once: all online again after {measured.reconnected_ms} ms")
    print(row("  loop late meanwhile by", [seen.lag_ms for seen in stormy], "ms"))
    print(row("  a second published meanwhile, late by", [ms for seen in stormy for ms in seen.merged_ms], "ms"))
    result = measured.result
    wrong = result.get("differences", ["no result"])
    exact = "bit-equal to one recorder's" if not wrong else f"WRONG in {', '.join(wrong)}"
    print(f"verdict {result.get('verdict')}: {result.get('requests')} requests; totals {exact}")
    if result.get("verdict") != "passed":
        print(result.get("headline"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=60, help="of load")
    parser.add_argument("--minutes", type=float, help="of load, instead of --seconds")
    parser.add_argument("--drivers", type=int, default=2, help="processes that the agents are spread over")
    parser.add_argument("--unwatched", action="store_true", help="nobody asks for the live view")
    given = parser.parse_args()
    seconds = int(given.minutes * 60) if given.minutes else given.seconds
    report(measure(given.agents, seconds, given.drivers, not given.unwatched), given.agents)


if __name__ == "__main__":
    main()
