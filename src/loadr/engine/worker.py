"""The worker process: ``python -m loadr.engine.worker --channel-fd N --page-fd M --parent PID``.

Takes orders from its agent on the control channel (`loadr.engine.channel`) and answers on it; puts load on the
target under the lease in its page (`loadr.engine.page`). It is spawned ahead of any run, with its libraries
imported, serves one run, and leaves. It dies with its agent; the terminal's Ctrl-C is the agent's business.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

import pydantic
import uvloop

from loadr.clock import boottime_ns
from loadr.engine import memory
from loadr.engine.around import carry_out
from loadr.engine.channel import (
    ArmOrder,
    AroundOrder,
    ExitOrder,
    OrderMessage,
    PrepareOrder,
    ReportMessage,
    ReshareOrder,
    SetupOrder,
    ShareOrder,
    StartOrder,
    StopOrder,
    ValueOrder,
    WorkerArmed,
    WorkerDone,
    WorkerEvent,
    WorkerPrepared,
    WorkerReady,
    order_decoder,
)
from loadr.engine.client import HttpWorker
from loadr.engine.corpus import CorpusInvalid
from loadr.engine.faults import Fault
from loadr.engine.fleet_values import FleetValues
from loadr.engine.iterations import SCRIPT_EXCEPTION, describe_exception
from loadr.engine.link import Link
from loadr.engine.loading import Scripts, Surroundings, load
from loadr.engine.meetings import Meetings
from loadr.engine.page import ALIVE_AT, Page
from loadr.engine.recorder import Recorder
from loadr.engine.run import Run
from loadr.engine.second import SecondReport
from loadr.errors import ArgumentInvalid, InternalFault, LoadrError, PlanInvalid, ScriptFault
from loadr.masking import NO_SECRETS, Secrets, mask_output
from loadr.plan.model import Plan
from loadr.schedule.share import ScenarioShare

MAX_TOLD_CHARACTERS = 2_000
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_ENGINE = str(Path(__file__).parent)


class Worker:
    """The orders of an agent, carried out. What goes wrong with a plan is answered in words, never raised."""

    def __init__(self, loop: asyncio.AbstractEventLoop, page: Page) -> None:
        self._loop = loop
        self._page = page
        self._link: Link[OrderMessage] = Link(order_decoder, self._on_order, self._on_lost)
        self._run: Run | None = None
        self._secrets = NO_SECRETS
        self._values = FleetValues(self._link.send)
        self._plan: Plan | None = None
        self._files_dir = ""
        self._scripts: Scripts | None = None
        self._around: asyncio.Task[None] | None = None

    async def serve(self, channel: socket.socket) -> None:
        """Take up the channel and say that this worker is ready."""
        await self._link.attach(channel)
        self._page.words[ALIVE_AT] = boottime_ns()
        self._link.send(WorkerReady(pid=os.getpid()))

    def _on_order(self, order: OrderMessage) -> None:
        match order:
            case PrepareOrder():
                self._link.send(self._prepare(order))
            case ArmOrder():
                self._link.send(self._arm(order))
            case StartOrder():
                self._armed().start(order.start_boot_ns)
            case ReshareOrder():
                self._armed().reshare(_shares(order.shares), order.changes, order.revision)
            case AroundOrder():
                self._around = self._loop.create_task(self._carry_out(order))
            case SetupOrder():
                self._values.take_setup(order.data)
            case ValueOrder():
                self._values.give(order)
            case StopOrder():
                if self._run is None:
                    self._report(WorkerDone(ledgers=[], cause=order.cause))
                else:
                    self._run.stop(order.graceful, order.cause)
            case ExitOrder():
                self._link.close()

    def _prepare(self, order: PrepareOrder) -> WorkerPrepared:
        self._secrets = Secrets(order.secrets)
        mask_output(self._secrets)
        try:
            plan = Plan.from_json(order.plan_json)
            words = self._page.words
            recorder = Recorder(list(plan.scenarios), words, mask=self._secrets.mask)
            http = HttpWorker(self._loop, recorder, words, boottime_ns, files_dir=order.files_dir)
            around = Surroundings(
                self._loop,
                words,
                http,
                recorder,
                self._tell,
                secrets=self._secrets,
                values=self._values,
                meetings=Meetings(self._values, self._loop),
            )
            self._plan, self._files_dir = plan, order.files_dir
            self._scripts = Scripts(Path(order.files_dir))
            executors = load(plan, Path(order.files_dir), around, self._scripts)
        except BaseException as error:  # noqa: BLE001 - also what a script raises when it is imported
            fault, detail = _fault_of(error)
            return WorkerPrepared(fault, self._secrets.mask(detail))
        graceful_stops_ns = {name: scenario.graceful_stop_ns for name, scenario in plan.scenarios.items()}
        report = SecondReport(recorder)
        self._run = Run(executors, graceful_stops_ns, report, words, boottime_ns, self._loop, self._report)
        return WorkerPrepared()

    async def _carry_out(self, order: AroundOrder) -> None:
        if self._plan is None or self._scripts is None:
            raise InternalFault("an order for a setup or teardown came before the plan was prepared")
        words = self._page.words
        done = await carry_out(
            order.what, self._plan, self._scripts, self._files_dir, words, self._secrets, order.data
        )
        self._link.send(done)

    def _arm(self, order: ArmOrder) -> WorkerArmed:
        try:
            self._armed().arm(_shares(order.shares), order.changes)
        except (LoadrError, OSError, ValueError) as error:
            fault, detail = _fault_of(error)
            return WorkerArmed(fault, detail)
        memory.settle()
        return WorkerArmed()

    def _armed(self) -> Run:
        if self._run is None:
            raise InternalFault("an order for a run came before the plan was prepared")
        return self._run

    def _report(self, message: ReportMessage) -> None:
        self._link.send(message)
        if isinstance(message, WorkerDone):
            self._link.close()  # one run, one process: what a script has left running ends with it

    def _tell(self, what: str) -> None:
        self._link.send(WorkerEvent(SCRIPT_EXCEPTION, self._secrets.mask(what)[:MAX_TOLD_CHARACTERS]))

    def _on_lost(self, why: str) -> None:
        if why:
            print(f"loadr worker {os.getpid()}: {why}", file=sys.stderr)
        _leave(0)


def _shares(orders: list[ShareOrder]) -> list[ScenarioShare]:
    return [ScenarioShare(o.scenario, o.from_run_ns, o.slots, o.vu_slots, o.from_iteration) for o in orders]


def _fault_of(error: BaseException) -> tuple[int, str]:
    """What an agent is told: the kind, and words for the author of the plan."""
    match error:
        case PlanInvalid(faults=faults):
            return Fault.FILES, "\n".join(str(fault) for fault in faults)
        case ScriptFault():
            return Fault.SCRIPT, f"{error.message}; {error.hint}" if error.hint else error.message
        case ArgumentInvalid():
            return Fault.FILES, error.message
        case CorpusInvalid():
            return Fault.CORPUS, str(error)
        case pydantic.ValidationError() | ValueError():
            return Fault.PLAN, str(error)
        case OSError():
            return Fault.FILES, str(error)
        case InternalFault():
            return Fault.INTERNAL, error.message
        case _:
            return Fault.SCRIPT, describe_exception(error)


def _end_if_ours(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An exception that nobody caught. In a callback of the engine itself it is a bug, and the worker must not go
    on with half of its parts: it leaves, and its agent reports it. What a script left behind is only told."""
    loop.default_exception_handler(context)
    error = context.get("exception")
    trace = error.__traceback__ if isinstance(error, BaseException) else None
    while trace is not None and trace.tb_frame.f_code.co_filename.endswith(".pyx"):
        trace = trace.tb_next  # uvloop's own frames
    if trace is not None and trace.tb_frame.f_code.co_filename.startswith(_ENGINE):
        _leave(1)


def _die_with(parent: int) -> None:
    """Be killed when the agent ends, however it ends; leave if it has ended already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        _leave(0)


def _leave(code: int) -> NoReturn:
    """End at once: nothing of a script (threads, exit handlers) may hold the process."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    """Serve until the run is done, the agent says so, or the channel ends."""
    parser = argparse.ArgumentParser(prog="loadr.engine.worker")
    for flag in ("--channel-fd", "--page-fd", "--parent"):
        parser.add_argument(flag, type=int, required=True)
    arguments = parser.parse_args()
    _die_with(arguments.parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    memory.settle()
    loop = uvloop.new_event_loop()
    loop.set_exception_handler(_end_if_ours)
    asyncio.set_event_loop(loop)
    worker = Worker(loop, Page(arguments.page_fd))
    channel = socket.socket(fileno=arguments.channel_fd)
    try:
        loop.run_until_complete(worker.serve(channel))
        loop.run_forever()
    except BaseException:  # noqa: BLE001 - said in full, then the agent sees the exit code
        traceback.print_exc()
    _leave(1)


if __name__ == "__main__":
    main()
