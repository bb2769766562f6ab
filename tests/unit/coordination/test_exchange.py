"""The exchange of a run, for what whole fleets can not show; they are in `tests/coordination/test_values.py`."""

from __future__ import annotations

from loadr.coordination.controller_io import RunState
from loadr.coordination.exchange import Exchange
from loadr.coordination.timing import TIMING
from support.conversation import Conversation, S, plan

AROUND = {"flow": [], "timeout": "5s"}


def exchange(**changes: object) -> Exchange:
    talk = Conversation("a")
    talk.submit(plan(**changes), expect=1)
    run = talk.controller._runs["run"]
    return Exchange(run.view, run.parts, run._notes, TIMING)


def test_there_is_a_teardown_if_the_plan_has_one_the_run_was_begun_and_it_was_not_killed() -> None:
    assert not exchange().has_teardown
    one = exchange(teardown=AROUND)
    assert one.has_teardown and one.can_tear_down
    one.skip_teardown = True
    assert not one.has_teardown


def test_a_teardown_has_the_time_for_two_and_a_loss_between() -> None:
    assert exchange(teardown=AROUND).begin_teardown() == 2 * (5 + 11 + 5) * S


def test_preparing_has_that_time_more_if_there_is_a_setup() -> None:
    talk = Conversation("a")
    talk.submit(plan(setup=AROUND), expect=1)
    assert talk.controller._runs["run"].parts.prepare_ns() == TIMING.prepare_ns + 2 * (5 + 11 + 5) * S
    assert talk.run.state is not RunState.FAILED
