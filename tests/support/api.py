"""A controller behind the API that runs nothing: it keeps what it is asked, and shows what the test sets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from loadr.api.facade import ControllerFacade
from loadr.api.listener import ApiListener
from loadr.errors import FleetFault
from loadr.masking import Secrets
from loadr.plan.model import Plan
from loadr.schedule.change import Change, ChangeKind
from loadr.verdict.model import Accounting, LiveView, Percentiles, Summary, Validity

LIMIT_S = 10.0


def make_view(run_id: str, state: str = "running") -> LiveView:
    return LiveView(
        run_id=run_id,
        name="checkout",
        state=state,
        cause="",
        elapsed_s=1.5,
        planned_s=60.0,
        left_s=58.5,
        rate_per_s=100.0,
        iterations_per_s=50.0,
        open_iterations_per_s=None,
        target_per_s=None,
        percentiles=Percentiles(p50=1.0, p95=2.0, p99=3.0),
        requests=150,
        failed=0,
        failed_fraction=0.0,
        iterations=75,
        vus=10,
        dropped=0,
        missed=0,
        agents=[],
        thresholds=[],
    )


def make_summary(run_id: str) -> Summary:
    return Summary(
        run_id=run_id,
        name="checkout",
        verdict="passed",
        exit_code=0,
        headline="",
        cause="",
        validity=Validity(generator_limited=False, reasons=[]),
        plan_digest="",
        seed=0,
        tags={},
        started_at="",
        duration_s=1.0,
        planned_s=1.0,
        accounting=Accounting(balanced=True, requests_merged=0, requests_ledger=0, scenarios=[]),
        thresholds=[],
        checks=[],
        metrics=[],
        requests=[],
        errors=[],
        agents=[],
        series=0,
        timeline=[],
        notes=[],
    )


class FakeController:
    """A run ends with the first stop that is not graceful, or after ``looks`` looks at it."""

    def __init__(self, looks: int = 3) -> None:
        self.looks = looks
        self.busy = False
        self.files: dict[str, bytes] = {}
        self.plans: dict[str, Plan] = {}
        self.expected: list[int] = []
        self.asked: list[tuple[dict[str, str], float | None]] = []
        self.secrets: list[Secrets] = []
        self.stops: list[tuple[str, bool]] = []
        self.over: set[str] = set()
        self.changes: list[tuple[str, ChangeKind, str, str]] = []

    def status(self) -> Mapping[str, object]:
        return {"version": "1", "agents": [], "runs": list(self.plans), "current": next(iter(self.plans), "")}

    def has_file(self, digest: str) -> bool:
        return digest in self.files

    def put_file(self, digest: str, data: bytes) -> None:
        self.files[digest] = data

    def submit(
        self, plan: Plan, *, expect_agents: int, labels: Mapping[str, str], wait_s: float | None, secrets: Secrets
    ) -> str:
        if self.busy:
            raise FleetFault("run r0 is going on", hint="wait until it ends, or stop it")
        run_id = f"r{len(self.plans) + 1}"
        self.plans[run_id] = plan
        self.expected.append(expect_agents)
        self.asked.append((dict(labels), wait_s))
        self.secrets.append(secrets)
        return run_id

    def change(self, run_id: str, kind: ChangeKind, scenario: str, value: str) -> tuple[Change, int]:
        if kind is ChangeKind.RESUME:
            raise FleetFault("the run is not paused")
        self.changes.append((run_id, kind, scenario, value))
        return Change(3_500_000_000, kind, scenario, value), 500_000_000

    @property
    def run_ids(self) -> Sequence[str]:
        return tuple(self.plans)

    def view(self, run_id: str) -> LiveView | None:
        if run_id not in self.plans:
            return None
        self.looks -= 1
        if self.looks <= 0:
            self.over.add(run_id)
        return make_view(run_id, "complete" if run_id in self.over else "running")

    def summary(self, run_id: str) -> Summary | None:
        return make_summary(run_id) if run_id in self.over else None

    def stop(self, run_id: str, *, graceful: bool) -> None:
        self.stops.append((run_id, graceful))
        if not graceful:
            self.over.add(run_id)


@contextmanager
def serving_api(controller: ControllerFacade, **settings: Any) -> Iterator[str]:
    """The API on a free port of loopback, in a thread of its own; its address."""
    ready: list[str] = []
    started, end = threading.Event(), threading.Event()

    async def serve() -> None:
        listener = ApiListener("127.0.0.1:0", controller, **settings)
        host, port = await listener.start()
        ready.append(f"{host}:{port}")
        started.set()
        await asyncio.to_thread(end.wait, LIMIT_S)
        await listener.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert started.wait(LIMIT_S)
        yield ready[0]
    finally:
        end.set()
        thread.join(LIMIT_S)
