"""Moving load in one run: who may own, who joins, who leaves, and what is spared."""

from __future__ import annotations

from typing import Any

from loadr.coordination.controller_io import RunRequest, RunState
from loadr.coordination.controller_session import Member, Stream, view_of
from loadr.coordination.dealer import holes
from loadr.coordination.downlink import Downlink
from loadr.coordination.ending import Notes
from loadr.coordination.messages import AgentBeat, Assignment, Register, RunPhase
from loadr.coordination.moving import MAX_GENERATIONS, Moving
from loadr.coordination.participant import Participant
from loadr.coordination.parts import Parts
from loadr.coordination.timing import TIMING
from loadr.coordination.views import AgentState, ParticipantState, RunView
from loadr.schedule.change import Change, ChangeKind
from support.conversation import MS, S, plan

P = ParticipantState
START = 100 * S


class Bench:
    """A run of a minute with agents a and b, and c beside it."""

    def __init__(self, policy: str = "redistribute") -> None:
        self.sent: list[tuple[str, Any]] = []
        self.members = {name: self._member(name) for name in "abc"}
        the_plan = plan(scenario={"duration": "60s"}, on_agent_loss=policy)
        self.view = RunView("run", the_plan, RunState.RUNNING)
        downlink = Downlink(RunRequest("run", the_plan))
        self.parts = Parts(self.view, downlink, TIMING, self.members, self._send)
        self.a, self.b = (self.parts.add(self.members[name], 1) for name in "ab")
        self.moving = Moving(self.view, self.parts, Notes(self.view.notes, self.view.events), lambda labels: True)
        self.view.start_controller_ns = START
        for part in (self.a, self.b):
            part.view.state = P.RUNNING
            self.parts.desire(part, RunPhase.RUNNING, shares=self.moving.held[part.view.key])
        self.sent.clear()

    def _member(self, name: str) -> Member:
        register = Register(1, 1, name, name, f"{name}/1", "1.0", 2, 1, 2)
        member = Member(view_of(register, Stream(1, "", (), True, 0), 0), 10 * S, 0)
        member.view.state = AgentState.ONLINE
        return member

    def _send(self, view: Any, message: Any) -> None:
        self.sent.append((view.key, message))

    def change(self, kind: ChangeKind, at_s: float, value: str = "") -> None:
        self.view.changes += (Change(int(at_s * S), kind, "", value),)
        self.parts.changed()
        self.moving.tell_changes()

    def applied(self, part: Participant, at_s: float) -> None:
        assert part.desired is not None
        self.moving.applied(part, part.desired.revision, START + int(at_s * S))

    def clock(self, part: Participant, ahead_ns: int, at_s: float) -> None:
        """A beat says how the clock of an agent stands to ours; its timeline is ahead of the run's by so much."""
        now_ns = START + int(at_s * S)
        its_ns = now_ns + 7000 * S
        beat = AgentBeat(1, its_ns, clock_offset_ns=-7000 * S, clock_bound_ns=10_000)
        self.members[part.view.agent_id].hear(beat, now_ns, TIMING, None)
        part.view.start_mono_ns = START + 7000 * S - ahead_ns

    def join(self, at_s: float) -> Participant:
        now_ns = START + int(at_s * S)
        self.moving.invite("c", now_ns)
        part = self.parts.by_key("c")
        self.moving.arm(part)
        self.moving.take_in(part, 5, now_ns)
        return part

    def first_of(self, part: Participant) -> int:
        assert part.desired is not None
        return part.desired.shares[0].from_iteration


def test_a_joiner_is_assigned_armed_with_nothing_and_then_given_its_share() -> None:
    bench = Bench()
    c = bench.join(5)
    kinds = [m.phase if not isinstance(m, Assignment) else Assignment for key, m in bench.sent if key == "c"]
    assert kinds == [Assignment, RunPhase.ARMED] and c.view.state is P.ARMED
    bench.applied(bench.a, 5.1)
    bench.applied(bench.b, 5.1)
    assert c.view.state is P.COMMITTED and c.view.joined_at_s == 5.5 and c.view.clock_bound_ns == 5
    assert holes(bench.moving.held.values()) == 0 and c.view.share > 0.3


def test_who_is_away_leaving_barred_or_in_it_is_not_invited() -> None:
    bench = Bench()
    c = bench.members["c"]
    for refuse in ("state", "is_leaving", "barred_until_ns"):
        kept = c.view.state, c.is_leaving, c.barred_until_ns
        if refuse == "state":
            c.view.state = AgentState.SUSPECT
        else:
            setattr(c, refuse, START + 99 * S)
        bench.moving.invite("c", START)
        assert bench.sent == []
        c.view.state, c.is_leaving, c.barred_until_ns = kept
    bench.moving.invite("a", START)
    bench.moving.invite("ghost", START)
    assert bench.sent == []
    bench.moving.invite("c", START)
    assert [key for key, _ in bench.sent] == ["c"]


def test_one_agent_has_so_many_generations_and_no_more() -> None:
    bench = Bench()
    for generation in range(1, MAX_GENERATIONS + 3):
        bench.moving.invite("c", START)
        parts = bench.parts.of_agent("c")
        assert len(parts) == min(generation, MAX_GENERATIONS)
        parts[-1].view.state = P.FINISHED
    assert bench.view.notes == ["agent c came back 20 times; it gets no share any more"]


def test_what_was_begun_before_a_change_was_heard_is_spared_from_then_on() -> None:
    bench = Bench()
    bench.change(ChangeKind.RATE, 5, "1")
    bench.applied(bench.a, 4.9)
    bench.applied(bench.b, 8.0)
    assert bench.b.view.changed_late_s == 3.009, "after 9 s two clocks may be 9 ms apart"
    assert bench.a.view.changed_late_s == 0
    c = bench.join(20)
    assert bench.first_of(bench.a) == bench.first_of(bench.b) == 80
    bench.applied(bench.a, 20.1)
    bench.applied(bench.b, 20.1)
    assert bench.first_of(c) == 80


def test_by_the_clock_of_an_agent_it_is_known_what_it_heard_in_time_however_long_the_run_is() -> None:
    bench = Bench()
    bench.change(ChangeKind.RATE, 1000, "1")
    bench.clock(bench.a, ahead_ns=0, at_s=999.5)
    bench.applied(bench.a, 999.6)
    bench.applied(bench.b, 999.6)  # of b it is known only that it was no more than a second ahead
    assert bench.a.view.changed_late_s == 0 and bench.a.reach.followed_late(bench.view.changes) == []
    assert bench.b.view.changed_late_s == 0.6006 and bench.b.reach.followed_late(bench.view.changes)


def test_what_was_begun_by_a_clock_that_is_ahead_is_spared() -> None:
    bench = Bench()
    bench.change(ChangeKind.RATE, 50, "1")
    bench.applied(bench.b, 49.5)
    bench.clock(bench.a, ahead_ns=700 * MS, at_s=49.5)
    bench.a.view.clock_bound_ns = S
    bench.applied(bench.a, 49.5)
    assert 0.2 < bench.a.view.changed_late_s < 0.201
    c = bench.join(52)
    bench.applied(bench.a, 52.1)
    bench.applied(bench.b, 52.1)
    assert bench.first_of(c) == 502, "it was 50.2 s by its own clock"


def test_one_that_is_gone_without_having_heard_may_have_gone_on_to_its_end() -> None:
    bench = Bench()
    bench.change(ChangeKind.PAUSE, 5)
    bench.applied(bench.a, 4.9)
    bench.b.lose(bench.view, "no beat", START + 9 * S, START + 11 * S)
    bench.moving.gone(bench.b, START + 11 * S)
    bench.moving.rebalance(START + 11 * S)
    assert bench.first_of(bench.a) == 90
    assert bench.b.view.covered_at_s == 11.5


def test_one_that_leaves_is_told_to_stop_when_others_own_its_share() -> None:
    bench = Bench()
    bench.moving.let_go(bench.a, START + 5 * S)
    assert bench.a.view.draining and bench.moving.weights() == {"b": 2.0}
    bench.applied(bench.a, 5.1)
    assert bench.moving.next_ns() == START + 5 * S + 500 * MS
    bench.moving.pass_time(START + 5 * S + 499 * MS)
    assert bench.a.desired is not None and bench.a.desired.phase is RunPhase.RUNNING
    bench.moving.pass_time(START + 5 * S + 500 * MS)
    assert bench.a.desired.phase is RunPhase.STOPPING and bench.moving.next_ns() is None
    bench.moving.let_go(bench.a, START + 6 * S)
    assert bench.view.events == ["agent a was asked to leave; its share goes to others"] and not bench.view.notes


def test_one_that_was_told_to_stop_goes_on_stopping_whatever_it_is_told_about_shares() -> None:
    bench = Bench("continue")
    bench.moving.let_go(bench.a, START + 5 * S)
    bench.join(6)
    assert bench.a.desired is not None and bench.a.desired.phase is RunPhase.STOPPING
    bench.change(ChangeKind.PAUSE, 7)
    assert bench.a.desired.phase is RunPhase.STOPPING


def test_a_joiner_that_is_left_out_in_the_middle_of_its_move_is_moved_away_from() -> None:
    bench = Bench()
    c = bench.join(5)
    assert bench.moving.is_under_way
    bench.moving.leave_out(c, "it left", START + 6 * S)
    bench.applied(bench.a, 6.1)
    bench.applied(bench.b, 6.1)
    bench.applied(bench.a, 6.2)
    bench.applied(bench.b, 6.2)
    assert holes(bench.moving.held.values()) == 0 and not bench.moving.is_under_way
    assert "c" not in bench.view.agents


def test_after_the_end_of_the_run_nobody_is_told_anything() -> None:
    bench = Bench()
    bench.moving.end()
    bench.b.view.state = P.LOST
    bench.moving.gone(bench.b, START + 10 * S)
    bench.moving.rebalance(START + 10 * S)
    assert bench.sent == []


def test_who_is_dealt_with_anew_before_the_start_may_hold_that_and_nothing_of_before() -> None:
    bench = Bench()
    first = bench.a.reach.owned
    bench.parts.leave_out(bench.b)
    again = Moving(bench.view, bench.parts, Notes([], []), lambda labels: True)
    assert [share.slots for share in first] != [share.slots for share in again.held["a"]]
    assert bench.a.reach.owned == list(again.held["a"])
