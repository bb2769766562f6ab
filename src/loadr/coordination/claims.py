"""Claims of one part, on its agent: which of them are open, and what is to be said of them when.

Takes claims of the engine, numbered by it from 1 on, values of the controller and new sessions; gives the claims
to send. Each value is handed on once.
"""

from __future__ import annotations

from dataclasses import replace

from loadr.coordination.messages import MAX_OPEN_CLAIMS, Claim, ClaimKind, Value, ValueKind
from loadr.errors import InternalFault, PeerFault


class Claims:
    """Beyond `MAX_OPEN_CLAIMS` a claim waits here until older ones are answered."""

    __slots__ = ("_doing", "_last", "_open", "_said")

    def __init__(self) -> None:
        self._open: dict[int, Claim] = {}  # ascending
        self._last = 0
        self._said = 0  # all up to and including it were handed over to be sent
        self._doing: dict[str, int] = {}  # key → claim of its result, 0: not yet made

    @property
    def open(self) -> tuple[int, ...]:
        """Numbers of claims that are not answered."""
        return tuple(self._open)

    def is_doing(self, key: str) -> bool:
        """The fleet waits for this part to do it."""
        return key in self._doing

    def waits_for(self, key: str) -> bool:
        """This part does it, or would."""
        return key in self._doing or any(claim.key == key for claim in self._open.values())

    def add(self, claim: Claim) -> list[Claim]:
        """The next claim of the engine; what is to be sent now."""
        if claim.number != self._last + 1:
            raise InternalFault(f"claim {claim.number} of the engine comes after claim {self._last}")
        self._last = claim.number
        self._open[claim.number] = claim
        if claim.kind is ClaimKind.RESULT and claim.key in self._doing:
            self._doing[claim.key] = claim.number
        return self._due()

    def answer(self, value: Value) -> tuple[bool, list[Claim]]:
        """Whether this is news for the engine, and what is to be sent now. Raises `PeerFault` on an answer to
        what was never claimed."""
        if value.number > self._last:
            raise PeerFault(f"run {value.run_id}: claim {value.number} was answered, and never made")
        claim = self._open.pop(value.number, None)
        if claim is None:
            return False, []
        if value.kind is ValueKind.DO:
            self._doing[claim.key] = 0
        elif self._doing.get(claim.key) == value.number:
            del self._doing[claim.key]
        return True, self._due()

    def repeat(self) -> list[Claim]:
        """On a new session: everything that is open, as far as it may be."""
        self._said = 0
        return self._due()

    def _due(self) -> list[Claim]:
        settled = next(iter(self._open), self._last + 1)
        due = [claim for number, claim in self._open.items() if self._said < number < settled + MAX_OPEN_CLAIMS]
        if due:
            self._said = due[-1].number
        return [replace(claim, settled=settled) for claim in due]
