"""How an agent deals what it holds among its workers, and deals it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from loadr.engine.channel import ShareOrder
from loadr.engine.holding import Holding
from loadr.plan.model import Plan
from loadr.schedule.change import NEVER_RUN_NS, Change, ChangeKind
from loadr.schedule.ownership import share_out, to_mask
from loadr.schedule.share import ScenarioShare
from loadr.units import NS_PER_S

SCENARIOS = {
    "open": {"executor": "constant-arrival-rate", "rate": 10, "duration": "10s", "max_vus": 20, "flow": []},
    "closed": {"executor": "constant-vus", "vus": 2, "duration": "9s", "graceful_stop": "5s", "flow": []},
}
PLAN = Plan.model_validate({"scenarios": SCENARIOS})
Orders = Mapping[int, Sequence[ShareOrder]]


def whole(from_run_ns: int = 0) -> list[ScenarioShare]:
    return list(share_out(PLAN, {"all": 1.0}, 1024, from_run_ns=from_run_ns)["all"])


def slots_of(orders: Orders, scenario: str) -> dict[int, int]:
    """The sum over workers of their masks, by slot; only what they were told last."""
    last = {w: share for w, shares in orders.items() for share in shares if share.scenario == scenario}
    return dict(enumerate(sum(to_mask(share.slots).astype(int) for share in last.values())))


def test_everything_is_dealt_and_nothing_twice() -> None:
    orders = Holding(PLAN).deal(whole(), [0, 1, 2])
    for scenario in SCENARIOS:
        assert set(slots_of(orders, scenario).values()) == {1}


def test_nothing_dealt_is_an_order_too() -> None:
    empty = [replace(s, slots=bytes(128), vu_slots=bytes(len(s.vu_slots))) for s in whole()]
    orders = Holding(PLAN).deal(empty, [0, 1])
    assert [len(shares) for shares in orders.values()] == [2, 2]
    assert set(slots_of(orders, "open").values()) == {0}


def test_what_holds_from_a_past_instant_holds_from_now_on() -> None:
    orders = Holding(PLAN).deal([*whole(), *whole(from_run_ns=50)], [0], not_before_ns=10)
    assert [share.from_run_ns for share in orders[0]] == [10, 10, 50, 50]


def test_those_who_are_left_get_all_that_holds_and_all_that_will() -> None:
    holding = Holding(PLAN)
    holding.deal(whole(), [0, 1, 2])
    later = [share for share in whole(from_run_ns=50) if share.scenario == "open"]
    holding.deal(later, [0, 1, 2], not_before_ns=10)
    orders = holding.deal_again([0, 2], 20)
    assert orders.keys() == {0, 2}
    told = [(share.scenario, share.from_run_ns) for share in orders[0]]
    assert sorted(told) == [("closed", 20), ("open", 20), ("open", 50)]
    for scenario in SCENARIOS:
        assert set(slots_of(orders, scenario).values()) == {1}


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from([0, 1, 2, 3]), min_size=1, max_size=3, unique=True))
def test_whoever_dies_the_others_keep_what_they_had(dead: list[int]) -> None:
    holding = Holding(PLAN)
    before = holding.deal(whole(), [0, 1, 2, 3])
    after = holding.deal_again([w for w in range(4) if w not in dead], 20)
    for worker, shares in after.items():
        for old, new in zip(before[worker], shares, strict=True):
            assert not (to_mask(old.slots) & ~to_mask(new.slots)).any()


def test_the_end_follows_the_changes() -> None:
    holding = Holding(PLAN)
    assert holding.end_run_ns == 40 * NS_PER_S  # with 30 s to end in
    pause = Change(NS_PER_S, ChangeKind.PAUSE)
    holding.follow([pause])
    assert holding.end_run_ns == NEVER_RUN_NS
    holding.follow([pause, Change(3 * NS_PER_S, ChangeKind.RESUME)])
    assert holding.end_run_ns == 42 * NS_PER_S


def test_vus_of_a_scale_are_dealt_evenly() -> None:
    holding = Holding(PLAN)
    holding.deal(whole(), [0, 1])
    holding.follow([Change(NS_PER_S, ChangeKind.SCALE, "closed", "100")])
    orders = holding.deal(whole(), [0, 1], NS_PER_S)
    sizes = [
        sum(to_mask(share.slots).sum() for share in shares if share.scenario == "closed")
        for shares in orders.values()
    ]
    assert sizes == [512, 512]
