"""A model of what the engine of one part asks the fleet for: setup, rows, meetings, teardown."""

from __future__ import annotations

import random
from typing import Any

from coordination.simulator.world import MS, S, Violation
from loadr.coordination import agent_io as io
from loadr.coordination.messages import Claim, ClaimKind, FaultKind, Value, ValueKind

USERS = 3
WAITS_NS = 2 * S
ROWS = 16  # of a block


class ClaimsModel:
    """``engine`` is the model of the workers; what is done and given goes to its oracle, too."""

    def __init__(self, engine: Any, seed: str) -> None:
        self.engine = engine
        self.random = random.Random(seed)
        self.waiting: dict[int, tuple[Claim, int]] = {}  # by number, and since when
        self.rows: list[int] = []
        self._number = 0
        self._used = 0
        self._asked = False
        self._here = 0  # VUs that wait for others
        self._fresh = 0  # of them, those of whom nobody has heard
        self._last = 0  # the claim for the others, 0: there is none

    def claim(self, kind: ClaimKind, key: str, **fields: Any) -> None:
        engine = self.engine
        self._number += 1
        claim = Claim(engine.run_id, engine.generation, self._number, 0, kind, key, **fields)
        self.waiting[self._number] = claim, engine.world.now
        engine.tell(io.EngineClaim, claim)

    def stale(self, for_ns: int) -> list[Claim]:
        """Claims for rows and meetings that nobody has answered for so long."""
        if self.engine.dead:
            return []
        now = self.engine.world.now
        quick = (ClaimKind.BLOCK, ClaimKind.BARRIER)
        return [claim for claim, since in self.waiting.values() if now - since > for_ns and claim.kind in quick]

    # --- what is asked --------------------------------------------------------------------------------------

    def ask_setup(self) -> None:
        self.claim(ClaimKind.ONCE, "setup")

    def ask_teardown(self) -> None:
        self.claim(ClaimKind.ONCE, "teardown")

    def ask_rows(self) -> None:
        self._asked = True
        used, self._used = self._used, 0
        self.claim(ClaimKind.BLOCK, "rows", count=ROWS, used=used)

    def arrived(self) -> None:
        """An iteration begins: it takes a row, and sometimes waits for others."""
        if self.rows:
            self.engine.oracle.row_used(self.engine.who, self.rows.pop())
            self._used += 1
        if len(self.rows) < ROWS // 2 and not self._asked:
            self.ask_rows()
        if self.random.random() < 0.1:
            count = self.random.randrange(1, 3)
            self._here += count
            self._fresh += count
            self.meet()

    def meet(self) -> None:
        """Each claim replaces the one before it."""
        count, self._fresh = self._fresh, 0
        if count:
            last, self._last = self._last, self._number + 1
            fields = {"count": count, "users": USERS, "timeout_ns": WAITS_NS, "replaces": last}
            self.claim(ClaimKind.BARRIER, "meet", **fields)

    # --- what is given --------------------------------------------------------------------------------------

    def give(self, value: Value) -> None:
        if self.engine.dead:
            return
        found = self.waiting.pop(value.number, None)
        if found is None:
            raise Violation(f"claim {value.number} of {self.engine.who} was answered twice, or never made")
        claim, _ = found
        if value.kind is ValueKind.DO:
            self._try(claim.key, self.engine.world.now + 5 * S)
        elif claim.kind is ClaimKind.BLOCK:
            self._asked = value.first == value.end
            self.engine.oracle.granted_rows(self.engine.who, value.first, value.end)
            self.rows[:0] = range(value.first, value.end)
        elif claim.kind is ClaimKind.BARRIER:
            told = self._here - self._fresh
            if value.count > told:
                raise Violation(f"{value.count} VUs of {told} are let go")
            self._here -= told if value.kind is ValueKind.REFUSED else value.count
            if value.kind is ValueKind.RELEASED and value.number == self._last and not value.count:
                raise Violation("a claim that nothing replaces is answered, and nobody is let go")
            if value.number == self._last:
                self._last, self._fresh = 0, self._here
                self.meet()
        elif claim.key == "setup":
            self._set_up(value)

    def _set_up(self, value: Value) -> None:
        if value.kind is ValueKind.RESULT:
            self.engine.oracle.has_setup(self.engine.who, value.payload)
            self.engine.tell(io.EnginePrepared)
        else:
            self.engine.tell(io.EnginePrepared, value.fault or FaultKind.INTERNAL, value.detail)

    def _try(self, key: str, until: int) -> None:
        """It is done under a lease, and only so."""
        engine = self.engine
        if engine.dead:
            return
        if engine.mono() < engine.lease_end:
            engine.oracle.begin_once(engine, key)
            engine.world.after(self.random.randrange(3 * S), lambda: self._did(key))
        elif engine.world.now < until:
            engine.world.after(50 * MS, lambda: self._try(key, until))
        else:
            self.claim(ClaimKind.RESULT, key, fault=FaultKind.TIMEOUT, detail="no lease")

    def _did(self, key: str) -> None:
        engine = self.engine
        if engine.dead:
            return
        engine.oracle.end_once(engine, key)
        if engine.mono() >= engine.lease_end:
            self.claim(ClaimKind.RESULT, key, fault=FaultKind.SCRIPT, detail="the lease ended")
        else:
            self.claim(ClaimKind.RESULT, key, count=2, payload=f"by {engine.who}".encode())
