"""Values of the fleet: done once, granted once, met exactly; and answered in the same way for ever."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadr.coordination.messages import (
    MAX_OPEN_CLAIMS,
    MAX_VALUE_BYTES,
    Claim,
    ClaimKind,
    FaultKind,
    Value,
    ValueKind,
)
from loadr.coordination.values import Answer, RowSet, Values, burnt_words
from loadr.errors import PeerFault

K, V = ClaimKind, ValueKind
NOW = 1000


def claim(number: int, kind: K, key: str = "setup", settled: int = 0, **fields: Any) -> Claim:
    if kind in (K.BLOCK, K.BARRIER):
        fields.setdefault("count", 1)
    return Claim("run", 1, number, settled, kind, key, **fields)


def told(answers: list[Answer]) -> list[tuple[str, V]]:
    return [(part, value.kind) for part, value in answers]


def block(values: Values, part: str, number: int, count: int = 10, used: int = 0) -> Value:
    ((who, value),) = values.claim(part, claim(number, K.BLOCK, "users", number, count=count, used=used), NOW)
    assert who == part
    return value


# --- once ----------------------------------------------------------------------------------------------------


def test_the_first_does_it_and_everybody_gets_the_result_whenever_they_ask() -> None:
    values = Values({})
    assert told(values.claim("a", claim(1, K.ONCE), NOW)) == [("a", V.DO)]
    assert values.is_doing("a")
    assert values.claim("b", claim(1, K.ONCE), NOW) == []
    answers = values.claim("a", claim(2, K.RESULT, payload=b"7", count=3), NOW)
    assert told(answers) == [("a", V.RESULT), ("b", V.RESULT)]
    assert {value.payload for _, value in answers} == {b"7"}
    ((_, late),) = values.claim("c", claim(1, K.ONCE), NOW)
    assert (late.kind, late.payload) == (V.RESULT, b"7")
    assert (values.setup.requests, values.setup.begun, values.is_doing("a")) == (3, 1, False)


def test_a_fault_is_a_result() -> None:
    values = Values({})
    values.claim("a", claim(1, K.ONCE), NOW)
    values.claim("a", claim(2, K.RESULT, fault=FaultKind.SCRIPT, detail="no stock"), NOW)
    ((_, value),) = values.claim("b", claim(1, K.ONCE), NOW)
    assert (value.kind, value.fault, value.detail) == (V.FAULT, FaultKind.SCRIPT, "no stock")
    assert values.setup.fault == "no stock"


def test_when_the_doer_is_away_the_next_does_it_and_the_result_of_the_first_does_not_count() -> None:
    values = Values({})
    for part in "abc":
        values.claim(part, claim(1, K.ONCE), NOW)
    assert told(values.away("a")) == [("b", V.DO)]
    assert told(values.claim("a", claim(2, K.RESULT, payload=b"a"), NOW)) == [("a", V.REFUSED)]
    answers = values.claim("b", claim(2, K.RESULT, payload=b"b"), NOW)
    assert told(answers) == [("b", V.RESULT), ("c", V.RESULT)] and answers[1][1].payload == b"b"
    assert values.setup.begun == 2


def test_a_teardown_waits_until_it_may_begin_and_parts_that_are_over_may_do_it() -> None:
    values = Values({})
    assert values.claim("a", claim(1, K.ONCE, "teardown"), NOW) == []
    assert values.over("a") == []
    assert told(values.begin_teardown()) == [("a", V.DO)]


def test_a_teardown_that_was_done_by_one_that_was_given_up_counts_if_nobody_else_is_at_it() -> None:
    values = Values({})
    values.begin_teardown()
    values.claim("a", claim(1, K.ONCE, "teardown"), NOW)
    assert values.away("a") == []
    assert told(values.claim("a", claim(2, K.RESULT, "teardown"), NOW)) == [("a", V.RESULT)]


def test_the_words_of_one_that_was_given_up_count_when_the_next_is_away_too() -> None:
    values = Values({})
    values.begin_teardown()
    values.claim("a", claim(1, K.ONCE, "teardown"), NOW)
    values.claim("b", claim(1, K.ONCE, "teardown"), NOW)
    assert told(values.away("a")) == [("b", V.DO)]
    assert values.claim("a", claim(2, K.RESULT, "teardown"), NOW) == []
    assert told(values.away("b")) == [("a", V.RESULT)]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_whoever_is_lost_setup_has_one_doer_at_a_time_and_one_result(data: st.DataObject) -> None:
    values, gone, doing = Values({}), set(), set()
    results: set[bytes] = set()
    numbers = dict.fromkeys("abcd", 0)

    def take(answers: list[Answer]) -> None:
        for part, value in answers:
            if value.kind is V.DO:
                assert not doing - gone, "two are at it"
                doing.add(part)
            elif value.kind is V.RESULT:
                results.add(value.payload)

    for _ in range(12):
        part = data.draw(st.sampled_from("abcd"))
        act = data.draw(st.sampled_from(["ask", "done", "lost"]))
        if act == "lost":
            gone.add(part)
            take(values.away(part))
        elif act == "ask" and part not in gone:
            numbers[part] += 1
            take(values.claim(part, claim(numbers[part], K.ONCE), NOW))
        elif act == "done" and part in doing and part not in gone:
            numbers[part] += 1
            doing.discard(part)
            take(values.claim(part, claim(numbers[part], K.RESULT, payload=part.encode()), NOW))
    assert len(results) <= 1


# --- rows ----------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(
    rows=st.integers(1, 500),
    asks=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 80)), min_size=1, max_size=60),
)
def test_blocks_are_disjoint_follow_each_other_and_end_with_the_rows(rows: int, asks: list[Any]) -> None:
    values, numbers, at = Values({"users": RowSet(rows)}), dict.fromkeys("abc", 0), 0
    for part, count in asks:
        numbers[part] += 1
        value = block(values, part, numbers[part], count)
        assert value.first == at and at <= value.end <= min(rows, at + count)
        assert value.end > at or at == rows
        at = value.end


def test_all_rows_are_granted_in_the_end_and_then_none() -> None:
    values, rows, number = Values({"users": RowSet(100)}), [], 0
    while True:
        number += 1
        value = block(values, "a", number, 64)
        if value.first == value.end:
            break
        rows += range(value.first, value.end)
    assert rows == list(range(100))


def test_nobody_gets_more_than_a_quarter_of_its_part_of_what_is_left() -> None:
    values = Values({"users": RowSet(80)})
    assert [block(values, part, 1, 1000).end for part in "ab"] == [20, 28]


def test_rows_that_recycle_go_on_and_no_block_has_one_twice() -> None:
    values = Values({"users": RowSet(5, recycle=True)})
    spans = [(v.first, v.end) for v in (block(values, "a", number, 8) for number in (1, 2))]
    assert spans == [(0, 5), (5, 10)]


def test_rows_of_a_part_that_is_over_are_burnt_but_for_those_that_it_has_begun() -> None:
    values = Values({"users": RowSet(10_000)})
    block(values, "a", 1, 100)
    block(values, "a", 2, 100, used=60)
    values.over("a")
    assert values.burnt("a") == {"users": 140} and values.burnt("b") == {}
    assert list(burnt_words("a", {"users": 140})) == [
        "at most 140 rows of users were with agent a and are used by nobody any more"
    ]
    assert block(values, "a", 3).kind is V.REFUSED


# --- barriers ------------------------------------------------------------------------------------------------


def meet(
    values: Values, part: str, number: int, count: int, users: int = 3, now: int = NOW, replaces: int = 0
) -> list[Answer]:
    fields = {"count": count, "users": users, "timeout_ns": 50, "replaces": replaces}
    return values.claim(part, claim(number, K.BARRIER, "m", **fields), now)


def test_a_claim_may_replace_another_and_their_vus_count_together() -> None:
    values = Values({})
    meet(values, "a", 1, 1)
    assert [(v.number, v.kind, v.count) for _, v in meet(values, "a", 2, 1, replaces=1)] == [(1, V.RELEASED, 0)]
    answers = meet(values, "b", 1, 1, now=NOW + 40)
    assert [(part, v.number, v.count) for part, v in answers] == [("a", 2, 2), ("b", 1, 1)]


def test_what_is_left_of_a_claim_that_was_answered_on_the_way_goes_to_the_one_that_replaces_it() -> None:
    values = Values({})
    meet(values, "a", 1, 2)
    assert [v.count for _, v in meet(values, "b", 1, 2)] == [2, 1]
    assert meet(values, "b", 2, 1, replaces=1) == []
    assert [(part, v.count) for part, v in meet(values, "a", 2, 1)] == [("b", 2), ("a", 1)]


def test_the_time_of_those_who_wait_goes_on_when_their_claim_is_replaced() -> None:
    values = Values({})
    meet(values, "a", 1, 1)
    meet(values, "a", 2, 1, now=NOW + 20, replaces=1)
    assert values.next_ns() == NOW + 50
    assert [(v.number, v.count) for _, v in values.pass_time(NOW + 50)] == [(2, 2)]
    assert [v.count for _, v in meet(values, "a", 3, 3, replaces=2)] == [3]


def test_as_many_go_on_as_were_waited_for_and_the_others_are_claimed_anew() -> None:
    values = Values({})
    assert meet(values, "a", 1, 2) == []
    answers = meet(values, "b", 1, 2)
    assert [(part, v.kind, v.count) for part, v in answers] == [("a", V.RELEASED, 2), ("b", V.RELEASED, 1)]
    assert values.next_ns() is None
    assert meet(values, "b", 2, 1) == []


def test_at_its_time_limit_a_barrier_lets_all_go() -> None:
    values = Values({})
    meet(values, "a", 1, 1)
    meet(values, "b", 1, 1, now=NOW + 30)
    assert values.next_ns() == NOW + 50 and values.pass_time(NOW + 49) == []
    assert told(values.pass_time(NOW + 50)) == [("a", V.TIMED_OUT), ("b", V.TIMED_OUT)]


def test_who_is_left_over_waits_from_then_on() -> None:
    values = Values({})
    meet(values, "a", 1, 2)
    meet(values, "b", 1, 1, now=NOW + 40)
    meet(values, "b", 2, 1, now=NOW + 45)
    assert values.next_ns() == NOW + 95


def test_when_the_load_ends_nobody_waits_any_more() -> None:
    values = Values({})
    meet(values, "a", 1, 1)
    assert told(values.stop()) == [("a", V.RELEASED)]
    assert told(meet(values, "b", 1, 2)) == [("b", V.RELEASED)]


def test_those_who_are_over_are_not_counted() -> None:
    values = Values({})
    meet(values, "a", 1, 2)
    assert told(values.over("a")) == [("a", V.REFUSED)]
    assert meet(values, "b", 1, 2) == []


@settings(max_examples=200, deadline=None)
@given(
    users=st.integers(1, 6),
    arrivals=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9)), max_size=30),
)
def test_a_barrier_counts_exactly(users: int, arrivals: list[tuple[str, int]]) -> None:
    """Whoever is left over claims anew, as agents do; then all but the last few have gone on."""
    values, numbers, came, gone = Values({}), dict.fromkeys("abc", 0), 0, 0
    sizes: dict[tuple[str, int], int] = {}
    for part, count in arrivals:
        came += count
        todo = [(part, count)]
        while todo:
            who, size = todo.pop(0)
            numbers[who] += 1
            sizes[who, numbers[who]] = size
            for other, value in meet(values, who, numbers[who], size, users):
                gone += value.count
                left = sizes.pop((other, value.number)) - value.count
                todo += [(other, left)] if left else []
        assert gone == came // users * users


# --- the same for ever ---------------------------------------------------------------------------------------


def test_the_same_claim_gets_the_same_value_until_the_part_has_it() -> None:
    values = Values({"users": RowSet(1000)})
    first = block(values, "a", 1)
    assert [value for _, value in values.claim("a", claim(1, K.BLOCK, "users"), NOW)] == [first]
    block(values, "a", 2)
    assert values.claim("a", claim(1, K.BLOCK, "users"), NOW) == []
    assert list(values._parts["a"].answers) == [2]


def test_a_claim_that_waits_may_come_again() -> None:
    values = Values({})
    meet(values, "a", 1, 1)
    assert meet(values, "a", 1, 1) == [] and len(meet(values, "b", 1, 2)) == 2


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (claim(1 + MAX_OPEN_CLAIMS, K.ONCE, settled=1), "more than 64 claims are open"),
        (claim(3, K.ONCE, settled=4), "all below 4 were answered"),
        (claim(3, K.ONCE, settled=2), "all below 2 were answered"),
        (claim(2, K.RESULT, payload=bytes(MAX_VALUE_BYTES + 1)), "at most 65536 are kept"),
        (claim(2, K.BLOCK, "strangers"), "no rows of 'strangers'"),
        (claim(2, K.BARRIER, "m", count=0), "is for nothing"),
    ],
)
def test_what_no_agent_claims_is_a_fault(wrong: Claim, words: str) -> None:
    values = Values({})
    meet(values, "a", 1, 1)
    with pytest.raises(PeerFault, match=words):
        values.claim("a", wrong, NOW)


def test_what_is_done_once_is_bounded() -> None:
    values = Values({})
    for number in range(1, 15):
        values.claim("a", claim(number, K.ONCE, f"token-{number}", number), NOW)
    with pytest.raises(PeerFault, match="more than 16 things"):
        values.claim("a", claim(15, K.ONCE, "one-more", 15), NOW)
