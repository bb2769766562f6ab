"""The oracle: sees everything in true time, and says when an invariant does not hold.

It knows each request that was really made, each lease that was really earned, and what was delivered; it never
asks a core what it thinks, but to compare.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from coordination.simulator.clocks import MachineClock
from coordination.simulator.world import S, Violation, World
from loadr.coordination.controller_io import RunState
from loadr.coordination.messages import Desired, Metrics, RunEvent, RunPhase
from loadr.metrics.histogram import Histogram
from loadr.metrics.merge import RunMetrics

DRIFT_TOLERANCE = 1 / 1000  # of a lease: two clocks may differ by 500 ppm, and a margin


@dataclass
class Deed:
    """What one agent process really did in one run."""

    requests: int = 0
    numbers: int = 0  # the sum of the numbers of its iterations: a batch merged twice would show
    samples: list[int] = field(default_factory=list)


class Oracle:
    """Call its methods as things happen; `check_ended` when a run is over."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.deeds: dict[tuple[str, str], Deed] = defaultdict(Deed)  # (run, incarnation)
        self.iterations: dict[str, dict[int, str]] = defaultdict(dict)  # run → iteration → incarnation
        self.metrics: dict[str, RunMetrics] = defaultdict(RunMetrics)
        self.merged_seq: dict[tuple[str, str, str], int] = {}
        self.frozen: dict[tuple[str, str], dict[int, Any]] = defaultdict(dict)
        self.leases: dict[tuple[str, str], int] = {}  # (run, incarnation) → true end
        self.beat_sent: dict[tuple[int, int], int] = {}  # (link, number) → true time
        self.committed: dict[str, tuple[int, MachineClock]] = {}
        self.given_up: dict[tuple[str, str], int] = {}
        self.starts: dict[tuple[str, str], int] = {}  # converted start, true time
        self.ended: dict[str, RunState] = {}
        self.merges_after_end = 0

    # --- load -----------------------------------------------------------------------------------------------

    def iteration(self, run_id: str, incarnation: str, number: int) -> None:
        """I4, I5, I6, I9: an iteration starts now."""
        now = self.world.now
        if run_id not in self.committed:
            raise Violation(f"I9: {incarnation} starts iteration {number} of {run_id}, which nobody committed")
        end = self.leases.get((run_id, incarnation), -1)
        if now > end:
            raise Violation(
                f"I4: {incarnation} starts iteration {number} {(now - end) / S:.4f} s after its lease"
            )
        if (run_id, incarnation) in self.given_up:
            raise Violation(
                f"{incarnation} starts iteration {number} after the controller took its load for over"
            )
        before = self.iterations[run_id].setdefault(number, incarnation)
        if before != incarnation or number in self.iterations[run_id + "/done/" + incarnation]:
            raise Violation(f"I6: iteration {number} started twice, by {before} and {incarnation}")
        self.iterations[run_id + "/done/" + incarnation][number] = incarnation

    def granted(self, link: int, incarnation: str, answer: Any) -> None:
        """The controller answered a beat: leases count from when that beat was really sent."""
        sent = self.beat_sent.get((link, answer.echo_number))
        for grant in answer.grants:
            if sent is None:
                raise Violation(f"a lease for beat {answer.echo_number}, which was never sent")
            end = sent + int(grant.lease_ns * (1 + DRIFT_TOLERANCE))
            key = (grant.run_id, incarnation)
            if key in self.given_up:
                raise Violation(f"{incarnation} is granted a lease after it was given up")
            self.leases[key] = max(self.leases.get(key, -1), end)

    def commit(self, desired: Desired, clock: MachineClock) -> None:
        if desired.phase is RunPhase.RUNNING:
            self.committed[desired.run_id] = (clock.true_ns(desired.start_controller_ns), clock)

    def started(self, run_id: str, incarnation: str, start_mono_ns: int, clock: MachineClock) -> None:
        """I9: the agent told its engine to start."""
        if run_id not in self.committed:
            raise Violation(f"I9: {incarnation} starts {run_id}, which nobody committed")
        self.starts[run_id, incarnation] = clock.true_ns(start_mono_ns)

    # --- uplink ---------------------------------------------------------------------------------------------

    def sent(self, incarnation: str, message: Metrics | RunEvent) -> None:
        """I1: what is sent again is the same; I8: the published bound holds."""
        known = self.frozen[message.run_id, incarnation].setdefault(message.seq, message)
        if known != message:
            raise Violation(f"I1: batch {message.seq} of {incarnation} changed between two sendings")
        bound = getattr(message, "clock_bound_ns", 0)
        if bound:
            agreed, _ = self.committed[message.run_id]
            off = abs(self.starts[message.run_id, incarnation] - agreed)
            if off > bound * (1 + 1 / 1000) + 2:
                raise Violation(f"I8: {incarnation} starts {off} ns off, and its bound is {bound} ns")

    def merged(self, controller: str, incarnation: str, effect: Any) -> None:
        """I1: each batch once, in order, and nothing was left out but events."""
        key = (controller, effect.run_id, incarnation)
        before = self.merged_seq.get(key, 0)
        if effect.seq <= before:
            raise Violation(f"I1: batch {effect.seq} of {incarnation} merged after {before}")
        sent = self.frozen[effect.run_id, incarnation]
        for between in range(before + 1, effect.seq):
            if not isinstance(sent.get(between), RunEvent):
                raise Violation(f"I1: batch {between} of {incarnation} was never merged")
        self.merged_seq[key] = effect.seq
        if effect.late:
            self.merges_after_end += 1
            return
        if effect.run_id in self.ended:
            raise Violation(f"a batch of {effect.run_id} merged after its end, and not as late")
        for interval in effect.intervals:
            self.metrics[effect.run_id].add(effect.agent_id, interval)

    # --- the end --------------------------------------------------------------------------------------------

    def check_ended(self, view: Any) -> None:
        """I2, I3: complete means all there is, to the unit; otherwise the cause and the bound are right."""
        run_id = view.run_id
        if run_id in self.ended:
            raise Violation(f"{run_id} ended twice")
        self.ended[run_id] = view.state
        metrics = self.metrics[run_id]
        merged = self._total(metrics, "http_reqs")
        deeds = [self.deeds[run_id, part.incarnation] for part in view.agents.values()]
        really = sum(deed.requests for deed in deeds)
        if view.state is RunState.COMPLETE:
            numbers = self._total(metrics, "data_sent")
            if merged != really or numbers != sum(deed.numbers for deed in deeds):
                raise Violation(f"I2: {run_id} is complete with {merged} requests, and {really} were made")
            samples = [sample for deed in deeds for sample in deed.samples]
            self._compare(metrics, samples)
            return
        if not view.cause:
            raise Violation(f"I2: {run_id} is {view.state.value}, and nobody says why")
        if merged > really:
            raise Violation(f"I2: {run_id} merged {merged} requests, and {really} were made")
        missing = [part.missing_at_most for part in view.agents.values() if part.lost_at_s is not None]
        if view.start_controller_ns is None or None in missing or any("worker" in note for note in view.notes):
            return
        if really - merged > sum(missing):
            raise Violation(f"I2: {run_id} misses {really - merged} requests; it says at most {sum(missing)}")

    @staticmethod
    def _total(metrics: RunMetrics, metric: str) -> int:
        delta = metrics.select(metric)
        return 0 if delta is None else delta.total

    def _compare(self, metrics: RunMetrics, samples: list[int]) -> None:
        import numpy as np

        delta = metrics.select("http_req_duration")
        merged = Histogram() if delta is None else delta.histogram
        alone = Histogram.of(np.array(samples, dtype=np.int64))
        if merged != alone:
            raise Violation("I3: the merged histogram is not that of one recorder")
