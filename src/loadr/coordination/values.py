"""Values of the fleet: what one run keeps for all its parts, and how it answers their claims.

Takes claims, parts whose load is over, and time; gives values, each for one claim of one part. An answer is kept
until the part says that it has it, and is the same whenever the claim comes again. Instants are the controller's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from loadr.coordination.messages import (
    MAX_OPEN_CLAIMS,
    MAX_VALUE_BYTES,
    MAX_WORDS_CHARACTERS,
    Claim,
    ClaimKind,
    FaultKind,
    Value,
    ValueKind,
)
from loadr.errors import PeerFault

SETUP = "setup"
TEARDOWN = "teardown"
MAX_ONCE = 16  # keys of what is done once in a run
MAX_BLOCK_ROWS = 65_536
MAX_BARRIER_NS = 3600 * 1_000_000_000

Answer = tuple[str, Value]
"""The key of a part, and what it is told."""


@dataclass(frozen=True, slots=True)
class RowSet:
    """Of a data set whose rows come in blocks."""

    rows: int
    recycle: bool = False


@dataclass(slots=True)
class _Ledger:
    """Of one part. ``settled``: it has the answers to everything below."""

    settled: int = 1
    is_out: bool = False
    open: dict[int, Claim] = field(default_factory=dict)
    answers: dict[int, Value] = field(default_factory=dict)
    left: dict[int, int] = field(default_factory=dict)  # barriers: by claim, who still waits of it
    granted: dict[str, int] = field(default_factory=dict)  # rows, by data set
    used: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Once:
    """What is done once. ``begun``: how often somebody was told to do it; ``doer``: the part that is at it."""

    is_held: bool = False
    begun: int = 0
    doer: str = ""
    done_by: str = ""
    waiting: list[tuple[str, Claim]] = field(default_factory=list)
    outcome: Claim | None = None

    @property
    def requests(self) -> int:
        """Sent by the one that came to an end with it."""
        return self.outcome.count if self.outcome is not None else 0

    @property
    def fault(self) -> str:
        """Why it could not be done, in words."""
        outcome = self.outcome
        return (outcome.detail or outcome.fault.name.lower()) if outcome is not None and outcome.fault else ""


@dataclass(slots=True)
class _Barrier:
    due_ns: int
    waiting: list[tuple[str, Claim]] = field(default_factory=list)


class Values:
    """Of one run. ``row_sets``: its data sets whose rows are granted in blocks, by name."""

    def __init__(self, row_sets: Mapping[str, RowSet]) -> None:
        self._sets = dict(row_sets)
        self._next = dict.fromkeys(row_sets, 0)
        self._parts: dict[str, _Ledger] = {}
        self._once = {SETUP: Once(), TEARDOWN: Once(is_held=True)}
        self._barriers: dict[str, _Barrier] = {}
        self._is_stopped = False

    @property
    def setup(self) -> Once:
        """How the setup of the run stands."""
        return self._once[SETUP]

    @property
    def teardown(self) -> Once:
        """How its teardown stands."""
        return self._once[TEARDOWN]

    def is_doing(self, part: str) -> bool:
        """Whether the part was told to do something, and has not said how it went."""
        return any(once.doer == part for once in self._once.values())

    # --- what happens ---------------------------------------------------------------------------------------

    def claim(self, part: str, claim: Claim, now_ns: int) -> list[Answer]:
        """A part claims something, perhaps not for the first time. Raises `PeerFault` on what can not be."""
        ledger = self._parts.setdefault(part, _Ledger())
        if claim.number < ledger.settled:
            return []  # an old one, on its way for long
        _check(claim, ledger)
        ledger.settled = max(ledger.settled, claim.settled)
        for kept in (ledger.answers, ledger.left):
            for number in [n for n in kept if n < ledger.settled]:
                del kept[number]
        if claim.number in ledger.answers:
            return [(part, ledger.answers[claim.number])]
        if claim.number in ledger.open:
            return []
        ledger.open[claim.number] = claim
        if ledger.is_out and claim.key != TEARDOWN:
            return [self._refuse(part, claim)]
        if claim.kind is ClaimKind.ONCE:
            return self._ask_once(part, claim)
        if claim.kind is ClaimKind.RESULT:
            return self._take_result(part, claim)
        if claim.kind is ClaimKind.BLOCK:
            return [self._grant(part, claim, ledger)]
        return self._arrive(part, claim, now_ns)

    def over(self, part: str) -> list[Answer]:
        """The load of a part is over: nobody waits for it, and it gets nothing more but for a teardown."""
        ledger = self._parts.setdefault(part, _Ledger())
        ledger.is_out = True
        for barrier in self._barriers.values():
            barrier.waiting = [(who, claim) for who, claim in barrier.waiting if who != part]
        self._barriers = {key: barrier for key, barrier in self._barriers.items() if barrier.waiting}
        out = [
            answer for key, once in self._once.items() if key != TEARDOWN for answer in self._leave(once, part)
        ]
        idle = [claim for claim in ledger.open.values() if claim.key != TEARDOWN]
        return out + [self._refuse(part, claim) for claim in idle]

    def away(self, part: str) -> list[Answer]:
        """A part can not be reached any more, until it claims again: what it was told to do is done by another.
        Its load is over, too."""
        out = self.over(part) + self._leave(self.teardown, part)
        self._parts[part].open.clear()
        return out

    def _leave(self, once: Once, part: str) -> list[Answer]:
        once.waiting = [(who, claim) for who, claim in once.waiting if who != part]
        if once.doer != part:
            return []
        once.doer = ""
        return self._appoint(once)

    def begin_teardown(self) -> list[Answer]:
        """The load of all is over."""
        self.teardown.is_held = False
        return self._appoint(self.teardown)

    def stop(self) -> list[Answer]:
        """The load is to end: nobody waits for others any more."""
        self._is_stopped = True
        barriers, self._barriers = self._barriers, {}
        return [
            answer for barrier in barriers.values() for answer in self._let_all_go(barrier, ValueKind.RELEASED)
        ]

    def pass_time(self, now_ns: int) -> list[Answer]:
        """Barriers whose time is up let go of everybody."""
        late = [key for key, barrier in self._barriers.items() if now_ns >= barrier.due_ns]
        return [
            answer for key in late for answer in self._let_all_go(self._barriers.pop(key), ValueKind.TIMED_OUT)
        ]

    def next_ns(self) -> int | None:
        """When time alone changes something."""
        return min((barrier.due_ns for barrier in self._barriers.values()), default=None)

    def burnt(self, part: str) -> dict[str, int]:
        """By data set, rows that were granted to a part and that it may not have begun."""
        ledger = self._parts.get(part, _Ledger())
        lost = {name: rows - ledger.used.get(name, 0) for name, rows in ledger.granted.items()}
        return {name: rows for name, rows in lost.items() if rows > 0}

    # --- once -----------------------------------------------------------------------------------------------

    def _of(self, claim: Claim) -> Once:
        if claim.key not in self._once and len(self._once) >= MAX_ONCE:
            raise PeerFault(f"more than {MAX_ONCE} things are to be done once in this run")
        return self._once.setdefault(claim.key, Once())

    def _ask_once(self, part: str, claim: Claim) -> list[Answer]:
        once = self._of(claim)
        if once.outcome is not None:
            return [self._tell_outcome(part, claim, once.outcome)]
        once.waiting.append((part, claim))
        return self._appoint(once)

    def _appoint(self, once: Once) -> list[Answer]:
        """Somebody does it, if nobody is at it and somebody has asked."""
        if once.is_held or once.doer or once.outcome is not None or not once.waiting:
            return []
        asking = [(who, claim) for who, claim in once.waiting if claim.kind is ClaimKind.ONCE]
        if not asking:
            return self._settle(once, *once.waiting.pop(0))  # of one that was given up, and did it all the same
        who, claim = asking[0]
        once.waiting.remove((who, claim))
        once.doer = who
        once.begun += 1
        return [self._answer(who, claim, ValueKind.DO)]

    def _take_result(self, part: str, claim: Claim) -> list[Answer]:
        once = self._of(claim)
        if once.outcome is not None:
            return [self._tell_outcome(part, claim, once.outcome)]
        if once.doer != part:
            once.waiting.append((part, claim))  # if somebody is at it now, that one's result counts
            return self._appoint(once)
        return self._settle(once, part, claim)

    def _settle(self, once: Once, part: str, claim: Claim) -> list[Answer]:
        once.outcome, once.doer, once.done_by = claim, "", part
        waiting, once.waiting = [(part, claim), *once.waiting], []
        return [self._tell_outcome(who, waits, claim) for who, waits in waiting]

    def _tell_outcome(self, part: str, claim: Claim, outcome: Claim) -> Answer:
        if outcome.fault:
            return self._answer(part, claim, ValueKind.FAULT, fault=outcome.fault, detail=outcome.detail)
        return self._answer(part, claim, ValueKind.RESULT, payload=outcome.payload)

    # --- rows -----------------------------------------------------------------------------------------------

    def _grant(self, part: str, claim: Claim, ledger: _Ledger) -> Answer:
        rows = self._sets.get(claim.key)
        if rows is None:
            raise PeerFault(f"no rows of {claim.key[:64]!r} are granted in this run")
        ledger.granted.setdefault(claim.key, 0)
        ledger.used[claim.key] = ledger.used.get(claim.key, 0) + claim.used
        first = self._next[claim.key]
        end = first + min(claim.count, MAX_BLOCK_ROWS, self._fair(claim.key, rows, first))
        self._next[claim.key] = end
        ledger.granted[claim.key] += end - first
        return self._answer(part, claim, ValueKind.BLOCK, first=first, end=end)

    def _fair(self, name: str, rows: RowSet, first: int) -> int:
        """A quarter of a part's share of what is left, so that nobody burns or hoards the rest of a file."""
        if rows.recycle:
            return rows.rows
        sharing = sum(name in ledger.granted and not ledger.is_out for ledger in self._parts.values())
        return -(-(rows.rows - first) // (4 * max(sharing, 1)))

    # --- barriers -------------------------------------------------------------------------------------------

    def _arrive(self, part: str, claim: Claim, now_ns: int) -> list[Answer]:
        ledger = self._parts[part]
        ledger.left[claim.number] = claim.count + ledger.left.pop(claim.replaces, 0)
        barrier = self._barriers.get(claim.key)
        out = []
        if barrier is not None:
            replaced = [
                (who, old) for who, old in barrier.waiting if who == part and old.number == claim.replaces
            ]
            barrier.waiting = [waits for waits in barrier.waiting if waits not in replaced]
            out += [self._answer(who, old, ValueKind.RELEASED) for who, old in replaced]
        if self._is_stopped or not ledger.left[claim.number]:
            return [*out, self._let_go(part, claim, ValueKind.RELEASED)]
        if barrier is None:
            barrier = self._barriers[claim.key] = _Barrier(now_ns + _patience_ns(claim))
        barrier.waiting.append((part, claim))
        return out + self._meet(claim.key, barrier, now_ns)

    def _meet(self, key: str, barrier: _Barrier, now_ns: int) -> list[Answer]:
        """As many go on as there are whole groups of those who have come, the first to come first."""
        users = max(1, barrier.waiting[0][1].users)
        arrived = sum(self._parts[who].left[claim.number] for who, claim in barrier.waiting)
        going = arrived // users * users
        out = []
        while going:
            who, claim = barrier.waiting.pop(0)
            count = min(self._parts[who].left[claim.number], going)
            going -= count
            out.append(self._let_go(who, claim, ValueKind.RELEASED, count))
        if not barrier.waiting:
            del self._barriers[key]
        elif out:
            barrier.due_ns = now_ns + _patience_ns(barrier.waiting[0][1])
        return out

    def _let_all_go(self, barrier: _Barrier, kind: ValueKind) -> list[Answer]:
        return [self._let_go(who, claim, kind) for who, claim in barrier.waiting]

    def _let_go(self, part: str, claim: Claim, kind: ValueKind, count: int | None = None) -> Answer:
        """So many of a claim, or all of them."""
        left = self._parts[part].left
        count = left[claim.number] if count is None else count
        left[claim.number] -= count
        return self._answer(part, claim, kind, count=count)

    # --- answers --------------------------------------------------------------------------------------------

    def _refuse(self, part: str, claim: Claim) -> Answer:
        return self._answer(part, claim, ValueKind.REFUSED, detail="the load of this part is over")

    def _answer(
        self,
        part: str,
        claim: Claim,
        kind: ValueKind,
        *,
        payload: bytes = b"",
        fault: FaultKind = FaultKind.NONE,
        detail: str = "",
        first: int = 0,
        end: int = 0,
        count: int = 0,
    ) -> Answer:
        ledger = self._parts[part]
        words = detail[:MAX_WORDS_CHARACTERS]
        value = Value(
            claim.run_id, claim.generation, claim.number, kind, payload, fault, words, first, end, count
        )
        ledger.open.pop(claim.number, None)
        ledger.answers[claim.number] = value
        return part, value


def _check(claim: Claim, ledger: _Ledger) -> None:
    """Raises `PeerFault` for what no agent of ours claims."""
    unanswered = min(ledger.open, default=claim.settled)
    if claim.settled > claim.number or claim.settled > unanswered:
        raise PeerFault(f"claim {claim.number} says that all below {claim.settled} were answered")
    if claim.number >= max(claim.settled, ledger.settled) + MAX_OPEN_CLAIMS:
        raise PeerFault(f"more than {MAX_OPEN_CLAIMS} claims are open")
    if len(claim.payload) > MAX_VALUE_BYTES:
        raise PeerFault(f"a value has {len(claim.payload)} bytes; at most {MAX_VALUE_BYTES} are kept")
    if not claim.count and claim.kind in (ClaimKind.BLOCK, ClaimKind.BARRIER):
        raise PeerFault(f"claim {claim.number} is for nothing")


def _patience_ns(claim: Claim) -> int:
    return min(max(claim.timeout_ns, 1), MAX_BARRIER_NS)


def burnt_words(name: str, burnt: Mapping[str, int]) -> Iterable[str]:
    """A note for each data set of which rows of a part that is over are not used by anybody any more."""
    for data, rows in burnt.items():
        yield f"at most {rows} rows of {data} were with agent {name} and are used by nobody any more"
