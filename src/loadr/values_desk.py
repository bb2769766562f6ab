"""The desk between the workers of one part and the fleet: setup, teardown, and claims of workers.

Takes what the pool reports and the values that the core gives; gives claims to the core and orders to the pool.
It numbers the claims of all workers, and knows whose each one is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from loadr.coordination import agent_io as io
from loadr.coordination.messages import Claim, ClaimKind, FaultKind, Value, ValueKind
from loadr.coordination.values import SETUP, TEARDOWN
from loadr.engine.channel import ValueOrder
from loadr.engine.pool_events import PoolAround, PoolClaim
from loadr.masking import Secrets
from loadr.plan.model import Plan


class ValuesPool(Protocol):
    """What of a pool serves values; see `loadr.engine.pool.WorkerPool`."""

    def around(self, what: str, data: bytes = b"") -> None: ...

    def share_setup(self, data: bytes) -> None: ...

    def give(self, worker: int, value: ValueOrder) -> None: ...


@dataclass(frozen=True, slots=True)
class Order:
    """What a part was told to prepare: a teardown needs it once more, for fresh workers."""

    run_id: str
    generation: int
    plan_json: bytes
    secrets: Secrets


class ValuesDesk:
    """Of one part. ``tear_down`` has fresh workers load the plan, and then calls `begin_teardown`."""

    def __init__(
        self,
        order: Order,
        pool: ValuesPool,
        feed: Callable[[io.AgentEvent], None],
        tear_down: Callable[[ValuesDesk], None],
    ) -> None:
        self.order = order
        self.plan: Plan | None = None  # once it was read
        self.setup = b""  # its result, as JSON
        self._pool = pool
        self._feed = feed
        self._tear_down = tear_down
        self._number = 0
        self._last: dict[tuple[int, str], tuple[int, int]] = {}  # by worker and meeting: ticket and number
        self._askers: dict[int, tuple[int, int] | str] = {}  # by number: worker and ticket, or setup, or teardown

    # --- what the pool reports ------------------------------------------------------------------------------

    def loaded(self) -> None:
        """All workers have loaded the plan: with a setup, its value is awaited first."""
        if self.plan is None or self.plan.setup is None:
            self._prepared()
        else:
            self._claim(SETUP, ClaimKind.ONCE, SETUP)

    def finished(self) -> None:
        """All workers are done with the load."""
        if self.plan is not None and self.plan.teardown is not None:
            self._claim(TEARDOWN, ClaimKind.ONCE, TEARDOWN)

    def begin_teardown(self) -> None:
        """Fresh workers have loaded the plan."""
        self._pool.around(TEARDOWN, self.setup)

    def failed(self, what: str, fault: FaultKind, detail: str) -> None:
        """What was to be done could not even begin."""
        self._claim(what, ClaimKind.RESULT, what, fault=fault, detail=detail)

    def done(self, event: PoolAround) -> None:
        """A worker has carried out what it was told to."""
        self._claim(
            event.what,
            ClaimKind.RESULT,
            event.what,
            count=event.requests,
            payload=event.result,
            fault=FaultKind(event.fault),
            detail=event.detail,
        )

    def asked(self, event: PoolClaim) -> None:
        """A worker claims something."""
        worker, claim = event.worker, event.claim
        last_ticket, last_number = self._last.get((worker, claim.key), (0, 0))
        replaces = last_number if claim.replaces and claim.replaces == last_ticket else 0
        if claim.kind == ClaimKind.BARRIER:
            self._last[worker, claim.key] = claim.ticket, self._number + 1
        self._claim(
            (worker, claim.ticket),
            ClaimKind(claim.kind),
            claim.key,
            count=claim.count,
            used=claim.used,
            users=claim.users,
            timeout_ns=claim.timeout_ns,
            replaces=replaces,
        )

    # --- what the fleet answers -----------------------------------------------------------------------------

    def give(self, value: Value) -> None:
        """A claim was answered."""
        asker = self._askers.pop(value.number)
        if isinstance(asker, tuple):
            worker, ticket = asker
            order = ValueOrder(ticket, int(value.kind), value.first, value.end, value.count)
            self._pool.give(worker, order)
        elif value.kind is ValueKind.DO and asker == TEARDOWN:
            self._tear_down(self)
        elif value.kind is ValueKind.DO:
            self._pool.around(asker)
        elif asker == SETUP and value.kind is ValueKind.RESULT:
            self.setup = value.payload
            self._pool.share_setup(value.payload)
            self._prepared()
        elif asker == SETUP:
            self._prepared(value.fault or FaultKind.INTERNAL, f"setup failed: {value.detail}")

    # --- words ----------------------------------------------------------------------------------------------

    def _claim(
        self,
        asker: tuple[int, int] | str,
        kind: ClaimKind,
        key: str,
        *,
        count: int = 0,
        used: int = 0,
        users: int = 0,
        timeout_ns: int = 0,
        payload: bytes = b"",
        fault: FaultKind = FaultKind.NONE,
        detail: str = "",
        replaces: int = 0,
    ) -> None:
        self._number += 1
        self._askers[self._number] = asker
        run = self.order.run_id, self.order.generation
        claim = Claim(
            *run, self._number, 0, kind, key, count, used, users, timeout_ns, payload, fault, detail, replaces
        )
        self._feed(io.EngineClaim(*run, claim))

    def _prepared(self, fault: FaultKind = FaultKind.NONE, detail: str = "") -> None:
        self._feed(io.EnginePrepared(self.order.run_id, self.order.generation, fault, detail))
