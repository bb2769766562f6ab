"""A soak: three agents, random faults for half an hour; memory is flat, and totals are what the target counted.

    .venv/bin/python benchmarks/coordination/soak.py [--minutes 30] [--seed 1] [--out FOLDER]       (make soak)

Real processes on loopback: a target that keeps what arrived when, a controller, three agents with a worker each,
every agent behind a proxy of its own. One run of an open scenario (100/s, evenly spaced) and a closed one with
think time, as long as the soak; its faults are drawn from the seed (see soak_faults.py). Afterwards the same
processes do `SHORT_RUNS` runs of two seconds: what a run took must be given back. Then everything is audited.

Prints a line every 30 s, then the verdict and a small table. Exit code 1 if a promise was not kept. Logs, the
summary, the faults and changes as they were and all samples of memory are left in the folder. `--minutes 1` does
for trying.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from soak_audit import Audit, Check, alarms_in
from soak_faults import RATE, VUS, Fault, draw
from soak_hands import Hands, wait_ended
from soak_memory import Line, Memory
from soak_report import report

from loadr.api.client import ControllerClient
from loadr.errors import LoadrError
from loadr.plan.loader import load_plan
from loadr.testing.process import TargetProcess
from loadr.testing.proxy import Proxy
from support.fleet import LOADR, Fleet, await_condition

HERE = Path(__file__).resolve().parent
AGENTS = 3
LEASE_S = 4.0
SAMPLE_S = 5.0
SAY_S = 30.0
SHORT_RUNS = 30
"""More than the controller keeps (`loadr.controller.KEEP_RUNS`), so that some are forgotten; over the last ten of
them its memory is judged."""
END_LIMIT_S = 120.0
KEPT_ARRIVALS = 10**7
PLAN = """
name: soak
seed: {seed}
lease: {lease_s}s
defaults: {{ http: {{ base_url: "{url}", timeout: 5s }} }}
scenarios:
  open:
    executor: constant-arrival-rate
    arrivals: uniform
    rate: {rate}
    duration: {seconds}s
    max_vus: 150
    graceful_stop: 5s
    flow:
      - request: {{ get: "/open/${{iteration}}", name: open, check: {{ status: 200 }} }}
  closed:
    executor: constant-vus
    vus: {vus}
    duration: {seconds}s
    graceful_stop: 5s
    flow:
      - request: {{ get: "/closed/${{vu.id}}/${{iteration}}", name: closed, check: {{ status: 200 }} }}
      - think: {{ uniform: [150ms, 250ms] }}
"""


@dataclass(slots=True)
class Outcome:
    """Everything that the report tells."""

    seed: int
    seconds: float
    faults: list[Fault]
    summary: dict[str, Any] = field(default_factory=dict)
    audit: Audit | None = None
    checks: list[Check] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    short_mb: list[float] = field(default_factory=list)  # of the controller, after each short run


class Soak:
    """One soak. Everything that it starts ends with `stack`."""

    def __init__(self, stack: ExitStack, seed: int, seconds: float) -> None:
        self.outcome = Outcome(seed, seconds, draw(seed, seconds, LEASE_S, AGENTS))
        self.target = stack.enter_context(
            TargetProcess("--record-arrivals", str(KEPT_ARRIVALS), "--delay", "lognormal:10ms,0.5")
        )
        self.fleet = stack.enter_context(Fleet())
        proxies = [stack.enter_context(Proxy(self.fleet.port)) for _ in range(AGENTS)]
        self.hands = Hands(self.fleet, proxies)
        self.memory = Memory()
        self.client = ControllerClient(self.fleet.api)
        self._born_s = time.monotonic()
        self._sampled_s = self._said_s = 0.0

    @property
    def now_s(self) -> float:
        """Of the soak."""
        return time.monotonic() - self._born_s

    # --- the long run ---------------------------------------------------------------------------------------

    def run_long(self) -> None:
        """The run with its faults, watched to its end; then the audit."""
        self.fleet.await_agents(AGENTS)
        plan = self._write_plan("long.yaml", self.outcome.seconds)
        export = self.fleet.folder / "summary.json"
        flags = ["--controller", self.fleet.api, "--expect-agents", str(AGENTS), "--quiet"]
        flags += ["--summary-export", str(export)]
        run = self.fleet.start([*LOADR, "run", str(plan), *flags], "run")
        await_condition(lambda: self._current() != "", f"the run begins; it said: {run.said}")
        self.hands.run_id = self._current()
        await_condition(lambda: self._view().state == "running", "load begins")
        begun_s = self.now_s - self._view().elapsed_s
        self.hands.plan(self.outcome.faults)
        limit_s = begun_s + self.outcome.seconds + END_LIMIT_S
        limit_s += sum(fault.until_s - fault.at_s + 1 for fault in self.outcome.faults if fault.kind == "pause")
        while run.popen.poll() is None:
            now_s = self.now_s
            if now_s > limit_s:
                raise AssertionError(f"the run did not end by itself; it said: {run.said}")
            self.hands.act(now_s - begun_s)
            self._sample()
            self._say(now_s - begun_s)
            time.sleep(0.1)
        ended_s = self.now_s
        if not export.exists():
            raise AssertionError(f"the run gave no summary; it said:\n{run.said}")
        self.outcome.summary = json.loads(export.read_text())
        self.outcome.lines = self.memory.lines(begun_s, ended_s)
        checks = [Check("exit code", run.popen.returncode == 0, str(run.popen.returncode))]
        self.outcome.checks += [*checks, *self._audit(plan)]

    def _audit(self, plan: Path) -> list[Check]:
        counters = self.target.counters()
        arrivals = list(zip(counters["arrivals_ns"], counters["arrival_paths"], strict=True))
        hands = self.hands
        audit = Audit(self.outcome.summary, load_plan(plan).plan, hands.changes, arrivals, hands.troubles)
        killed = Counter(f"agent-{fault.agent}" for fault in self.outcome.faults if fault.takes_life)
        self.outcome.audit = audit
        whole = Check(
            "the target understood all", counters["malformed"] == 0, f"{counters['malformed']} malformed"
        )
        return [*audit.checks(killed), whole]

    # --- short runs -----------------------------------------------------------------------------------------

    def run_short(self, count: int) -> None:
        """One after the other, without faults: each exact; and memory after each."""
        print(f"the run is over; {count} short ones follow", flush=True)
        wrong = []
        plan = load_plan(self._write_plan("short.yaml", 2)).plan
        for number in range(count):
            self.target.reset()
            run_id = self._submit(plan.canonical_json())
            await_condition(
                lambda run_id=run_id: self.client.summary(run_id) is not None, f"short run {number}", 40
            )
            summary = self.client.summary(run_id)
            assert summary is not None
            counted, reported = self.target.counters()["total"], summary.accounting.requests_merged
            if counted != reported or summary.verdict != "passed":
                wrong.append(f"run {number}: {summary.verdict}, {reported} reported, {counted} counted")
            self._sample(now=True)
            controller = self.memory.lives["controller", self.fleet.controller.popen.pid]
            self.outcome.short_mb.append(controller.samples[-1][1])
        figures = "; ".join(wrong[:3]) or f"{count} runs, each to the unit"
        self.outcome.checks.append(Check("short runs afterwards", not wrong, figures))

    def _submit(self, plan_json: bytes) -> str:
        """An agent that has just ended a run may still be renewing its workers."""
        out: list[str] = []

        def accepted() -> bool:
            try:
                out.append(self.client.submit(plan_json, expect_agents=AGENTS, wait_s=20))
            except LoadrError:
                return False
            return True

        await_condition(accepted, "a short run is accepted")
        return out[0]

    # --- the end --------------------------------------------------------------------------------------------

    def end(self) -> None:
        """Everybody leaves in order; what was said is searched for alarms."""
        here = [one.process for one in self.hands.here()]
        for process in here:
            process.popen.terminate()
        for process in here:
            wait_ended(process, 30)
        self.fleet.controller.popen.terminate()
        wait_ended(self.fleet.controller, 30)
        codes = {
            one.process.name: one.process.popen.returncode
            for one in self.hands.incarnations
            if not one.was_killed
        }
        codes["controller"] = self.fleet.controller.popen.returncode
        bad = [f"{name}: {code}" for name, code in codes.items() if code]
        self.outcome.checks.append(
            Check("all ended in order", not bad, ", ".join(bad) or f"{len(codes)} processes with exit code 0")
        )
        alarms = [
            f"{process.name}: {line}" for process in self.fleet.processes for line in alarms_in(process.said)
        ]
        size = sum(len(process.said) for process in self.fleet.processes)
        figures = "; ".join(alarms[:3]) or f"{len(self.fleet.processes)} logs, {size / 1000:.0f} KB"
        self.outcome.checks.append(Check("nothing broke in the logs", not alarms, figures))

    def leave_behind(self, folder: Path) -> None:
        """Logs, summary, faults and samples, for whoever asks why."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for path in [
            *self.fleet.folder.glob("*.log"),
            *self.fleet.folder.glob("*.json"),
            *self.fleet.folder.glob("*.yaml"),
        ]:
            shutil.copy(path, folder)
        (folder / "faults.txt").write_text("".join(f"{fault.words}\n" for fault in self.outcome.faults))
        (folder / "changes.json").write_text(json.dumps([asdict(change) for change in self.hands.changes]))
        samples = {f"{life.role} {name} {pid}": life.samples for (name, pid), life in self.memory.lives.items()}
        (folder / "memory.json").write_text(json.dumps(samples))

    # --- looking --------------------------------------------------------------------------------------------

    def _write_plan(self, name: str, seconds: float) -> Path:
        path = self.fleet.folder / name
        text = PLAN.format(
            url=self.target.url, rate=RATE, vus=VUS, seconds=int(seconds), seed=self.outcome.seed, lease_s=LEASE_S
        )
        path.write_text(text)
        return path

    def _current(self) -> str:
        return str(self.client.status().get("current", ""))

    def _view(self) -> Any:
        return self.client.view(self.hands.run_id)

    def _sample(self, *, now: bool = False) -> None:
        if not now and self.now_s < self._sampled_s + SAMPLE_S:
            return
        self._sampled_s = self.now_s
        for role, name, pid in self.hands.processes():
            self.memory.sample(self.now_s, role, name, pid)

    def _say(self, run_s: float) -> None:
        """One line of at most 80 columns."""
        if self.now_s < self._said_s + SAY_S:
            return
        self._said_s = self.now_s
        view = self._view()
        done = sum(fault.at_s <= run_s for fault in self.outcome.faults)
        states = " ".join(agent.state for agent in view.agents if agent.state not in ("lost", "finished"))
        mb = self.memory.lives["controller", self.fleet.controller.popen.pid].samples[-1][1]
        rate = f"{view.open_iterations_per_s or 0:.0f}/s of {view.target_per_s or 0:.0f}/s"
        clock = f"{int(run_s) // 60:3}:{int(run_s) % 60:02}"
        print(f"{clock}  {rate:15} faults {done:3}  controller {mb:5.1f} MB  {states}"[:80], flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=30.0, help="of the run with faults (at least 1)")
    parser.add_argument("--seed", type=int, default=1, help="of the faults and the plan")
    parser.add_argument("--short-runs", type=int, default=SHORT_RUNS, help="afterwards")
    parser.add_argument("--out", type=Path, default=HERE.parent / "history" / "local" / "soak", help="folder")
    given = parser.parse_args()
    load = " ".join(f"{average:.2f}" for average in os.getloadavg())
    print(f"soak of {given.minutes:g} min, seed {given.seed}; load average {load} before it", flush=True)
    with ExitStack() as stack:
        soak = Soak(stack, given.seed, max(60.0, given.minutes * 60))
        try:
            soak.run_long()
            soak.run_short(given.short_runs)
            soak.end()
        finally:
            soak.leave_behind(given.out)
    text, is_good = report(soak.outcome)
    (given.out / "report.txt").write_text(text)
    print(text)
    print(f"logs, summary, faults and samples: {given.out}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
