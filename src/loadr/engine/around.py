"""Setup and teardown, as one worker of the fleet carries them out: with a client and a VU of their own.

Takes the plan and what setup returned; gives the result as JSON, or words of what went wrong, and how many
requests were sent. Those are counted apart: they are in no metric of the run. Nothing is sent without a lease.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from loadr.clock import boottime_ns
from loadr.engine.channel import WorkerAround
from loadr.engine.client import HttpWorker
from loadr.engine.draws import stream_seed
from loadr.engine.faults import Fault
from loadr.engine.feeders import Feeder
from loadr.engine.fleet_values import fixed
from loadr.engine.flow import FlowContext, compile_flow
from loadr.engine.iterations import LEASE, FirstOfEach, describe_exception
from loadr.engine.loading import Scripts
from loadr.engine.page import LEASE_END, REQUESTS_STARTED, new_words
from loadr.engine.recorder import Recorder
from loadr.engine.signals import IterationAborted
from loadr.engine.vu import Vu
from loadr.errors import ScriptFault
from loadr.masking import Secrets
from loadr.plan.model import Around, Plan
from loadr.units import NS_PER_S, format_duration_ns

MAX_RESULT_BYTES = 64 * 1024
LEASE_TURN_S = 0.01


class _NoRows(dict[str, Feeder]):
    def __missing__(self, data: str) -> Feeder:
        raise ScriptFault(f"rows of {data!r} belong to iterations; a setup or teardown has none")


async def carry_out(
    what: str, plan: Plan, scripts: Scripts, files_dir: str, words: memoryview[int], secrets: Secrets, data: bytes
) -> WorkerAround:
    """``what``: "setup" or "teardown". ``words``: the page of the worker, for the lease. Never raises."""
    around = plan.setup if what == "setup" else plan.teardown
    recorder = Recorder([what], new_words(), mask=secrets.mask)
    http = HttpWorker(asyncio.get_running_loop(), recorder, words, files_dir=files_dir)
    fault, detail, result = int(Fault.NONE), "", b""
    try:
        if around is None:
            raise ScriptFault(f"the plan has no {what}")
        setup = fixed(json.loads(data)) if data else None
        scenario = recorder.scenario(what)
        vu = Vu(
            -1,
            http.http(scenario, plan.defaults.http),
            scenario,
            env=plan.env,
            feeders=_NoRows(),
            stream=stream_seed(plan.seed, what),
            open_model=True,
            secrets=secrets,
            setup=setup,
        )
        vu.iteration = 0
        function = _function(what, around, plan, scripts, vu, secrets)
        async with asyncio.timeout(around.timeout_ns / NS_PER_S) as limit:
            while words[LEASE_END] <= boottime_ns():  # noqa: ASYNC110 - a word of shared memory
                await asyncio.sleep(LEASE_TURN_S)
            returned = (
                await function(vu) if what == "setup" or around.flow is not None else await function(vu, setup)
            )
        result = _as_json(returned) if what == "setup" else b""
    except IterationAborted as abort:
        fault = Fault.SCRIPT
        detail = "the lease ended: no word from the controller" if abort.reason == LEASE else abort.detail
    except TimeoutError as error:
        fault, detail = Fault.SCRIPT, describe_exception(error)
        if limit.expired() and around is not None:
            fault, detail = Fault.TIMEOUT, f"it took longer than {format_duration_ns(around.timeout_ns)}"
    except ScriptFault as error:
        fault, detail = Fault.SCRIPT, f"{error.message}; {error.hint}" if error.hint else error.message
    except BaseException as error:  # noqa: BLE001 - also SystemExit: a script does not end the worker
        fault, detail = Fault.SCRIPT, describe_exception(error)
    requests = recorder.scenario(what).counts[REQUESTS_STARTED]
    await http.close()
    return WorkerAround(what, int(fault), secrets.mask(detail), result, requests)


def _function(
    what: str, around: Around, plan: Plan, scripts: Scripts, vu: Vu, secrets: Secrets
) -> Callable[..., Awaitable[Any]]:
    if around.flow is None:
        assert around.script is not None
        return scripts.around(what, around.script)
    tell = FirstOfEach(lambda words: None)  # the flow ends with the same words
    context = FlowContext(vu.scenario, plan.defaults.http, plan.env, {}, tell, secrets)
    return compile_flow(around.flow, context, returns=around.extracts if what == "setup" else ()).run


def _as_json(returned: object) -> bytes:
    try:
        data = json.dumps(returned, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ScriptFault(
            f"what setup returned can not be sent to the fleet: {error}",
            hint="return what JSON can hold: texts, numbers, lists and dicts with texts as keys",
        ) from None
    if len(data) > MAX_RESULT_BYTES:
        raise ScriptFault(
            f"what setup returned has {len(data):,} bytes as JSON; at most 64 KiB can be sent to the fleet",
            hint="return keys, and keep the rows in a data set",
        )
    return data
