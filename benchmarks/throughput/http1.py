"""CPU per request over HTTP/1.1 beside wrk: one core, same target, same connections, in turns.

    .venv/bin/python benchmarks/throughput/http1.py [--rounds 5] [--seconds 3]

nginx answers 60 bytes of JSON on core 1; contestants run on core 0, closed loop, keep-alive, 50 connections, one
check per request. "client" is the engine's client alone, in one process; "loadr run" is everything: controller,
agent and one worker together. The goal is 1.5 times wrk for a YAML plan and 1.7 times for an ``async def``.
Ratios are within one round, medians over rounds; with a busy neighbour look at the lowest.

CPU is what a load lasts and not what a start costs: the client measures from its first request on; of ``loadr
run`` a short run is subtracted from a long one (its start has a benchmark of its own, startup.py).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from functools import partial
from pathlib import Path

from nginx import Nginx, missing
from rounds import Turn, compete, run_pinned, run_wrk, table

_CLIENT = Path(__file__).parent / "client.py"
_CONNECTIONS = 50
_SHORT_S = 1.0
_YAML = """
scenarios:
  bench:
    executor: constant-vus
    vus: {vus}
    duration: {seconds}s
    flow: [ {{ request: {{ get: "{url}", name: root, check: {{ status: 200 }} }} }} ]
"""
_SCRIPT = """
from loadr import check, constant_vus, scenario

@scenario(constant_vus(vus={vus}, duration="{seconds}s"))
async def bench(vu):
    page = await vu.http.get("{url}", name="root")
    check(page, "status is 200", page.status == 200)
"""


def run_engine(core: int, url: str, style: str, seconds: float) -> Turn:
    """The engine in a process of its own; its CPU time is without the start of the interpreter."""
    command = [sys.executable, str(_CLIENT), url, "--style", style, "--vus", str(_CONNECTIONS)]
    output, _ = run_pinned(core, [*command, "--seconds", str(seconds)])
    told = json.loads(output)
    if told["failures"]:
        sys.exit(f"{told['failures']} requests failed: this measures nothing")
    return Turn(told["requests"], told["cpu_s"], told["wall_s"])


def run_loadr(core: int, url: str, plan: str, suffix: str, seconds: float) -> Turn:
    """``loadr run`` with one worker: what a run of so many seconds costs more than a short one."""
    short, long = (_loadr_once(core, url, plan, suffix, length) for length in (_SHORT_S, _SHORT_S + seconds))
    return Turn(long.requests - short.requests, long.cpu_s - short.cpu_s, seconds)


def _loadr_once(core: int, url: str, plan: str, suffix: str, seconds: float) -> Turn:
    with tempfile.TemporaryDirectory() as folder:
        path, summary = Path(folder) / f"bench.{suffix}", Path(folder) / "summary.json"
        path.write_text(plan.format(url=url, vus=_CONNECTIONS, seconds=seconds))
        loadr = str(Path(sys.executable).parent / "loadr")
        command = [loadr, "run", str(path), "--workers", "1", "--quiet", "--summary-export", str(summary)]
        _, cpu_s = run_pinned(core, command)
        metrics = json.loads(summary.read_text())["metrics"]
    if metrics["http_req_failed"]["passes"]:
        sys.exit("requests failed: this measures nothing")
    return Turn(metrics["http_reqs"]["count"], cpu_s, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    given = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    reason = missing("nginx", "wrk") or ("" if len(cores) > 1 else "it needs two cores")
    if reason:
        print(f"skipped: {reason}")
        return
    with Nginx(cores[1]) as nginx:
        turns = compete(
            {
                "wrk": partial(run_wrk, cores[0], nginx.url, _CONNECTIONS, given.seconds),
                "client, as a flow": partial(run_engine, cores[0], nginx.url, "seam", given.seconds),
                "client, as a script": partial(run_engine, cores[0], nginx.url, "script", given.seconds),
                "loadr run, YAML": partial(run_loadr, cores[0], nginx.url, _YAML, "yaml", given.seconds),
                "loadr run, async def": partial(run_loadr, cores[0], nginx.url, _SCRIPT, "py", given.seconds),
            },
            given.rounds,
        )
    print(table(turns))
    print(f"load average during the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
