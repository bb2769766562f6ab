"""Tokens let in whom they should, as often as they should, as long as they should; and a flood is a fault."""

from __future__ import annotations

import pytest

from loadr.coordination import controller_io
from loadr.coordination import controller_io as io
from loadr.coordination.admission import (
    BURST_MESSAGES,
    LINES_ABOUT_STRANGERS,
    MAX_ADMITTED,
    MESSAGES_PER_S,
    Admission,
    Allowance,
    JoinToken,
    StrangerLog,
    digest_of,
    find_token,
)
from loadr.coordination.messages import AgentBeat, Refused, Register, Registered
from support.conversation import Conversation

S = 1_000_000_000
KEY = "id1.a-very-long-and-random-key"
TOKEN = JoinToken("id1", digest_of(KEY), expires_unix_ms=1_000_000)
TWICE = JoinToken("id2", digest_of("id2.other"), expires_unix_ms=1_000_000, uses=2)


def admission(*tokens: JoinToken) -> Admission:
    one = Admission()
    one.load(tokens)
    return one


def reason(one: Admission, presented: str, incarnation: str = "a/1", wall_unix_ms: int | None = 0) -> str:
    refusal = one.refusal(presented, incarnation, wall_unix_ms)
    assert refusal is None or refusal[1], "a refusal has a hint"
    return refusal[0] if refusal is not None else ""


def test_only_hashes_are_kept_and_they_do_not_show() -> None:
    assert KEY not in TOKEN.digest and TOKEN.digest not in repr(TOKEN)


def test_a_token_is_found_by_its_whole_text() -> None:
    assert find_token((TWICE, TOKEN), KEY) is TOKEN
    for wrong in ("", "id1.", KEY[:-1], KEY + "x", "x" * 10_000, "id2." + KEY):
        assert find_token((TWICE, TOKEN), wrong) is None


def test_without_a_store_no_token_is_asked_for() -> None:
    assert Admission().refusal("", "a/1", None) is None and Admission().admit("", "a/1") is None


@pytest.mark.parametrize(
    ("presented", "wall_unix_ms", "words"),
    [
        ("", 0, "showed no join token"),
        ("nonsense", 0, "not known here"),
        (KEY, 1_000_000, "id1 has expired"),
        (KEY, None, "id1 has expired"),
        (KEY, 999_999, ""),
    ],
)
def test_what_does_not_let_in_is_named(presented: str, wall_unix_ms: int | None, words: str) -> None:
    told = reason(admission(TOKEN), presented, wall_unix_ms=wall_unix_ms)
    assert words in told and bool(words) is bool(told)
    assert KEY not in told and "nonsense" not in told


def test_uses_are_counted_by_process_and_not_by_stream() -> None:
    one = admission(TWICE)
    assert [one.admit("id2.other", name) for name in ("a/1", "a/1", "b/1")] == ["id2", None, "id2"]
    assert reason(one, "id2.other", "a/1") == reason(one, "id2.other", "b/1") == ""
    assert "was used 2 times" in reason(one, "id2.other", "c/1")


def test_uses_that_another_process_of_the_controller_saw_count_too() -> None:
    one = admission(JoinToken("id2", TWICE.digest, 1_000_000, 2, frozenset({"a/1"})))
    assert one.admit("id2.other", "b/1") == "id2"
    assert reason(one, "id2.other", "a/1") == "" and "was used 2 times" in reason(one, "id2.other", "c/1")


def test_who_was_let_in_may_come_back_after_the_token_has_expired_but_not_after_it_was_taken_away() -> None:
    one = admission(TOKEN)
    assert one.admit(KEY, "a/1") is None, "its uses are not counted"
    assert reason(one, KEY, "a/1", wall_unix_ms=2_000_000) == ""
    assert "has expired" in reason(one, KEY, "b/1", wall_unix_ms=2_000_000)
    assert "showed no join token" in reason(one, "", "a/1")
    one.load((TWICE,))
    assert "not known here" in reason(one, KEY, "a/1")


def test_what_is_remembered_is_bounded() -> None:
    one = admission(TOKEN)
    for number in range(MAX_ADMITTED + 5):
        one.admit(KEY, f"a/{number}")
    assert len(one._admitted) == MAX_ADMITTED


def test_an_allowance_is_a_burst_and_then_a_rate() -> None:
    allowance = Allowance(0)
    assert all(allowance.take(0) for _ in range(BURST_MESSAGES)) and not allowance.take(0)
    assert sum(allowance.take(S) for _ in range(3 * MESSAGES_PER_S)) == MESSAGES_PER_S
    assert sum(allowance.take(10**6 * S) for _ in range(3 * BURST_MESSAGES)) == BURST_MESSAGES


# --- in the controller ---------------------------------------------------------------------------------------


def registering(talk: Conversation, link: int, name: str, token: str) -> object:
    """The controller's answer to a registration over a new stream."""
    talk.tell(controller_io.LinkOpened(link, "10.0.0.9:1", (), loopback=False))
    register = Register(1, 1, name.partition("/")[0], "", name, "1.0", 1, 1, 1, token=token)
    talk.tell(io.Received(link, register))
    sent = [done.message for done in talk.of(io.Send) if done.link == link]
    return sent[0]


def test_a_controller_lets_in_by_token_and_uses_it_up_once() -> None:
    talk = Conversation()
    talk.tell(io.TokensLoaded((TWICE,), wall_unix_ms=5_000))
    assert isinstance(registering(talk, 1, "a/1", "id2.other"), Registered)
    assert isinstance(registering(talk, 2, "a/1", "id2.other"), Registered)
    assert isinstance(registering(talk, 3, "b/1", "id2.other"), Registered)
    refused = registering(talk, 4, "c/1", "id2.other")
    assert isinstance(refused, Refused) and not refused.retry and "was used 2 times" in refused.reason
    assert talk.of(io.TokenUsed) == [io.TokenUsed("id2", "a", "a/1"), io.TokenUsed("id2", "b", "b/1")]
    said = [log.text for log in talk.of(io.Log)]
    assert any("agent c at 10.0.0.9:1 was refused" in text for text in said)
    assert not any("id2.other" in text for text in said) and "id2.other" not in talk.controller.story.text()


def test_a_registration_that_fails_otherwise_uses_nothing_up() -> None:
    talk = Conversation()
    talk.tell(io.TokensLoaded((TWICE,), wall_unix_ms=5_000))
    registering(talk, 1, "a/1", "id2.other")
    refused = registering(talk, 2, "a/2", "id2.other")
    assert isinstance(refused, Refused) and "is online" in refused.reason
    assert [used.incarnation for used in talk.of(io.TokenUsed)] == ["a/1"]


def test_the_clock_goes_on_after_the_tokens_were_loaded() -> None:
    talk = Conversation()
    talk.tell(io.TokensLoaded((TOKEN,), wall_unix_ms=990_000))
    assert isinstance(registering(talk, 1, "a/1", KEY), Registered)
    talk.after(11)
    assert isinstance(registering(talk, 2, "b/1", KEY), Refused)


def test_a_flood_of_messages_is_a_fault_of_its_sender() -> None:
    talk = Conversation("honest")
    registering(talk, 9, "liar/1", "")
    for number in range(1, BURST_MESSAGES + 1):
        talk.tell(io.Received(9, AgentBeat(number, talk.now)))
    assert [closed.link for closed in talk.of(io.CloseLink)] == [9]
    assert "messages a second" in talk.of(io.CloseLink)[0].reason


def test_lines_about_strangers_are_few_and_those_left_out_are_counted() -> None:
    log = StrangerLog()
    lines = [log.line("again", 0) for _ in range(LINES_ABOUT_STRANGERS + 5)]
    assert lines == ["again"] * LINES_ABOUT_STRANGERS + [None] * 5
    assert log.line("later", 10 * S) == "later (5 more such lines were left out before)"
    assert log.line("later", 10 * S) == "later"


def test_a_thousand_strangers_do_not_fill_the_log() -> None:
    talk = Conversation("honest")
    talk.tell(io.TokensLoaded((TOKEN,), wall_unix_ms=5_000))
    for link in range(100, 1100):
        refused = registering(talk, link, f"a/{link}", "wrong")
        assert isinstance(refused, Refused)
    for link in range(2000, 3000):
        talk.tell(controller_io.LinkOpened(link, "10.0.0.9:1", (), loopback=False))
        talk.tell(io.Received(link, AgentBeat(1, 0)))
    assert len(talk.of(io.CloseLink)) == 2000 and len(talk.of(io.Log)) == LINES_ABOUT_STRANGERS
