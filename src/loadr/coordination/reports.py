"""The reports of a run: numbered batches and events of its parts, each taken once and in order.

Takes messages as they come; gives intervals to merge, and says which events are new. What an event means for the
run is decided in `controller_run`.
"""

from __future__ import annotations

from collections.abc import Callable

from loadr.coordination import controller_io as io
from loadr.coordination.ending import Notes
from loadr.coordination.intake import Order
from loadr.coordination.messages import Metrics, RunEvent
from loadr.coordination.participant import Participant
from loadr.coordination.views import RunView
from loadr.coordination.wire import BadBatch
from loadr.errors import PeerFault
from loadr.units import NS_PER_S


class Reports:
    """Of one run. What comes after its end is acknowledged and booked as late."""

    def __init__(self, view: RunView, notes: Notes, do: Callable[[io.ControllerEffect], None]) -> None:
        self._view = view
        self._notes = notes
        self._do = do

    def take_event(self, part: Participant, event: RunEvent) -> bool:
        """Whether it is the next one. Raises `PeerFault` on a gap."""
        if not self._is_next(part, event):
            return False
        part.consume(event.seq)
        return True

    def take_batch(self, part: Participant, batch: Metrics, run_ns: int) -> None:
        """Have it merged. Raises `PeerFault` on a gap, `BadBatch` after it was rejected."""
        if not self._is_next(part, batch):
            return
        try:
            intervals = part.take(batch, run_ns / NS_PER_S)
        except BadBatch as bad:
            part.view.rejected_batches += 1
            if not self._view.state.is_final:
                part.flaws.append(f"a batch of agent {part.view.name} was rejected: {bad.message}")
                self._notes.add(part.flaws[-1])
            raise
        late = self._view.state.is_final
        self._do(io.Merge(batch.run_id, part.view.key, batch.seq, intervals, late=late))

    def _is_next(self, part: Participant, message: Metrics | RunEvent) -> bool:
        order = part.intake.order(message.seq)
        if order is Order.GAP:
            awaited = part.intake.acked_seq + 1
            raise PeerFault(f"run {message.run_id}: batch {message.seq} came, and {awaited} was awaited")
        if order is Order.NEXT and self._view.state.is_final:
            part.view.late_batches += 1
        return order is Order.NEXT
