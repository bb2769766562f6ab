"""One contestant: the engine's client in a process of its own, without plan, pool and control channel.

Takes a URL, a style, a number of VUs and seconds; prints one line of JSON with requests, failures, CPU seconds
(user and system, without the start of the interpreter) and wall seconds. ``seam`` is what a compiled flow does,
``script`` what an ``async def`` of a user does; both make one check per request. Recording and the bucketing at
each second are as in a worker.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource

import uvloop

from loadr.clock import boottime_ns
from loadr.engine.channel import SecondSlice
from loadr.engine.checks import check
from loadr.engine.client import Http, HttpWorker
from loadr.engine.memory import settle
from loadr.engine.page import LEASE_END, REQUESTS_STARTED, Page
from loadr.engine.recorder import Recorder
from loadr.engine.requests import prepare
from loadr.plan.model import HttpDefaults


async def drive(url: str, style: str, vus: int, seconds: float) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    page = Page.create()
    page.words[LEASE_END] = 2**62
    recorder = Recorder(["bench"], page.words)
    worker = HttpWorker(loop, recorder, page.words)
    scenario = recorder.scenario("bench")
    defaults = HttpDefaults(base_url=url, tls_verify=False)
    prepared = prepare("GET", "/", base_url=url)
    stopped = False

    async def seam(http: Http) -> None:
        series, target, head = scenario.request("GET", "/"), prepared.target, prepared.head()
        counter = scenario.check("status is 200")
        while not stopped:
            response = await http.send(series, target, head)
            if response.status == 200:
                counter.passes += 1
            else:
                counter.fails += 1

    async def script(http: Http) -> None:
        while not stopped:
            page = await http.get("/", name="root")
            check(page, "status is 200", page.status == 200)

    slices: list[SecondSlice] = []
    failed_ids: set[int] = set()
    start_at = boottime_ns()

    def take(*, whole: bool) -> None:
        new_series, new_slices = recorder.take(start_at, boottime_ns(), whole=whole)
        failed_ids.update(new.id for new in new_series if new.metric == "http_req_failed")
        slices.extend(new_slices)

    def each_second() -> None:
        take(whole=True)
        if not stopped:
            loop.call_later(1, each_second)

    def stop() -> None:
        nonlocal stopped
        stopped = True

    loop.call_later(1, each_second)
    loop.call_later(seconds, stop)
    settle()
    before = resource.getrusage(resource.RUSAGE_SELF)
    await asyncio.gather(
        *((seam if style == "seam" else script)(worker.http(scenario, defaults)) for _ in range(vus))
    )
    after = resource.getrusage(resource.RUSAGE_SELF)
    end_at = boottime_ns()
    take(whole=False)
    await worker.close()
    return {
        "requests": scenario.counts[REQUESTS_STARTED],
        "failures": sum(rate[1] for slice_ in slices for rate in slice_.rates if rate[0] in failed_ids),
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "wall_s": (end_at - start_at) / 1e9,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--style", choices=("seam", "script"), default="seam")
    parser.add_argument("--vus", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=3.0)
    given = parser.parse_args()
    print(json.dumps(uvloop.run(drive(given.url, given.style, given.vus, given.seconds))))


if __name__ == "__main__":
    main()
