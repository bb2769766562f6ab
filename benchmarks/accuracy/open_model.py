"""Send accuracy of the open model: how late one worker starts iterations at 2,000 Poisson arrivals a second.

    .venv/bin/python benchmarks/accuracy/open_model.py [--rate 2000] [--seconds 10] [--rounds 3] [--target nginx]

The worker is alone on core 0, the target (nginx, or loadr's own) on core 1. Goal (docs: honest load, R4): lag
p50 ≤ 100 µs, p99 ≤ 500 µs. A busy neighbour shows here at once: look at the best round, and at the load average.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from one_worker import Result, run_on_one_worker

from loadr.plan.model import Plan
from loadr.testing.process import TargetProcess
from loadr.units import format_short_ns

sys.path.append(str(Path(__file__).parent.parent / "throughput"))
from nginx import Nginx, missing


@contextmanager
def serving(target: str, core: int) -> Iterator[str]:
    """The URL of a target on one core."""
    if target == "nginx":
        with Nginx(core) as nginx:
            yield nginx.url
        return
    with TargetProcess() as process:
        os.sched_setaffinity(process.pid, {core})
        yield process.url + "/"


def plan_of(url: str, rate: float, seconds: float) -> Plan:
    step = {"request": {"method": "GET", "url": url, "name": "item", "check": {"status": 200}}}
    return Plan.model_validate(
        {
            "seed": 1,
            "scenarios": {
                "open": {
                    "executor": "constant-arrival-rate",
                    "arrivals": "poisson",
                    "rate": rate,
                    "duration": seconds,
                    "pre_allocated_vus": 200,
                    "max_vus": 1000,
                    "flow": [step],
                }
            },
        }
    )


def show(result: Result) -> str:
    lag = result.trend("iteration_lag")
    (ledger,) = result.ledgers
    p50, p99, p999 = (format_short_ns(lag.quantile_ns(q)) for q in (0.5, 0.99, 0.999))
    balanced = ledger.planned == ledger.started + ledger.dropped + ledger.missed and lag.count == ledger.finished
    return (
        f"lag p50 {p50}, p99 {p99}, p99.9 {p999}, max {format_short_ns(lag.max_ns)}; "
        f"{ledger.started:,} of {ledger.planned:,} started, {ledger.dropped} dropped; "
        f"CPU {result.cpu_s / ledger.requests * 1e6:.1f} µs per request"
        f"{'' if balanced else '; THE BOOKS DO NOT BALANCE'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=2000.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--target", choices=("nginx", "loadr"), default="nginx")
    given = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    reason = (missing("nginx") if given.target == "nginx" else "") or (
        "" if len(cores) > 1 else "it needs two cores"
    )
    if reason:
        print(f"skipped: {reason}")
        return
    with serving(given.target, cores[1]) as url:
        plan = plan_of(url, given.rate, given.seconds)
        for _ in range(given.rounds):
            print(show(asyncio.run(run_on_one_worker(plan, cores[0]))), flush=True)
    print(f"load average during the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
