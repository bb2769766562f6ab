"""Dealing: exact parts, balanced prefixes, least movement."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadr.schedule.deal import deal

weights = st.dictionaries(
    st.sampled_from("abcdefghij"),
    st.one_of(st.just(0.0), st.integers(1, 16).map(float), st.floats(0.01, 100.0)),
    min_size=1,
    max_size=10,
).filter(lambda w: any(w.values()))
counts = st.one_of(st.integers(0, 40), st.just(256))
Parts = dict[str, tuple[int, ...]]


def quota(owner: str, w: dict[str, float], count: int) -> Fraction:
    return count * Fraction(w[owner]) / sum(map(Fraction, w.values()))


def worst_prefix_deviation(parts: Parts, w: dict[str, float], count: int) -> float:
    """The farthest that any owner's part of any prefix is from its weight, in slots."""
    owner_of = {slot: owner for owner, part in parts.items() for slot in part}
    total = sum(map(Fraction, w.values()))
    whole = math.lcm(*(Fraction(weight).denominator for weight in w.values()))
    sizes = {owner: int(Fraction(weight) * whole) for owner, weight in w.items()}
    have = dict.fromkeys(w, 0)
    worst = 0
    for prefix in range(1, count + 1):
        have[owner_of[prefix - 1]] += 1
        for owner, size in sizes.items():
            worst = max(worst, abs(have[owner] * int(total * whole) - prefix * size))
    return float(Fraction(worst) / (total * whole))


@given(weights, counts)
def test_every_slot_has_one_owner_and_sizes_follow_weights(w: dict[str, float], count: int) -> None:
    parts = deal(range(count), w)
    assert list(parts) == list(w)
    assert sorted(slot for part in parts.values() for slot in part) == list(range(count))
    for owner, part in parts.items():
        assert list(part) == sorted(part)
        assert math.floor(quota(owner, w, count)) <= len(part) <= math.ceil(quota(owner, w, count))


@given(weights, counts)
def test_every_prefix_is_split_by_weight(w: dict[str, float], count: int) -> None:
    assert worst_prefix_deviation(deal(range(count), w), w, count) < 1


@given(weights, st.integers(0, 100), st.integers(0, 100))
def test_a_prefix_of_the_slots_is_dealt_as_if_it_were_all(w: dict[str, float], count: int, more: int) -> None:
    longer = deal(range(count + more), w)
    assert deal(range(count), w) == {o: tuple(s for s in part if s < count) for o, part in longer.items()}


def test_equal_weights_go_round() -> None:
    assert deal(range(7), dict.fromkeys("abc", 0.1)) == {"a": (0, 3, 6), "b": (1, 4), "c": (2, 5)}


def test_a_large_owner_does_not_delay_many_small_ones() -> None:
    w = {"large": 100.0} | {f"small-{i}": 1.0 for i in range(100)}
    assert worst_prefix_deviation(deal(range(1024), w), w, 1024) < 1


@given(weights, weights, counts)
def test_no_more_slots_move_than_must(before: dict[str, float], after: dict[str, float], count: int) -> None:
    held = deal(range(count), before)
    parts = deal(range(count), after, held)
    assert sorted(slot for part in parts.values() for slot in part) == list(range(count))
    moved = sum(len(set(part) - set(held.get(owner, ()))) for owner, part in parts.items())
    assert moved == fewest_moves(held, after, count)
    for owner, part in parts.items():
        assert math.floor(quota(owner, after, count)) <= len(part) <= math.ceil(quota(owner, after, count))
        kept = set(held.get(owner, ())) & set(part)
        assert kept == set(held.get(owner, ())) or kept == set(part), "gave away and took at once"


def fewest_moves(held: Parts, w: dict[str, float], count: int) -> int:
    """Slots that move at least when every owner ends with its quota, rounded down or up, by any choice of who."""
    low = {owner: math.floor(quota(owner, w, count)) for owner in w}
    extra = count - sum(low.values())
    must = sum(max(0, size - len(held.get(owner, ()))) for owner, size in low.items())
    may_stay = sum(1 for o in w if quota(o, w, count) > low[o] and len(held.get(o, ())) > low[o])
    return must + max(0, extra - may_stay)


@given(weights, counts)
def test_the_same_weights_move_nothing(w: dict[str, float], count: int) -> None:
    parts = deal(range(count), w)
    assert deal(range(count), w, parts) == parts


@given(weights, counts)
def test_the_order_of_owners_does_not_move_slots(w: dict[str, float], count: int) -> None:
    parts = deal(range(count), w)
    assert deal(range(count), dict(reversed(w.items())), parts) == parts


def test_prefixes_stay_balanced_over_losses_and_joins() -> None:
    w = dict.fromkeys("abcde", 1.0)
    parts = deal(range(1024), w)
    worst = []
    for change in ("-b", "-d", "+f", "+g", "-a", "+h", "+i", "-c"):
        if change[0] == "-":
            del w[change[1]]
        else:
            w[change[1]] = 1.0
        parts = deal(range(1024), w, parts)
        worst.append(worst_prefix_deviation(parts, w, 1024))
    assert max(worst) < 8, worst


def test_the_slots_of_a_lost_owner_are_spread_over_the_others() -> None:
    w = dict.fromkeys("abc", 1.0)
    parts = deal(range(1024), w)
    left = {"b": 1.0, "c": 1.0}
    assert worst_prefix_deviation(deal(range(1024), left, parts), left, 1024) < 2


def test_slots_may_be_any_numbers_in_any_order() -> None:
    assert deal([9, 2, 7, 4], {"a": 1.0, "b": 1.0}) == {"a": (9, 7), "b": (2, 4)}
    assert deal([9, 2, 7, 4], {"a": 1.0, "b": 1.0}, {"b": (9, 2, 5)}) == {"a": (7, 4), "b": (9, 2)}


def test_of_two_who_claim_a_slot_the_first_has_it() -> None:
    assert deal([0, 1], {"a": 1.0, "b": 1.0}, {"b": (0, 1), "a": (0,)}) == {"a": (0,), "b": (1,)}


def test_zero_weight_gets_nothing() -> None:
    assert deal([0, 1], {"a": 0.0, "b": 1.0}, {"a": (0, 1)}) == {"a": (), "b": (0, 1)}


def test_nothing_is_dealt_to_nobody() -> None:
    assert deal([], {"a": 0.0}) == {"a": ()}
    assert deal([], {}) == {}
    with pytest.raises(ValueError, match="nobody with a weight"):
        deal([1], {"a": 0.0})


@pytest.mark.parametrize("weight", [-1.0, math.inf, math.nan])
def test_a_weight_that_is_none_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="finite number, and not negative"):
        deal([1], {"a": 1.0, "b": weight})
