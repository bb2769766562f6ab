"""All parts of one run, and the last word that each was told.

Takes agents that are to have a part, and what is wanted of one or all of them; sends assignments and desired
states, numbered over the whole run. Who is away gets the last word again when it is back.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping

from loadr.coordination.controller_session import Member
from loadr.coordination.corpora import corpus_faults
from loadr.coordination.dealer import Shares
from loadr.coordination.downlink import Downlink
from loadr.coordination.messages import ControllerMessage, Desired, RunPhase, Value
from loadr.coordination.participant import JOINING, Participant
from loadr.coordination.timing import Timing
from loadr.coordination.views import ParticipantState, ParticipantView, RunView

MAX_WAIT_NS = 30 * 1_000_000_000  # for a common instant, however slow an agent is

P = ParticipantState


class Parts:
    """``members`` are all agents of the controller by id; ``send`` reaches one of them if it is connected."""

    def __init__(
        self,
        view: RunView,
        downlink: Downlink,
        timing: Timing,
        members: Mapping[str, Member],
        send: Callable[[ParticipantView, ControllerMessage], None],
    ) -> None:
        self.members = members
        self._view = view
        self._downlink = downlink
        self._timing = timing
        self._send = send
        self._parts: dict[tuple[str, int], Participant] = {}  # by agent and generation
        self._left_out: dict[str, int] = {}  # agent → its last generation that was left out
        self._revision = 0
        self._changed_at: list[int] = []  # the last revision without each change of the run

    # --- who there is ---------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Participant]:
        return iter(self._parts.values())

    def get(self, agent_id: str, generation: int) -> Participant:
        """One that is known to be there."""
        return self._parts[agent_id, generation]

    def by_key(self, key: str) -> Participant:
        """The part of that name, which is known to be there."""
        return next(part for part in self if part.view.key == key)

    def find(self, agent_id: str, incarnation: str, generation: int | None = None) -> Participant | None:
        """The part of this very process, of its latest generation if none is given."""
        if generation is None:
            generation = max((g for a, g in self._parts if a == agent_id), default=0)
        found = self._parts.get((agent_id, generation))
        return found if found is not None and found.view.incarnation == incarnation else None

    def of_agent(self, agent_id: str) -> list[Participant]:
        """All parts of an agent, whatever process it was, the oldest first."""
        return [self._parts[key] for key in sorted(self._parts) if key[0] == agent_id]

    def present(self) -> list[Participant]:
        """Those who have or had load, and of whom something is still awaited."""
        return [part for part in self if not part.is_out and not self.is_joining(part)]

    def is_joining(self, part: Participant) -> bool:
        """A late one, that has no load yet."""
        return self._view.start_controller_ns is not None and part.view.state in JOINING

    def faults_of(self, member: Member) -> list[str]:
        """Why an agent can have no part: sentences, one for each corpus of the plan that it has not."""
        return corpus_faults(self._view.plan, member.view.corpora, f"agent {member.view.name}")

    def next_generation(self, agent_id: str) -> int:
        """Of a new part of an agent."""
        last = max((g for a, g in self._parts if a == agent_id), default=0)
        return max(last, self._left_out.get(agent_id, 0)) + 1

    def leave_out(self, part: Participant) -> None:
        """Before the load: the run goes on as if it had never had this part."""
        view = part.view
        del self._parts[view.agent_id, view.generation], self._view.agents[view.key]
        self._left_out[view.agent_id] = view.generation

    def add(self, member: Member, generation: int) -> Participant:
        """A new part of an agent."""
        agent = member.view
        key = agent.agent_id if generation == 1 else f"{agent.agent_id}#{generation}"
        name = agent.name if generation == 1 else f"{agent.name}#{generation}"
        view = ParticipantView(key, agent.agent_id, name, agent.incarnation, generation, agent.weight)
        part = self._parts[agent.agent_id, generation] = Participant(view)
        self._view.agents[key] = view
        member.lease_ns = self._view.plan.lease_ns
        return part

    def rtt_ns(self) -> int:
        """The longest round trip of those who are there."""
        members = [self.members[part.view.agent_id] for part in self if not part.is_out]
        return max((member.rtt_ns for member in members), default=0)

    def delay_ns(self) -> int:
        """From a change or a move to its common instant: so long that everybody has heard of it."""
        return min(max(self._timing.change_ns, self._timing.change_rtts * self.rtt_ns()), MAX_WAIT_NS)

    # --- what they are told ---------------------------------------------------------------------------------

    def assign(self, part: Participant) -> None:
        """It is to prepare."""
        view, held = part.view, self.members[part.view.agent_id].held
        self._send(view, self._downlink.assignment(view.generation, self.prepare_ns(), held))

    def prepare_ns(self) -> int:
        """How long an agent may take to prepare: with a setup, so long as two of it take, the doer of the first
        being lost."""
        plan = self._view.plan
        if plan.setup is None:
            return self._timing.prepare_ns
        lost_ns = self._timing.lost_for(plan.lease_ns) + self._timing.stop_slack_ns
        return self._timing.prepare_ns + 2 * (plan.setup.timeout_ns + lost_ns)

    def answer(self, part: Participant, value: Value) -> None:
        """Of a claim that it made."""
        self._send(part.view, value)

    def prepared(self, part: Participant) -> None:
        """It has prepared, and so it has the files of the run."""
        part.view.state = P.PREPARED
        self.members[part.view.agent_id].held = frozenset(self._downlink.digests)

    def want(self, phase: RunPhase, cause: str = "") -> None:
        """A new desired state for everybody who may still do something about it."""
        for part in self:
            if part.view.state is not P.RETURNING:
                self.desire(part, phase, cause)

    def desire(self, part: Participant, phase: RunPhase, cause: str = "", shares: Shares | None = None) -> int:
        """A new desired state for one part; the number of its revision. Without ``shares`` it keeps its own."""
        self._revision += 1
        if shares is None:
            shares = part.desired.shares if part.desired is not None else ()
        part.desired = Desired(
            run_id=self._view.run_id,
            generation=part.view.generation,
            revision=self._revision,
            phase=phase,
            start_unix_ms=self._view.start_unix_ms,
            start_controller_ns=self._view.start_controller_ns or 0,
            shares=shares if phase in (RunPhase.ARMED, RunPhase.RUNNING) else (),
            cause=cause,
            changes=self._view.changes,
        )
        self._send(part.view, part.desired)
        return self._revision

    def release(self, part: Participant) -> None:
        """The agent may forget the run."""
        self._revision += 1
        part.desired = Desired(self._view.run_id, part.view.generation, self._revision, RunPhase.NONE)
        self._send(part.view, part.desired)

    def say_again(self, part: Participant) -> None:
        """What was said last, on a new stream."""
        if part.desired is not None:
            self._send(part.view, part.desired)

    # --- what they have heard -------------------------------------------------------------------------------

    def changed(self) -> None:
        """Another change was added to the run; what is said from here on has it."""
        self._changed_at.append(self._revision)

    def changes_in(self, revision: int) -> int:
        """So many changes of the run does this revision have."""
        return bisect_left(self._changed_at, revision)
