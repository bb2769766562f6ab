"""The desk between workers and fleet: numbers of claims, whose each one is, and what is told to whom."""

from __future__ import annotations

from typing import Any

import pytest

from loadr.coordination import agent_io as io
from loadr.coordination.messages import Claim, ClaimKind, FaultKind, Value, ValueKind
from loadr.engine.channel import WorkerClaim
from loadr.engine.pool_events import PoolAround, PoolClaim
from loadr.masking import NO_SECRETS
from loadr.plan.model import Plan
from loadr.values_desk import Order, ValuesDesk
from support.conversation import plan


class Bench:
    """A desk, what it told the pool (``pool``) and the core (``fed``)."""

    def __init__(self, the_plan: Plan) -> None:
        self.pool: list[tuple[Any, ...]] = []
        self.fed: list[Any] = []
        self.torn: list[ValuesDesk] = []
        order = Order("run", 2, b"{}", NO_SECRETS)
        self.desk = ValuesDesk(order, self, self.fed.append, self.torn.append)
        self.desk.plan = the_plan

    def around(self, what: str, data: bytes = b"") -> None:
        self.pool.append(("around", what, data))

    def share_setup(self, data: bytes) -> None:
        self.pool.append(("setup", data))

    def give(self, worker: int, value: Any) -> None:
        self.pool.append(("give", worker, value.ticket, value.kind, value.first, value.end, value.count))

    @property
    def claims(self) -> list[Claim]:
        return [event.claim for event in self.fed if isinstance(event, io.EngineClaim)]

    @property
    def prepared(self) -> list[tuple[FaultKind, str]]:
        return [(event.fault, event.detail) for event in self.fed if isinstance(event, io.EnginePrepared)]

    def answer(self, number: int, kind: ValueKind, **fields: Any) -> None:
        self.desk.give(Value("run", 2, number, kind, **fields))


AROUND: dict[str, Any] = {"flow": []}


def test_without_a_setup_workers_that_have_loaded_the_plan_are_prepared() -> None:
    bench = Bench(plan())
    bench.desk.loaded()
    bench.desk.finished()
    assert bench.prepared == [(FaultKind.NONE, "")] and not bench.claims


def test_who_is_told_to_set_up_does_and_is_prepared_once_the_value_is_known() -> None:
    bench = Bench(plan(setup=AROUND))
    bench.desk.loaded()
    assert [(c.number, c.kind, c.key) for c in bench.claims] == [(1, ClaimKind.ONCE, "setup")]
    bench.answer(1, ValueKind.DO)
    assert bench.pool == [("around", "setup", b"")]
    bench.desk.done(PoolAround("setup", result=b"7", requests=3))
    result = bench.claims[-1]
    assert (result.number, result.kind, result.count, result.payload) == (2, ClaimKind.RESULT, 3, b"7")
    assert not bench.prepared
    bench.answer(2, ValueKind.RESULT, payload=b"7")
    assert bench.pool[-1] == ("setup", b"7") and bench.prepared == [(FaultKind.NONE, "")]


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        (
            ValueKind.FAULT,
            {"fault": FaultKind.SCRIPT, "detail": "no stock"},
            (FaultKind.SCRIPT, "setup failed: no stock"),
        ),
        (ValueKind.REFUSED, {"detail": "over"}, (FaultKind.INTERNAL, "setup failed: over")),
    ],
)
def test_a_setup_that_failed_is_why_the_agent_can_not_prepare(
    kind: ValueKind, fields: Any, expected: Any
) -> None:
    bench = Bench(plan(setup=AROUND))
    bench.desk.loaded()
    bench.answer(1, kind, **fields)
    assert bench.prepared == [expected]


def test_a_teardown_is_claimed_after_the_load_and_done_by_fresh_workers_with_the_value_of_setup() -> None:
    bench = Bench(plan(setup=AROUND, teardown=AROUND))
    bench.desk.loaded()
    bench.answer(1, ValueKind.RESULT, payload=b"7")
    bench.desk.finished()
    bench.answer(2, ValueKind.DO)
    assert bench.torn == [bench.desk]
    bench.desk.begin_teardown()
    assert bench.pool[-1] == ("around", "teardown", b"7")
    bench.desk.done(PoolAround("teardown", requests=1))
    assert (bench.claims[-1].number, bench.claims[-1].key) == (3, "teardown")
    bench.answer(3, ValueKind.RESULT)
    assert len(bench.prepared) == 1


def test_a_teardown_that_could_not_begin_is_a_fault_of_it() -> None:
    bench = Bench(plan(teardown=AROUND))
    bench.desk.failed("teardown", FaultKind.WORKER, "no workers")
    assert (bench.claims[0].fault, bench.claims[0].detail) == (FaultKind.WORKER, "no workers")


def test_claims_of_all_workers_are_numbered_in_a_row_and_answered_by_their_tickets() -> None:
    bench = Bench(plan())
    bench.desk.asked(PoolClaim(0, WorkerClaim(1, 3, "users", 16, used=5)))
    bench.desk.asked(PoolClaim(1, WorkerClaim(1, 4, "door", 2, users=3, timeout_ns=9)))
    first, second = bench.claims
    assert (first.number, first.kind, first.count, first.used) == (1, ClaimKind.BLOCK, 16, 5)
    assert (second.number, second.kind, second.users, second.timeout_ns) == (2, ClaimKind.BARRIER, 3, 9)
    bench.answer(2, ValueKind.RELEASED, count=2)
    bench.answer(1, ValueKind.BLOCK, first=4, end=8)
    assert bench.pool == [("give", 1, 1, 5, 0, 0, 2), ("give", 0, 1, 4, 4, 8, 0)]


def test_a_claim_for_those_who_wait_replaces_the_last_one_of_its_worker_and_door() -> None:
    bench = Bench(plan())
    bench.desk.asked(PoolClaim(0, WorkerClaim(1, 4, "door", 1)))
    bench.desk.asked(PoolClaim(1, WorkerClaim(1, 4, "door", 1)))
    bench.desk.asked(PoolClaim(0, WorkerClaim(2, 4, "door", 1, replaces=1)))
    bench.desk.asked(PoolClaim(1, WorkerClaim(2, 4, "other", 1, replaces=1)))
    assert [claim.replaces for claim in bench.claims] == [0, 0, 1, 0]
