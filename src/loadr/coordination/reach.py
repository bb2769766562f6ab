"""How far a part may have come: the shares that it may hold, and the changes that it may not have heard of.

Takes what the part was told under which revision, and what it says that it has applied; gives the shares and the
courses from which `loss` makes bounds. Instants are nanoseconds on the run's timeline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from loadr.coordination.loss import Followed
from loadr.schedule.change import Change
from loadr.schedule.share import ScenarioShare


class Reach:
    """Of one part. What is taken away counts as held until the part has said that it gave it."""

    __slots__ = ("_givings", "_heard", "_late", "owned")

    def __init__(self) -> None:
        self.owned: list[ScenarioShare] = []  # every share that it may have held
        self._givings: list[tuple[int, ScenarioShare]] = []  # by the revision that says so
        self._heard = 0  # so many changes of the run it follows
        self._late: list[tuple[int, int]] = []  # (so many changes, until when): it heard of the next one too late

    def told(self, revision: int, shares: Sequence[ScenarioShare]) -> None:
        """It is told to own these, and no others."""
        for share in shares:
            last = next((one for one in reversed(self.owned) if one.scenario == share.scenario), None)
            if last is not None and _takes_away(last.slots, share.slots):
                self._givings.append((revision, share))
            elif last is None or last.slots != share.slots:
                self.owned.append(share)

    def begins_with(self, changes: int) -> None:
        """Whatever it does, it does under the first ``changes`` changes, or more."""
        self._heard = changes

    def applied(self, revision: int, changes: Sequence[Change], heard: int, its_run_ns: int) -> int:
        """It has applied a revision that has ``heard`` of the changes; how late that may have been, in ns.
        ``its_run_ns``: the latest that its own timeline may show."""
        for _, share in [giving for giving in self._givings if giving[0] <= revision]:
            self.owned.append(replace(share, from_run_ns=max(share.from_run_ns, its_run_ns)))
        self._givings = [giving for giving in self._givings if giving[0] > revision]
        late_ns = max((its_run_ns - change.at_run_ns for change in changes[self._heard : heard]), default=0)
        self._miss(changes[:heard], its_run_ns)
        self._heard = max(self._heard, heard)
        return max(0, late_ns)

    def ended(self, changes: Sequence[Change], until_run_ns: int) -> int:
        """Its load was over at that instant at the latest; how long it may have gone on without a change."""
        late_ns = max((until_run_ns - change.at_run_ns for change in changes[self._heard :]), default=0)
        self._miss(changes, until_run_ns)
        self._heard = len(changes)
        return max(0, late_ns)

    def _miss(self, changes: Sequence[Change], until_run_ns: int) -> None:
        """It may have gone on without the newest of ``changes`` until then."""
        for count in range(self._heard, len(changes)):
            if until_run_ns > changes[count].at_run_ns:
                self._late.append((count, until_run_ns))

    def followed_late(self, changes: tuple[Change, ...]) -> list[Followed]:
        """The courses that it followed longer than it should have."""
        return [Followed(changes[:count], until_ns) for count, until_ns in self._late]


def _takes_away(before: bytes, after: bytes) -> bool:
    return bool(int.from_bytes(before, "little") & ~int.from_bytes(after, "little"))
