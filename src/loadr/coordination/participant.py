"""One agent's part in one run, as the controller keeps it.

Takes its numbered messages and how it ended or vanished; gives what was merged, and what is wrong, in words.
"""

from __future__ import annotations

from loadr.coordination.intake import Intake
from loadr.coordination.loss import missing_at_most
from loadr.coordination.messages import Desired, Ledger, RunEvent
from loadr.coordination.views import ParticipantState, ParticipantView, RunView
from loadr.units import NS_PER_S, format_short_ns

P = ParticipantState
ORPHANED = "orphaned"  # the cause under which an engine ends whose lease ran out


class Participant:
    """``view`` is what others may read; ``flaws`` say why the run can not be complete because of this agent."""

    __slots__ = ("desired", "flaws", "intake", "view", "worker_lost")

    def __init__(self, view: ParticipantView) -> None:
        self.view = view
        self.intake = Intake()
        self.desired: Desired | None = None  # the last one that was meant for it
        self.flaws: list[str] = []
        self.worker_lost = False

    @property
    def is_out(self) -> bool:
        """Nothing more is awaited from it."""
        return self.view.state in (P.FINISHED, P.LOST)

    def taken(self, seq: int) -> None:
        """A numbered message was taken or rejected."""
        self.intake.consume(seq)
        self.view.acked_seq = seq
        self.view.last_merged_s = self.intake.last_merged_s

    def started(self, event: RunEvent) -> None:
        self.view.state = P.RUNNING
        self.view.start_mono_ns = event.start_mono_ns
        self.view.start_error_ns = event.start_error_ns
        self.view.clock_bound_ns = event.clock_bound_ns

    def finished(self, ledgers: tuple[Ledger, ...], cause: str, *, was_asked: bool) -> None:
        """Its last message. ``was_asked``: the fleet was told to stop, so a cause is to be expected."""
        self.view.state = P.FINISHED
        self.view.ledgers = ledgers
        self.view.finish_cause = cause
        if cause == ORPHANED:
            self.orphaned()
        elif cause and not was_asked and not self.flaws:
            self.flaws.append(f"agent {self.view.name} ended its load early: {cause}")
        if self.worker_lost:
            return
        differences = self.intake.sums.differences(ledgers)
        if differences:
            self.flaws.append(f"agent {self.view.name} does not add up: {'; '.join(differences)}")
        elif self.view.lost_at_s is not None:
            self.view.missing_at_most = 0

    def orphaned(self) -> None:
        """It stopped by itself because its lease ran out."""
        text = f"agent {self.view.name} stopped by itself: it had no word from the controller for a whole lease"
        if text not in self.flaws:
            self.flaws.append(text)

    def lose(self, run: RunView, because: str, now_ns: int) -> None:
        """It is out: whatever of its numbers is not here may be missing."""
        view = self.view
        view.state = P.LOST
        view.lost_because = because
        start_ns = now_ns if run.start_controller_ns is None else run.start_controller_ns
        view.lost_at_s = (now_ns - start_ns) / NS_PER_S
        until_ns = now_ns - start_ns
        view.missing_at_most = missing_at_most(run.plan, view.shares, until_ns, self.intake.sums.accounted())
        self.flaws.append(f"agent {view.name} was lost {_when(until_ns)} ({because}); {self._bound()}")

    def _bound(self) -> str:
        if self.view.missing_at_most == 0:
            return "none of its requests are missing"
        last = f"its last second that was merged ended at {self.view.last_merged_s or 0} s"
        if self.view.missing_at_most is None:
            return f"{last}; how many requests are missing can not be said"
        return f"{last}; at most {self.view.missing_at_most} requests are missing"


def _when(run_ns: int) -> str:
    if run_ns < 0:
        return "before the start"
    return f"{format_short_ns(run_ns)} after the start"
