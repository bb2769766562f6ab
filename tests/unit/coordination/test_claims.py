"""Claims of a part: what is open, what is said again, and that no value is handed on twice."""

from __future__ import annotations

import pytest

from loadr.coordination.claims import Claims
from loadr.coordination.messages import MAX_OPEN_CLAIMS, Claim, ClaimKind, Value, ValueKind
from loadr.errors import InternalFault, PeerFault


def claim(number: int, kind: ClaimKind = ClaimKind.BLOCK, key: str = "users") -> Claim:
    return Claim("run", 1, number, 0, kind, key, 1)


def value(number: int, kind: ValueKind = ValueKind.BLOCK) -> Value:
    return Value("run", 1, number, kind)


def numbers(claims: list[Claim]) -> list[tuple[int, int]]:
    return [(each.number, each.settled) for each in claims]


def test_a_claim_says_below_which_number_everything_is_here() -> None:
    claims = Claims()
    assert numbers(claims.add(claim(1))) == [(1, 1)]
    assert numbers(claims.add(claim(2))) == [(2, 1)]
    assert claims.answer(value(1)) == (True, [])
    assert numbers(claims.add(claim(3))) == [(3, 2)]
    assert claims.open == (2, 3)


def test_on_a_new_session_everything_that_is_open_is_said_again() -> None:
    claims = Claims()
    for number in (1, 2, 3):
        claims.add(claim(number))
    claims.answer(value(2))
    assert numbers(claims.repeat()) == [(1, 1), (3, 1)]


def test_a_value_is_news_once() -> None:
    claims = Claims()
    claims.add(claim(1))
    assert claims.answer(value(1))[0] and not claims.answer(value(1))[0]


def test_beyond_the_limit_claims_wait_for_answers() -> None:
    claims = Claims()
    said = [len(claims.add(claim(number))) for number in range(1, MAX_OPEN_CLAIMS + 3)]
    assert said == [1] * MAX_OPEN_CLAIMS + [0, 0]
    assert numbers(claims.answer(value(1))[1]) == [(MAX_OPEN_CLAIMS + 1, 2)]
    assert len(claims.repeat()) == MAX_OPEN_CLAIMS


def test_the_part_is_doing_what_it_was_told_to_until_its_result_was_taken() -> None:
    claims = Claims()
    claims.add(claim(1, ClaimKind.ONCE, "teardown"))
    assert claims.waits_for("teardown") and not claims.is_doing("teardown")
    claims.answer(value(1, ValueKind.DO))
    assert claims.is_doing("teardown")
    claims.add(claim(2, ClaimKind.RESULT, "teardown"))
    assert claims.is_doing("teardown")
    claims.answer(value(2, ValueKind.RESULT))
    assert not claims.is_doing("teardown") and not claims.waits_for("teardown")


def test_an_answer_to_what_was_never_claimed_and_a_gap_of_the_engine_are_faults() -> None:
    claims = Claims()
    with pytest.raises(PeerFault, match="claim 1 was answered, and never made"):
        claims.answer(value(1))
    with pytest.raises(InternalFault, match="claim 2 of the engine comes after claim 0"):
        claims.add(claim(2))
