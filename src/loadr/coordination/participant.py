"""A part: one agent's part in one run under one generation, as the controller keeps it.

Takes its numbered messages and how it ended or vanished; gives what was merged, and what is wrong, in words.
"""

from __future__ import annotations

from dataclasses import replace

from loadr.coordination.clock import MAX_DRIFT_PPM
from loadr.coordination.intake import Intake
from loadr.coordination.loss import Followed, lost_at_most, requests_of
from loadr.coordination.messages import Desired, Ledger, Metrics, RunEvent, RunPhase
from loadr.coordination.reach import Reach
from loadr.coordination.views import ParticipantState, ParticipantView, RunView
from loadr.metrics.delta import IntervalDelta
from loadr.units import NS_PER_S, format_short_ns

P = ParticipantState
ORPHANED = "orphaned"  # the cause under which an engine ends whose lease ran out
JOINING = (P.ASSIGNED, P.PREPARED, P.ARMED)
LOADED = (P.COMMITTED, P.RUNNING)


class Participant:
    """``view`` is what others may read. ``flaws`` say why the run can not be complete because of this part:
    figures that do not add up. ``losses`` say what a policy may absorb: load or numbers that are gone, and known
    to be; the methods that add one give its words."""

    __slots__ = (
        "_ended",
        "_lease_end_mono_ns",
        "_over_run_ns",
        "_workers",
        "desired",
        "flaws",
        "intake",
        "reach",
        "stop_at_ns",
        "unreported",
        "view",
    )

    def __init__(self, view: ParticipantView) -> None:
        self.view = view
        self.intake = Intake()
        self.desired: Desired | None = None  # the last one that was meant for it
        self.reach = Reach()
        self.unreported: list[Ledger] = []  # of workers that died
        self.flaws: list[str] = []
        self._workers: list[str] = []  # how each lost worker was lost
        self._ended = ""  # how it ended, if that was not as planned
        self._lease_end_mono_ns = 0
        self._over_run_ns: int | None = None  # its load was over then at the latest
        self.stop_at_ns: int | None = None  # its share is with others from here on: it may stop

    @property
    def losses(self) -> list[str]:
        return [*self._workers, self._ended] if self._ended else list(self._workers)

    @property
    def lacks(self) -> bool:
        """The totals may not have all that it did: requests, or how iterations ended."""
        figures = (max(book.requests, book.finished, book.interrupted, book.lost) for book in self.unreported)
        return self.view.missing_at_most != 0 or any(figures)

    @property
    def is_out(self) -> bool:
        """Nothing more is awaited from it."""
        return self.view.state in (P.FINISHED, P.LOST)

    @property
    def is_released(self) -> bool:
        """It was told to forget the run."""
        return self.desired is not None and self.desired.phase is RunPhase.NONE

    @property
    def may_load(self) -> bool:
        """It may be given leases: its load goes on, or will."""
        return self.view.state not in (P.FINISHED, P.LOST, P.RETURNING)

    def granted(self, end_mono_ns: int) -> None:
        """It was granted a lease until that instant of its own clock."""
        self._lease_end_mono_ns = max(self._lease_end_mono_ns, end_mono_ns)

    def ahead_ns(self, run_ns: int) -> int:
        """How far its own timeline may be ahead of ours at an instant of the run."""
        drift_ns = 2 * MAX_DRIFT_PPM * (abs(run_ns) + NS_PER_S) // 1_000_000
        return (self.view.clock_bound_ns or 0) + drift_ns

    def end_load(self, run: RunView, until_run_ns: int) -> None:
        """Its load was over at that instant at the latest. What was said first holds.

        By its own clock it is known when its lease was over; nothing that was planned for then was its own.
        """
        if self._over_run_ns is None:
            over_run_ns = until_run_ns + self.ahead_ns(until_run_ns)
            if self.view.start_mono_ns is not None and self._lease_end_mono_ns:
                over_run_ns = min(over_run_ns, self._lease_end_mono_ns - self.view.start_mono_ns - 1)
            self._over_run_ns = over_run_ns
            late_ns = self.reach.ended(run.changes, over_run_ns)
            self.view.changed_late_s = max(self.view.changed_late_s, late_ns / NS_PER_S)

    # --- numbered messages ----------------------------------------------------------------------------------

    def take(self, batch: Metrics, elapsed_s: float) -> tuple[IntervalDelta, ...]:
        """The intervals of the next batch. Raises `BadBatch`; the batch counts as consumed then, too."""
        try:
            return self.intake.take(batch, elapsed_s)
        finally:
            self.consume(batch.seq)

    def consume(self, seq: int) -> None:
        """The next numbered message was taken or rejected."""
        self.intake.consume(seq)
        self.view.acked_seq = seq
        self.view.last_merged_s = self.intake.last_merged_s

    def started(self, event: RunEvent) -> None:
        """Its engine has begun; one that came back says so once more, and has no load for all that."""
        if self.may_load:
            self.view.state = P.RUNNING
        self.view.start_mono_ns = event.start_mono_ns
        self.view.clock_bound_ns = event.clock_bound_ns
        if self.view.joined_at_s is None:
            self.view.start_error_ns = event.start_error_ns

    def lost_worker(self, event: RunEvent) -> str:
        """One of its workers died; what it had not reported is known to the unit."""
        self.unreported.extend(event.unreported)
        missing = sum(ledger.requests for ledger in event.unreported)
        view = self.view
        if view.missing_at_most is not None:
            view.missing_at_most += missing
        lost = sum(ledger.lost for ledger in event.unreported)
        bound = f"at most {missing} requests are missing" if missing else "none of its requests are missing"
        if lost:
            bound += f", how {lost} iterations ended is not known"
        self._workers.append(f"agent {view.name} lost a worker ({event.cause}); {bound}")
        return self._workers[-1]

    def finished(self, ledgers: tuple[Ledger, ...], cause: str, *, was_asked: bool) -> str:
        """Its last message; the words of its loss, if it was one. ``was_asked``: it was told to stop, so that a
        cause is to be expected."""
        view = self.view
        was_lost = view.lost_at_s is not None
        view.state = P.FINISHED
        view.ledgers = ledgers
        view.finish_cause = cause
        if cause == ORPHANED:
            self.orphaned()
        elif cause and not was_asked:
            self._ended = f"agent {view.name} ended its load early: {cause}"
        differences = self.intake.sums.differences(ledgers, self.unreported)
        if differences:
            self.flaws.append(f"agent {view.name} does not add up: {'; '.join(differences)}")
        if was_lost:
            view.missing_at_most = sum(ledger.requests for ledger in self.unreported)
            gap = view.missing_at_most or "none"
            self._ended = f"{self._was_lost()}, and came back: {gap} of its requests are missing"
        return self._ended

    def orphaned(self) -> str:
        """It stopped by itself because its lease ran out."""
        if not self._ended:
            name = self.view.name
            self._ended = f"agent {name} stopped by itself: it had no word from the controller for a whole lease"
        return self._ended

    # --- vanishing ------------------------------------------------------------------------------------------

    def lose(self, run: RunView, because: str, alive_until_ns: int, now_ns: int) -> str:
        """It is out: whatever of its numbers is not here may be missing. ``alive_until_ns``: its load was over
        then at the latest. One that came back and is lost again has lost its load only once."""
        view = self.view
        start_ns = now_ns if run.start_controller_ns is None else run.start_controller_ns
        view.state = P.LOST
        if view.lost_at_s is None:
            view.lost_because = because
            view.lost_at_s = (now_ns - start_ns) / NS_PER_S
        self.end_load(run, alive_until_ns - start_ns)
        self._bound_loss(run)
        return self._ended

    def _bound_loss(self, run: RunView) -> None:
        """The bound, and a ledger that has what was merged, and as lost what may have been begun beyond it."""
        view = self.view
        accounted = self.intake.sums.accounted()
        followed = [*self.reach.followed_late(run.changes), Followed(run.changes, self._over_run_ns or 0)]
        lost = lost_at_most(run.plan, followed, self.reach.owned, accounted)
        requests = requests_of(run.plan, lost)
        workers = sum(ledger.requests for ledger in self.unreported)
        view.missing_at_most = None if requests is None else requests + workers
        view.ledgers = tuple(
            replace(
                ledger,
                lost=lost.get(ledger.scenario) or 0,
                started=ledger.started + (lost.get(ledger.scenario) or 0),
                planned=ledger.planned + (lost.get(ledger.scenario) or 0),
            )
            for ledger in self.intake.sums.ledgers(run.plan.scenarios)
        )
        self._ended = f"{self._was_lost()}; {self._bound()}"

    def _was_lost(self) -> str:
        return f"agent {self.view.name} was lost {_when(self.view.lost_at_s)} ({self.view.lost_because})"

    def _bound(self) -> str:
        if self.view.missing_at_most == 0:
            return "none of its requests are missing"
        last = f"its last second that was merged ended at {self.view.last_merged_s or 0} s"
        if self.view.missing_at_most is None:
            return f"{last}; how many requests are missing can not be said"
        return f"{last}; at most {self.view.missing_at_most} requests are missing"


def _when(at_s: float | None) -> str:
    if at_s is None or at_s < 0:
        return "before the start"
    return f"{format_short_ns(round(at_s * NS_PER_S))} after the start"
