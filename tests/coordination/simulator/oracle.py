"""The oracle: sees everything in true time, and says when an invariant does not hold.

It knows each request that was really made, each lease that was really earned, and what was delivered; it never
asks a core what it thinks, but to compare.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from coordination.simulator.clocks import MachineClock
from coordination.simulator.world import S, Violation, World
from loadr.coordination.controller_io import RunState, StoppedBy
from loadr.coordination.messages import Desired, Metrics, RunEvent, RunPhase
from loadr.metrics.histogram import Histogram
from loadr.metrics.merge import RunMetrics
from loadr.schedule.arrivals import Arrivals

DRIFT_TOLERANCE = 1 / 1000  # of a lease: two clocks may differ by 500 ppm, and a margin
Who = tuple[str, str, int]  # run, incarnation, generation


@dataclass
class Deed:
    """What one part really did in one run."""

    requests: int = 0
    numbers: int = 0  # the sum of the numbers of its iterations: a batch merged twice would show
    samples: list[int] = field(default_factory=list)


class Oracle:
    """Call its methods as things happen; `check_ended` when a run is over."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.is_calm = False  # nothing bad happens in this story: the schedule is kept to the unit
        self.deeds: dict[Who, Deed] = defaultdict(Deed)
        self.owner_of: dict[str, dict[int, Who]] = defaultdict(dict)  # run → iteration → who dealt with it
        self.begun: dict[str, set[int]] = defaultdict(set)
        self.metrics: dict[str, RunMetrics] = defaultdict(RunMetrics)
        self.merged_seq: dict[tuple[str, Who], int] = {}
        self.frozen: dict[Who, dict[int, Any]] = defaultdict(dict)
        self.leases: dict[Who, int] = {}  # true end
        self.beat_sent: dict[tuple[int, int], int] = {}  # (link, number) → true time
        self.committed: dict[str, tuple[int, MachineClock]] = {}
        self.given_up: dict[Who, int] = {}
        self.starts: dict[Who, int] = {}  # converted start, true time
        self.ended: dict[str, RunState] = {}
        self.merges_after_end = 0
        self.rows: dict[str, set[int]] = defaultdict(set)  # run → rows that were granted
        self.used: dict[str, set[int]] = defaultdict(set)
        self.doers: set[Who] = set()  # who was told to do something for all
        self.setups: dict[str, bytes] = {}
        self.doing: dict[tuple[str, str], list[Any]] = defaultdict(list)  # run and what is done once → engines
        self.begun_once: dict[tuple[str, str], int] = defaultdict(int)

    # --- load -----------------------------------------------------------------------------------------------

    def planned(self, who: Who, number: int) -> None:
        """I6: somebody takes an iteration for its own, and starts it or says why not."""
        before = self.owner_of[who[0]].setdefault(number, who)
        if before != who or (number, who) in self.begun[who[0] + "/planned"]:  # type: ignore[comparison-overlap]
            raise Violation(f"I6: iteration {number} was dealt with twice, by {before} and {who}")
        self.begun[who[0] + "/planned"].add((number, who))  # type: ignore[arg-type]

    def iteration(self, who: Who, number: int) -> None:
        """I4, I5, I6, I9: an iteration starts now."""
        now = self.world.now
        if who[0] not in self.committed:
            raise Violation(f"I9: {who} starts iteration {number}, which nobody committed")
        end = self.leases.get(who, -1)
        if now > end:
            raise Violation(f"I4: {who} starts iteration {number} {(now - end) / S:.4f} s after its lease")
        if who in self.given_up:
            raise Violation(f"{who} starts iteration {number} after the controller took its load for over")
        if number in self.begun[who[0]]:
            raise Violation(f"I6: iteration {number} started twice, the second time by {who}")
        self.begun[who[0]].add(number)
        deed = self.deeds[who]
        deed.requests += 1
        deed.numbers += number + 1

    def granted(self, link: int, incarnation: str, answer: Any) -> None:
        """The controller answered a beat: leases count from when that beat was really sent."""
        sent = self.beat_sent.get((link, answer.echo_number))
        for grant in answer.grants:
            if sent is None:
                raise Violation(f"a lease for beat {answer.echo_number}, which was never sent")
            end = sent + int(grant.lease_ns * (1 + DRIFT_TOLERANCE))
            who = (grant.run_id, incarnation, grant.generation)
            if who in self.given_up and who in self.doers:
                continue  # for a teardown: no load may start under it
            if who in self.given_up:
                raise Violation(f"{who} is granted a lease after it was given up")
            self.leases[who] = max(self.leases.get(who, -1), end)

    def commit(self, desired: Desired, clock: MachineClock) -> None:
        if desired.phase is RunPhase.RUNNING:
            self.committed[desired.run_id] = (clock.true_ns(desired.start_controller_ns), clock)

    def started(self, who: Who, start_mono_ns: int, clock: MachineClock) -> None:
        """I9: the agent told its engine to start."""
        if who[0] not in self.committed:
            raise Violation(f"I9: {who} starts, which nobody committed")
        if who in self.starts:
            raise Violation(f"{who} starts twice")
        self.starts[who] = clock.true_ns(start_mono_ns)

    # --- values of the fleet --------------------------------------------------------------------------------

    def granted_rows(self, who: Who, first: int, end: int) -> None:
        """I16: no row is granted twice."""
        new = set(range(first, end))
        if new & self.rows[who[0]]:
            raise Violation(f"I16: rows {first} to {end} are granted to {who}, and some of them were before")
        self.rows[who[0]] |= new

    def row_used(self, who: Who, row: int) -> None:
        """I16: nor used twice, by anybody."""
        if row in self.used[who[0]]:
            raise Violation(f"I16: row {row} is used again, by {who}")
        self.used[who[0]].add(row)

    def has_setup(self, who: Who, payload: bytes) -> None:
        """The result of setup is the same everywhere."""
        if self.setups.setdefault(who[0], payload) != payload:
            raise Violation(f"{who} has another result of setup than others")

    def begin_once(self, engine: Any, key: str) -> None:
        """Nobody else is at it who is alive and under a lease; and nobody has done it for good."""
        run_id = engine.run_id
        for other in self.doing[run_id, key]:
            if not other.dead and other.mono() < other.lease_end:
                raise Violation(f"{engine.who} begins {key} while {other.who} is at it")
        if key == "setup" and run_id in self.setups:
            raise Violation(f"{engine.who} begins setup, which was done")
        self.doing[run_id, key].append(engine)
        self.begun_once[run_id, key] += 1

    def end_once(self, engine: Any, key: str) -> None:
        self.doing[engine.run_id, key].remove(engine)

    def _check_values(self, view: Any) -> None:
        """Teardown was begun if there was somebody for it, or it is said that it was not."""
        if view.plan.teardown is None or view.start_controller_ns is None:
            return
        begun = self.begun_once[view.run_id, "teardown"]
        unsaid = not any(note.startswith("teardown") for note in view.notes)
        if not begun and unsaid:
            raise Violation(f"nobody has begun the teardown of {view.run_id}, and nobody says so")
        if self.is_calm and (begun != 1 and view.stopped_by is StoppedBy.NOBODY):
            raise Violation(f"teardown was begun {begun} times, and nothing bad happened")

    # --- uplink ---------------------------------------------------------------------------------------------

    def sent(self, incarnation: str, message: Metrics | RunEvent) -> None:
        """I1: what is sent again is the same; I8: the published bound holds."""
        who = (message.run_id, incarnation, message.generation)
        known = self.frozen[who].setdefault(message.seq, message)
        if known != message:
            raise Violation(f"I1: batch {message.seq} of {who} changed between two sendings")
        bound = getattr(message, "clock_bound_ns", 0)
        if bound:
            agreed, _ = self.committed[message.run_id]
            off = abs(self.starts[who] - agreed)
            if off > bound * (1 + 1 / 1000) + 2:
                raise Violation(f"I8: {who} starts {off} ns off, and its bound is {bound} ns")

    def merged(self, controller: str, who: Who, effect: Any) -> None:
        """I1: each batch once, in order, and nothing was left out but events."""
        before = self.merged_seq.get((controller, who), 0)
        if effect.seq <= before:
            raise Violation(f"I1: batch {effect.seq} of {who} merged after {before}")
        sent = self.frozen[who]
        for between in range(before + 1, effect.seq):
            if not isinstance(sent.get(between), RunEvent):
                raise Violation(f"I1: batch {between} of {who} was never merged")
        self.merged_seq[controller, who] = effect.seq
        if effect.late:
            self.merges_after_end += 1
            return
        if effect.run_id in self.ended:
            raise Violation(f"a batch of {effect.run_id} merged after its end, and not as late")
        for interval in effect.intervals:
            self.metrics[effect.run_id].add(effect.part, interval)

    # --- the end --------------------------------------------------------------------------------------------

    def check_ended(self, view: Any) -> None:
        """I2, I3: complete means all there is, to the unit; otherwise the cause and the bound are right."""
        run_id = view.run_id
        if run_id in self.ended:
            raise Violation(f"{run_id} ended twice")
        self.ended[run_id] = view.state
        metrics = self.metrics[run_id]
        merged = self._total(metrics, "http_reqs")
        deeds = {who: deed for who, deed in self.deeds.items() if who[0] == run_id}
        really = sum(deed.requests for deed in deeds.values())
        missing = [part.missing_at_most for part in view.agents.values()]
        if view.state is RunState.COMPLETE:
            numbers = self._total(metrics, "data_sent")
            if merged != really or numbers != sum(deed.numbers for deed in deeds.values()):
                raise Violation(f"I2: {run_id} is complete with {merged} requests, and {really} were made")
            if any(missing):
                raise Violation(f"I2: {run_id} is complete, and {missing} may be missing")
            self._compare(metrics, [sample for deed in deeds.values() for sample in deed.samples])
        elif not view.cause:
            raise Violation(f"I2: {run_id} is {view.state.value}, and nobody says why")
        if merged > really:
            raise Violation(f"I2: {run_id} merged {merged} requests, and {really} were made")
        has_flaw = any("add up" in note for note in view.notes)
        if view.start_controller_ns is not None and None not in missing and really - merged > sum(missing):
            raise Violation(f"I2: {run_id} misses {really - merged} requests; it says at most {sum(missing)}")
        if has_flaw:
            raise Violation(f"I2: honest books do not add up: {view.notes}")
        if view.start_controller_ns is not None:
            self._check_schedule(view)
        self._check_values(view)

    def _check_schedule(self, view: Any) -> None:
        """What all parts planned is what the schedule says, but for named gaps; never more."""
        scenario = view.plan.scenarios["s"]
        planned = sum(ledger.planned for part in view.agents.values() for ledger in part.ledgers)
        due = Arrivals("s", scenario, view.plan.seed, None, view.changes).count()
        is_late = any(part.changed_late_s for part in view.agents.values())
        sure = not is_late and not any(part.state == "lost" for part in view.agents.values())
        if sure and planned > due:
            raise Violation(f"I6: {planned} were planned, and the schedule has {due}")
        whole = view.state is RunState.COMPLETE and view.stopped_by is StoppedBy.NOBODY
        if whole and self.is_calm and planned != due:
            raise Violation(f"I7: {planned} were planned, the schedule has {due}, and nothing bad happened")

    @staticmethod
    def _total(metrics: RunMetrics, metric: str) -> int:
        delta = metrics.select(metric)
        return 0 if delta is None else delta.total

    def _compare(self, metrics: RunMetrics, samples: list[int]) -> None:
        delta = metrics.select("http_req_duration")
        merged = Histogram() if delta is None else delta.histogram
        alone = Histogram.of(np.array(samples, dtype=np.int64))
        if merged != alone:
            raise Violation("I3: the merged histogram is not that of one recorder")
