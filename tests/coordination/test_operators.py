"""Operators and agents at random, without a network between: what the controller's core may never do.

A rule-based machine over a conversation. Engines answer at once; they begin, report and end when the machine says
so. What is checked after each rule: no slot has two owners, changes are ascending, what was refused changes
nothing, what has ended stays as it was, and everybody who can hear has what the controller wants of it.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from loadr.coordination import agent_io, controller_io
from loadr.coordination.agent_run import AgentRunState
from loadr.coordination.controller_io import RunState, StoppedBy
from loadr.coordination.dealer import holes
from loadr.coordination.views import ParticipantState
from loadr.schedule.change import ChangeKind
from support.conversation import Agent, Conversation, S, plan

NAMES = ("a", "b", "c", "d")
POLICIES = ("redistribute", "redistribute", "continue", "abort")
VALUES = {
    ChangeKind.PAUSE: [""],
    ChangeKind.RESUME: [""],
    ChangeKind.RATE: ["0.5", "20", "fast"],
    ChangeKind.FACTOR: ["0", "0.5", "3", "-1"],
    ChangeKind.SCALE: ["1", "9", "0"],
}
changes = st.sampled_from([(kind, value) for kind, values in VALUES.items() for value in values])
names = st.sampled_from(NAMES)


class Operators(RuleBasedStateMachine):
    """One controller, up to four agents, one run at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.talk = Conversation()
        self.runs = 0
        self.lives = 0
        self.ended: dict[str, Any] = {}
        self.accepted: list[Any] = []
        self.seen: dict[int, int] = {}  # how many effects were looked at

    # --- who there is ---------------------------------------------------------------------------------------

    @property
    def run_id(self) -> str:
        return f"run-{self.runs}"

    @property
    def core_run(self) -> Any:
        return self.talk.controller._runs.get(self.run_id)

    def alive(self, name: str) -> Agent | None:
        found = [a for a in self.talk.agents.values() if a.name == name and a.exit_code is None]
        return found[-1] if found else None

    def newest(self, agent: Agent) -> Any:
        """Its run that may still have an engine."""
        return next((run for run in agent.core.runs.values() if run.is_engaged), None)

    @initialize(policy=st.sampled_from(POLICIES))
    def two_agents_and_a_run(self, policy: str) -> None:
        self.join("a")
        self.join("b")
        self.submit(policy)
        self.wait(1)

    # --- agents ---------------------------------------------------------------------------------------------

    @rule(name=names)
    def join(self, name: str) -> None:
        if self.alive(name) is None:
            self.lives += 1
            self.talk.join(name, f"{name}/{self.lives}", patient=True)

    @rule(name=names, seconds=st.sampled_from([0.1, 8]))
    def vanish(self, name: str, seconds: float) -> None:
        agent = self.alive(name)
        if agent is not None:
            agent.leave()
            agent.exit_code = 137
            self.wait(seconds)

    @rule(name=names, seconds=st.sampled_from([1, 4, 12]))
    def be_cut_off(self, name: str, seconds: int) -> None:
        agent = self.alive(name)
        if agent is None:
            return
        agent.leave()
        self.wait(seconds)
        if agent.exit_code is None and not agent.reachable:
            agent.come_back()

    @rule(name=names)
    def be_asked_to_leave(self, name: str) -> None:
        agent = self.alive(name)
        if agent is not None:
            agent.feed(agent_io.DrainRequested("SIGTERM"))

    # --- operators ------------------------------------------------------------------------------------------

    @rule(policy=st.sampled_from(POLICIES))
    def submit(self, policy: str) -> None:
        if self.talk.controller.current_run is None:
            self.runs += 1
            self.accepted = []
        request = plan(scenario={"duration": "40s"}, on_agent_loss=policy, lease="5s")
        self.talk.submit(request, run_id=self.run_id)

    @rule(change=changes)
    def change(self, change: tuple[ChangeKind, str]) -> None:
        before = self.talk.controller.run(self.run_id)
        kept = before.changes if before is not None else ()
        count = len(self.talk.did)
        self.talk.tell(controller_io.ChangeRequested(self.run_id, change[0], "", change[1]))
        after = self.talk.controller.run(self.run_id)
        answers = controller_io.ChangeAccepted | controller_io.ChangeRefused
        (answer,) = [done for done in self.talk.did[count:] if isinstance(done, answers)]
        if isinstance(answer, controller_io.ChangeAccepted):
            self.accepted.append(answer.change)
            assert answer.in_ns > 0 and after is not None and after.changes == (*kept, answer.change)
        else:
            assert answer.detail and (after is None or after.changes == kept)

    @rule(graceful=st.booleans())
    def stop(self, graceful: bool) -> None:
        self.talk.tell(controller_io.StopRequested(self.run_id, "enough", StoppedBy.OPERATOR, graceful))

    # --- time and engines -----------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.1, 1, 3, 15]))
    def wait(self, seconds: float) -> None:
        self.talk.to(self.talk.now + int(seconds * S), self.play_engines)
        self.play_engines()

    def play_engines(self) -> None:
        """Engines begin at their start, and end when they were told to, or when the load is over."""
        end_ns = self.core_run.view.load_end_ns if self.core_run is not None else None
        for agent in self.talk.agents.values():
            run = self.newest(agent) if agent.exit_code is None else None
            if run is None:
                continue
            if run.state is AgentRunState.COMMITTED and self.talk.now >= run._start_mono_ns:
                agent.begin(run.run_id, run.generation)
            over = end_ns is not None and self.talk.now >= end_ns
            if run.state is AgentRunState.STOPPING or (run.state is AgentRunState.RUNNING and over):
                stops = [s for s in agent.of(agent_io.StopEngine) if s.generation == run.generation]
                cause = stops[-1].cause if run.state is AgentRunState.STOPPING else ""
                agent.finish(0, cause, run.run_id, run.generation)

    # --- what always holds ----------------------------------------------------------------------------------

    @invariant()
    def no_slot_has_two_owners(self) -> None:
        run = self.core_run
        if run is not None and run.moving is not None:
            holes(run.moving.held.values())  # raises if there are
            at_rest = run.view.state is RunState.RUNNING and not run.moving.is_under_way
            if at_rest and run.moving.weights() and run.view.plan.on_agent_loss == "redistribute":
                assert holes(run.moving.held.values()) == 0, "I7"

    @invariant()
    def changes_are_those_that_were_accepted(self) -> None:
        if self.core_run is not None:
            assert list(self.core_run.view.changes) == self.accepted
            instants = [change.at_run_ns for change in self.accepted]
            assert instants == sorted(instants)

    @invariant()
    def what_has_ended_stays_as_it_was(self) -> None:
        for run_id, run in self.talk.controller._runs.items():
            view = run.view
            if view.state.is_final:
                now = (view.state, view.cause, tuple(view.notes), view.stopped_by, view.load_end_ns)
                assert self.ended.setdefault(run_id, now) == now
                assert run.deadline_ns is None and run.next_ns() is None
                assert view.cause or view.state is RunState.COMPLETE
            else:
                assert run.deadline_ns is not None or any(c.kind is ChangeKind.PAUSE for c in view.changes)

    @invariant()
    def honest_agents_are_never_blamed(self) -> None:
        for did in (self.talk.did, *(agent.did for agent in self.talk.agents.values())):
            seen = self.seen.get(id(did), 0)
            self.seen[id(did)] = len(did)
            for effect in did[seen:]:
                if isinstance(effect, controller_io.Log | agent_io.Log):
                    assert "broke the protocol" not in effect.text, effect.text

    @invariant()
    def who_can_hear_has_applied_what_it_was_told(self) -> None:
        run = self.core_run
        if run is None or run.is_over:
            return
        for part in run.parts:
            agent = self.alive(part.view.agent_id)
            loaded = part.view.state in (ParticipantState.COMMITTED, ParticipantState.RUNNING)
            if loaded and agent is not None and agent.up and part.view.incarnation == agent.incarnation:
                mine = agent.core.runs[run.view.run_id, part.view.generation]
                assert mine.revision == part.desired.revision

    def teardown(self) -> None:
        """I15: a run can always be brought to an end."""
        if self.core_run is None:
            return
        self.stop(graceful=False)
        for _ in range(12):
            if self.core_run.is_over:
                break
            self.wait(15)
        assert self.core_run.is_over, "I15"


Operators.TestCase.settings = settings(
    max_examples=12, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
TestOperators = Operators.TestCase
