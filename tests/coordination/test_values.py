"""Setup and teardown of whole fleets in conversation: who does it, who gets it, and what the run says of it."""

from __future__ import annotations

from typing import Any

import pytest

from loadr.coordination import agent_io
from loadr.coordination.controller_io import RunState, StoppedBy
from loadr.coordination.messages import Claim, ClaimKind, Desired, FaultKind, Prepared, RunPhase, ValueKind
from loadr.plan.model import Plan
from support.conversation import Agent, Conversation, plan

AROUND = {"flow": [], "timeout": "5s"}
USERS = {"file": "u.csv", "rows": 1000, "columns": ["id"], "mode": "unique"}


def a_plan(**changes: Any) -> Plan:
    return plan(**{"setup": AROUND, "teardown": AROUND, "data": {"users": USERS}, **changes})


def talk_of(*names: str, **changes: Any) -> Conversation:
    """Agents whose engines are ours to play, in a run that they prepare."""
    talk = Conversation()
    for name in names:
        talk.join(name, engine=False)
    talk.submit(a_plan(**changes), expect=len(names))
    for name in names:
        talk[name].feed(agent_io.SandboxReady("run", 1))
    return talk


def claim(agent: Agent, number: int, kind: ClaimKind, key: str, generation: int = 1, **fields: Any) -> None:
    made = Claim("run", generation, number, 0, kind, key, **fields)
    agent.feed(agent_io.EngineClaim("run", generation, made))


def given(agent: Agent) -> list[ValueKind]:
    return [done.value.kind for done in agent.of(agent_io.GiveValue)]


def set_up(talk: Conversation, *names: str) -> None:
    """The first one does it, all have it, and are armed and running."""
    for name in names:
        claim(talk[name], 1, ClaimKind.ONCE, "setup")
    claim(talk[names[0]], 2, ClaimKind.RESULT, "setup", payload=b"{}", count=2)
    for name in names:
        talk[name].feed(agent_io.EnginePrepared("run", 1))
    for name in names:
        talk[name].feed(agent_io.EngineArmed("run", 1))
    talk.start()


def test_one_sets_up_under_a_lease_and_all_have_the_value_before_anybody_is_prepared() -> None:
    talk = talk_of("a", "b")
    claim(talk["a"], 1, ClaimKind.ONCE, "setup")
    claim(talk["b"], 1, ClaimKind.ONCE, "setup")
    assert given(talk["a"]) == [ValueKind.DO] and given(talk["b"]) == []
    assert talk["a"].of(agent_io.SetLease)[-1].end_mono_ns > talk.now
    claim(talk["a"], 2, ClaimKind.RESULT, "setup", payload=b"[1]", count=4)
    values = [talk[name].of(agent_io.GiveValue)[-1].value.payload for name in "ab"]
    assert values == [b"[1]", b"[1]"]
    assert talk.run.setup_requests == 4 and talk.run.state is RunState.PREPARING


def test_a_setup_that_fails_fails_the_run_with_its_words() -> None:
    talk = talk_of("a", "b")
    claim(talk["b"], 1, ClaimKind.ONCE, "setup")
    claim(talk["b"], 2, ClaimKind.RESULT, "setup", fault=FaultKind.SCRIPT, detail="shop.py:3: no stock")
    assert (talk.run.state, talk.run.stopped_by) == (RunState.FAILED, StoppedBy.SCRIPT)
    assert talk.run.cause == "setup failed on agent b: shop.py:3: no stock"
    assert not talk["a"].core.runs and not talk["b"].core.runs


def test_when_the_doer_is_lost_the_next_sets_up_and_the_others_go_on() -> None:
    talk = talk_of("a", "b", "c")
    for name in "abc":
        claim(talk[name], 1, ClaimKind.ONCE, "setup")
    talk["a"].leave()
    talk.after(12)
    assert given(talk["b"]) == [ValueKind.DO]
    claim(talk["b"], 2, ClaimKind.RESULT, "setup", payload=b"1")
    for name in "bc":
        talk[name].feed(agent_io.EnginePrepared("run", 1))
    assert talk.run.state is RunState.ARMING and sorted(talk.run.agents) == ["b", "c"]
    assert any(note.startswith("agent a was lost before the start") for note in talk.run.events)
    talk["a"].come_back()
    assert not talk["a"].core.runs
    for name in "bc":
        talk[name].feed(agent_io.EngineArmed("run", 1))
    talk.start()
    talk.after(1)
    assert "a#2" in talk.run.agents


def test_the_last_to_be_awaited_may_be_the_one_that_is_lost() -> None:
    talk = talk_of("a", "b")
    claim(talk["a"], 1, ClaimKind.ONCE, "setup")
    claim(talk["a"], 2, ClaimKind.RESULT, "setup", payload=b"1")
    talk["a"].feed(agent_io.EnginePrepared("run", 1))
    talk["b"].leave()
    talk.after(12)
    assert talk.run.state is RunState.ARMING and list(talk.run.agents) == ["a"]


@pytest.mark.parametrize("changes", [{"on_agent_loss": "abort"}, {"setup": None}], ids=["abort", "no setup"])
def test_without_a_setup_or_by_policy_a_loss_before_the_start_fails_the_run(changes: dict[str, Any]) -> None:
    talk = talk_of("a", "b", **changes)
    talk["a"].leave()
    talk.after(12)
    assert talk.run.state is RunState.FAILED and "lost before the start" in talk.run.cause


def test_a_late_joiner_gets_the_value_that_was_made_before() -> None:
    talk = talk_of("a", scenario={"duration": "60s"})
    set_up(talk, "a")
    late = talk.join("late", engine=False)
    talk.after(1)
    late.feed(agent_io.SandboxReady("run", 1))
    claim(late, 1, ClaimKind.ONCE, "setup")
    assert given(late) == [ValueKind.RESULT]


def test_a_setup_that_nobody_ends_fails_the_run_in_time() -> None:
    talk = talk_of("a")
    claim(talk["a"], 1, ClaimKind.ONCE, "setup")
    talk.after(200)
    assert talk.run.state is RunState.FAILED
    assert "setup was begun once; only requests of one that came to an end are counted" in talk.run.notes


def test_a_claim_is_answered_after_any_cut() -> None:
    talk = talk_of("a", "b")
    a = talk["a"]
    a.deaf = True
    claim(a, 1, ClaimKind.ONCE, "setup")
    assert given(a) == []
    a.deaf = False
    a.cut()
    assert given(a) == [ValueKind.DO]


def test_teardown_begins_when_the_load_of_all_is_over_and_the_run_waits_for_it() -> None:
    talk = talk_of("a", "b")
    set_up(talk, "a", "b")
    talk.after(5)
    talk["a"].finish(0)
    claim(talk["a"], 3, ClaimKind.ONCE, "teardown")
    assert given(talk["a"])[-1] is ValueKind.RESULT
    talk["b"].finish(0)
    assert talk.run.state is RunState.TEARING_DOWN
    assert given(talk["a"])[-1] is ValueKind.DO
    assert talk["a"].of(agent_io.SetLease)[-1].end_mono_ns > talk.now
    claim(talk["a"], 4, ClaimKind.RESULT, "teardown", count=3)
    assert (talk.run.state, talk.run.teardown_requests) == (RunState.COMPLETE, 3)
    assert not talk.run.teardown_fault
    assert not talk["a"].core.runs and not talk["b"].core.runs


def tearing(talk: Conversation, *names: str) -> None:
    """All have ended; the first one is told to tear down."""
    talk.after(5)
    for name in names:
        talk[name].finish(0)
    for name in names:
        claim(talk[name], 3 if name == names[0] else 2, ClaimKind.ONCE, "teardown")
    assert talk.run.state is RunState.TEARING_DOWN


def test_when_the_one_that_tears_down_is_lost_the_next_does_it() -> None:
    talk = talk_of("a", "b")
    set_up(talk, "a", "b")
    tearing(talk, "a", "b")
    talk["a"].leave()
    talk.after(12)
    assert given(talk["b"])[-1] is ValueKind.DO
    claim(talk["b"], 3, ClaimKind.RESULT, "teardown", count=3)
    assert talk.run.state is RunState.COMPLETE
    assert any(note.startswith("teardown was begun 2 times") for note in talk.run.notes)


def test_a_teardown_that_fails_is_said_and_the_totals_stay_complete() -> None:
    talk = talk_of("a")
    set_up(talk, "a")
    tearing(talk, "a")
    claim(talk["a"], 4, ClaimKind.RESULT, "teardown", fault=FaultKind.SCRIPT, detail="gone")
    assert (talk.run.state, talk.run.teardown_fault) == (RunState.COMPLETE, "on agent a: gone")
    assert "teardown failed on agent a: gone" in talk.run.notes


def test_a_teardown_without_an_end_is_given_up_in_time() -> None:
    talk = talk_of("a")
    set_up(talk, "a")
    tearing(talk, "a")
    talk.after(60)
    assert (talk.run.state, talk.run.teardown_fault) == (RunState.COMPLETE, "it did not end in time")


def test_if_nobody_is_left_there_is_no_teardown_and_it_is_said() -> None:
    talk = talk_of("a")
    set_up(talk, "a")
    tearing(talk, "a")
    talk["a"].leave()
    talk.after(12)
    assert talk.run.state is RunState.COMPLETE
    assert talk.run.teardown_fault == "it did not end in time"


def test_who_kills_a_run_gets_no_teardown() -> None:
    talk = talk_of("a")
    set_up(talk, "a")
    talk.stop(graceful=False)
    talk["a"].finish(0, "enough")
    assert talk.run.state is RunState.COMPLETE
    assert "teardown did not run: the run was killed" in talk.run.notes and not talk.run.teardown_fault


def test_a_kill_ends_a_teardown_and_a_stop_does_not() -> None:
    talk = talk_of("a")
    set_up(talk, "a")
    tearing(talk, "a")
    talk.stop()
    assert talk.run.state is RunState.TEARING_DOWN
    talk.stop(graceful=False)
    assert talk.run.state is RunState.COMPLETE


def test_after_a_stop_teardown_runs() -> None:
    talk = talk_of("a")
    set_up(talk, "a")
    talk.stop()
    talk["a"].finish(0, "enough")
    claim(talk["a"], 3, ClaimKind.ONCE, "teardown")
    assert given(talk["a"])[-1] is ValueKind.DO


def test_the_last_agent_tears_down_though_it_was_asked_to_leave() -> None:
    talk = talk_of("a")
    set_up(talk, "a")
    a = talk["a"]
    a.feed(agent_io.DrainRequested("SIGTERM"))
    talk.after(1)
    a.finish(0, "it was asked to leave")
    claim(a, 3, ClaimKind.ONCE, "teardown")
    assert given(a)[-1] is ValueKind.DO and a.exit_code is None
    claim(a, 4, ClaimKind.RESULT, "teardown")
    assert talk.run.state is RunState.INCOMPLETE and a.exit_code == 0


def test_whoever_has_ended_early_may_tear_down() -> None:
    talk = talk_of("a", scenario={"duration": "60s"}, on_agent_loss="continue")
    set_up(talk, "a")
    talk["a"].finish(0, "workers lost")
    claim(talk["a"], 3, ClaimKind.ONCE, "teardown")
    assert given(talk["a"])[-1] is ValueKind.DO


def test_what_can_happen_while_a_run_is_torn_down() -> None:
    """Late words are taken, nobody can change anything, and who no longer knows the run is let go."""
    from loadr.schedule.change import ChangeKind

    talk = talk_of("a", "b")
    set_up(talk, "a", "b")
    talk.after(5)
    talk["b"].leave()
    talk["a"].finish(0)
    talk.after(12)
    claim(talk["a"], 3, ClaimKind.ONCE, "teardown")
    assert talk.run.state is RunState.TEARING_DOWN
    talk["b"].come_back()
    talk["b"].finish(3)
    assert talk.run.agents["b"].ledgers
    assert "only a running one can be changed" in talk.change(ChangeKind.PAUSE).detail
    talk["b"].talk.put(None, _prepared_again(talk))
    talk.settle()
    assert RunPhase.NONE in [each.phase for each in talk.said(Desired, talk["b"])]
    assert talk.run.state is RunState.TEARING_DOWN


def _prepared_again(talk: Conversation) -> Any:
    from loadr.coordination import controller_io

    fault = Prepared("run", 1, FaultKind.INTERNAL, "it no longer knows the run")
    return controller_io.Received(talk["b"].link, fault)


def test_rows_come_in_blocks_and_those_of_a_lost_agent_are_named() -> None:
    talk = talk_of("a", "b", scenario={"duration": "60s"})
    set_up(talk, "a", "b")
    claim(talk["a"], 3, ClaimKind.BLOCK, "users", count=16)
    claim(talk["b"], 2, ClaimKind.BLOCK, "users", count=16)
    spans = [(v.first, v.end) for v in (talk[n].of(agent_io.GiveValue)[-1].value for n in "ab")]
    assert spans == [(0, 16), (16, 32)]
    talk["a"].leave()
    talk.after(12)
    assert "at most 16 rows of users were with agent a and are used by nobody any more" in talk.run.notes


def test_agents_meet_and_when_time_is_up_or_the_load_ends_they_go_on() -> None:
    talk = talk_of("a", "b", scenario={"duration": "60s"})
    set_up(talk, "a", "b")
    meeting = {"users": 2, "timeout_ns": 2_000_000_000, "count": 1}
    claim(talk["a"], 3, ClaimKind.BARRIER, "door", **meeting)
    claim(talk["b"], 2, ClaimKind.BARRIER, "door", **meeting)
    assert given(talk["a"])[-1] is given(talk["b"])[-1] is ValueKind.RELEASED
    claim(talk["a"], 4, ClaimKind.BARRIER, "door", **meeting)
    talk.after(2.1)
    assert given(talk["a"])[-1] is ValueKind.TIMED_OUT
    claim(talk["a"], 5, ClaimKind.BARRIER, "door", **meeting)
    talk.stop()
    assert given(talk["a"])[-1] is ValueKind.RELEASED


def test_rows_may_be_claimed_from_when_shares_are_dealt_until_the_last_engine_was_killed() -> None:
    talk = talk_of("a", setup=None, teardown=None)
    a = talk["a"]
    a.feed(agent_io.EnginePrepared("run", 1))
    claim(a, 1, ClaimKind.BLOCK, "users", count=4)  # arming
    a.feed(agent_io.EngineArmed("run", 1))
    assert talk.run.state is RunState.COMMITTED
    claim(a, 2, ClaimKind.BLOCK, "users", count=4)
    talk.start()
    talk.stop()
    talk.after(8)
    assert talk.run.state is RunState.DRAINING
    claim(a, 3, ClaimKind.BLOCK, "users", count=4)
    assert given(a) == [ValueKind.BLOCK] * 3


def test_rows_may_be_claimed_while_others_still_arm() -> None:
    talk = talk_of("a", "b", setup=None, teardown=None)
    for name in "ab":
        talk[name].feed(agent_io.EnginePrepared("run", 1))
    talk["a"].feed(agent_io.EngineArmed("run", 1))
    claim(talk["a"], 1, ClaimKind.BLOCK, "users", count=4)
    assert talk.run.state is RunState.ARMING and given(talk["a"]) == [ValueKind.BLOCK]
