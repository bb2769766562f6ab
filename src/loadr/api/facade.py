"""What the HTTP API needs of a controller, and what it takes at most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from loadr.masking import Secrets
    from loadr.plan.model import Plan
    from loadr.schedule.change import Change, ChangeKind
    from loadr.verdict.model import LiveView, Summary

MAX_FILE_BYTES = 64 * 1024 * 1024  # of one upload, which is held in memory


class ControllerFacade(Protocol):
    """Called on the controller's event loop, so nothing but `put_file` (called in a thread) may take long."""

    def status(self) -> Mapping[str, object]:
        """Version, agents and the like: plain values for JSON."""

    def has_file(self, digest: str) -> bool:
        """Whether a file with this SHA-256 was uploaded, and is kept for a while longer."""

    def put_file(self, digest: str, data: bytes) -> None:
        """Keep an uploaded file whose digest was checked. Raises `FleetFault` without room."""

    def submit(
        self, plan: Plan, *, expect_agents: int, labels: Mapping[str, str], wait_s: float | None, secrets: Secrets
    ) -> str:
        """Begin a run; its id. 0 agents: as many as there are, at least one. Only those with all
        of ``labels`` count. Raises `FleetFault`: another run is
        going on, or a file of the plan was not uploaded."""

    @property
    def run_ids(self) -> Sequence[str]:
        """Known runs, oldest first."""

    def view(self, run_id: str) -> LiveView | None:
        """The live view of a run, also after its end; None for an unknown run."""

    def summary(self, run_id: str) -> Summary | None:
        """The summary of a run that is over; else None."""

    def change(self, run_id: str, kind: ChangeKind, scenario: str, value: str) -> tuple[Change, int]:
        """Change a live run; what was changed, and in how many nanoseconds. Raises `FleetFault` in words."""

    def stop(self, run_id: str, *, graceful: bool) -> None:
        """Let iterations finish, or interrupt them."""
