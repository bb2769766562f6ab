"""Parts of a run: who is who, and what each was told last."""

from __future__ import annotations

from typing import Any

from loadr.coordination.controller_io import RunRequest, RunState
from loadr.coordination.controller_session import Member, Stream, view_of
from loadr.coordination.downlink import Downlink
from loadr.coordination.messages import Assignment, Register, RunPhase
from loadr.coordination.parts import Parts
from loadr.coordination.timing import TIMING
from loadr.coordination.views import ParticipantState, RunView
from loadr.schedule.share import ScenarioShare
from support.conversation import MS, S, plan


class Bench:
    """A run whose agents have one part each."""

    def __init__(self, *names: str) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.members = {name: self._member(name) for name in names}
        self.view = RunView("run", plan(), RunState.RUNNING, start_controller_ns=1)
        request = RunRequest("run", plan())
        self.parts = Parts(self.view, Downlink(request), TIMING, self.members, self._send)
        for member in self.members.values():
            self.parts.add(member, 1)

    def _member(self, name: str) -> Member:
        register = Register(1, 1, name, name.upper(), f"{name}/1", "1.0", 2, 1, 2)
        return Member(view_of(register, Stream(1, "", (), True, 0), 0), 5 * S, 0)

    def _send(self, view: Any, message: Any) -> None:
        self.sent.append((view.key, message))


def test_a_part_is_named_by_its_agent_and_from_the_second_on_by_its_generation() -> None:
    bench = Bench("a", "b")
    second = bench.parts.add(bench.members["a"], 2)
    assert (second.view.key, second.view.name, second.view.generation) == ("a#2", "A#2", 2)
    assert list(bench.view.agents) == ["a", "b", "a#2"]
    assert bench.parts.by_key("a#2") is second is bench.parts.get("a", 2)
    assert bench.parts.find("a", "a/1") is second and bench.parts.find("a", "a/2") is None
    assert bench.parts.find("a", "a/1", 1) is bench.parts.of_agent("a")[0]
    assert bench.members["a"].lease_ns == bench.view.plan.lease_ns


def test_who_is_about_to_join_is_not_present() -> None:
    bench = Bench("a", "b", "c")
    a, b, c = bench.parts
    a.view.state, b.view.state, c.view.state = (
        ParticipantState.RETURNING,
        ParticipantState.ARMED,
        ParticipantState.LOST,
    )
    assert bench.parts.present() == [a] and bench.parts.is_joining(b)
    bench.view.start_controller_ns = None
    assert not bench.parts.is_joining(b), "before the start everybody is"


def test_revisions_grow_over_the_whole_run_and_shares_are_kept() -> None:
    bench = Bench("a", "b")
    a, b = bench.parts
    share = (ScenarioShare("s", 0, b"\1"),)
    assert bench.parts.desire(a, RunPhase.RUNNING, shares=share) == 1
    assert bench.parts.desire(b, RunPhase.RUNNING) == 2
    bench.parts.want(RunPhase.RUNNING)
    assert a.desired is not None and (a.desired.revision, a.desired.shares) == (3, share)
    b.view.state = ParticipantState.RETURNING
    bench.parts.want(RunPhase.STOPPING, "enough")
    assert b.desired is not None and b.desired.phase is RunPhase.RUNNING, "its load is over anyway"
    assert a.desired is not None and (a.desired.cause, a.desired.shares) == ("enough", ())


def test_the_last_word_is_said_again() -> None:
    bench = Bench("a")
    (a,) = bench.parts
    bench.parts.say_again(a)
    bench.parts.assign(a)
    bench.parts.release(a)
    bench.parts.say_again(a)
    kinds = [type(message) if isinstance(message, Assignment) else message.phase for _, message in bench.sent]
    assert kinds == [Assignment, RunPhase.NONE, RunPhase.NONE]


def test_a_common_instant_waits_for_the_slowest_but_not_for_ever() -> None:
    bench = Bench("a", "b")
    assert bench.parts.delay_ns() == 500 * MS
    for _ in range(8):
        bench.members["b"].took(S)
    assert bench.parts.delay_ns() == 4 * S
    for _ in range(8):
        bench.members["b"].took(60 * S)
    assert bench.parts.delay_ns() == 30 * S
    bench.parts.get("b", 1).view.state = ParticipantState.LOST
    assert bench.parts.delay_ns() == 500 * MS


def test_a_revision_has_the_changes_that_were_made_before_it() -> None:
    bench = Bench("a")
    (a,) = bench.parts
    revisions = [bench.parts.desire(a, RunPhase.RUNNING)]
    for _ in range(2):
        bench.parts.changed()
        revisions.append(bench.parts.desire(a, RunPhase.RUNNING))
    assert [bench.parts.changes_in(revision) for revision in (0, *revisions, 99)] == [0, 0, 1, 2, 2]
