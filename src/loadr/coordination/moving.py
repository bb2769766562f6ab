"""Load that moves: which parts own what of a run that goes on, and who joins and leaves it.

Takes late joiners, agents that are to leave, parts that are over and what parts have applied; tells everybody
what it owns. The steps of a move are in `moves`. An iteration that somebody may have begun before it heard of a
change of the run is never given to anybody else, whatever instant the change gave it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from loadr.coordination.dealer import Shares
from loadr.coordination.ending import Notes
from loadr.coordination.loss import begun_below
from loadr.coordination.messages import RunPhase
from loadr.coordination.moves import Moves
from loadr.coordination.participant import LOADED, Participant
from loadr.coordination.parts import Parts
from loadr.coordination.reach import Reach
from loadr.coordination.views import AgentState, ParticipantState, RunView
from loadr.plan.model import Plan
from loadr.units import NS_PER_S, format_short_ns

MAX_GENERATIONS = 20  # of one agent in one run

P = ParticipantState


class Moving:
    """Of one run, from the first deal on. Instants are the controller's; those of shares are on the timeline."""

    def __init__(
        self, view: RunView, parts: Parts, notes: Notes, suits: Callable[[Mapping[str, str]], bool]
    ) -> None:
        self._suits = suits
        self._view = view
        self._parts = parts
        self._notes = notes
        self._begun: dict[str, int] = {}  # scenario → below it anything may have been begun too early
        self._moves = Moves(
            view.plan,
            sum(1 for _ in parts),
            weights=self.weights,
            publish=self._publish,
            on_settled=self._settled,
        )
        for key, shares in self._moves.dealer.first(
            {part.view.key: float(part.view.weight) for part in parts}
        ).items():
            part = parts.by_key(key)
            part.reach = Reach()  # nobody has begun: what was dealt before, if anything was, is owned by nobody
            part.reach.told(0, shares)
        self._show_shares()

    @property
    def held(self) -> dict[str, Shares]:
        """What each part may own, by its key; together it is everything, or will be."""
        return self._moves.dealer.held

    @property
    def is_under_way(self) -> bool:
        """A move has begun and is not over."""
        return self._moves.dealer.is_moving

    @property
    def from_run_ns(self) -> int:
        """When the last move takes effect that was announced, or later: no change may come before it."""
        return self._moves.from_run_ns

    def end(self) -> None:
        """The run is over: nothing moves any more."""
        self._moves.end()

    def weights(self) -> dict[str, float]:
        """Who is to own something: parts with load that stay, and late joiners that are ready."""
        return {
            part.view.key: float(part.view.weight)
            for part in self._parts
            if part.view.state in (*LOADED, P.ARMED) and not part.view.draining
        }

    # --- moves ----------------------------------------------------------------------------------------------

    def rebalance(self, now_ns: int) -> None:
        """Have every part own what its weight is worth."""
        self._moves.rebalance(self._run_ns(now_ns), self._parts.delay_ns())

    def scale(self, plan: Plan, now_ns: int | None) -> None:
        """The numbers of VUs are others. ``now_ns`` None: nothing moves yet."""
        self._moves.dealer.scale(plan)
        if now_ns is not None:
            self.rebalance(now_ns)

    def gone(self, part: Participant, now_ns: int) -> None:
        """The load of a part is over: it owns nothing from now on."""
        part.stop_at_ns = None
        part.end_load(self._view, self._run_ns(now_ns))
        self._note_begun(part)
        self._moves.gone(part.view.key, self._run_ns(now_ns), self._parts.delay_ns())

    def applied(self, part: Participant, revision: int, now_ns: int) -> None:
        """A part says which revision it has applied."""
        if self._parts.is_joining(part):
            return
        run_ns, changes = self._run_ns(now_ns), self._view.changes
        heard = self._parts.changes_in(revision)
        late_ns = part.reach.applied(revision, changes, heard, self._its_run_ns(part, now_ns))
        if late_ns:
            part.view.changed_late_s = max(part.view.changed_late_s, late_ns / NS_PER_S)
            text = f"agent {part.view.name} heard {format_short_ns(late_ns)} too late of a change of the run"
            self._notes.add(text)
            self._note_begun(part)
        if self._moves.awaits(part.view.key, revision):  # else nobody is asked how far away they all are
            self._moves.applied(part.view.key, revision, run_ns, self._parts.delay_ns())

    def _note_begun(self, part: Participant) -> None:
        late = part.reach.followed_late(self._view.changes)
        for scenario, below in begun_below(self._view.plan, late).items():
            self._begun[scenario] = max(below, self._begun.get(scenario, 0))

    def _publish(self, key: str, shares: Shares) -> int:
        """Tell a part what it owns; a late joiner starts with it."""
        part = self._parts.by_key(key)
        if part.view.state is P.ARMED:
            part.view.state = P.COMMITTED
            part.view.joined_at_s = min((share.from_run_ns for share in shares), default=0) / NS_PER_S
            part.reach.begins_with(len(self._view.changes))
        shares = tuple(replace(share, from_iteration=self._begun.get(share.scenario, 0)) for share in shares)
        revision = self._tell(part, shares)
        part.reach.told(revision, shares)
        return revision

    def _tell(self, part: Participant, shares: Shares | None) -> int:
        """Shares, and all changes; one that was told to stop goes on stopping."""
        told = part.desired
        if told is not None and told.phase in (RunPhase.STOPPING, RunPhase.KILLED):
            return self._parts.desire(part, told.phase, told.cause, shares)
        return self._parts.desire(part, RunPhase.RUNNING, shares=shares)

    def tell_changes(self) -> None:
        """Everybody with load gets the changes of the run so far."""
        for part in self._parts:
            if part.view.state in LOADED:
                self._tell(part, None)

    def _settled(self, from_run_ns: int) -> None:
        """New owners own from here on."""
        self._show_shares()
        for part in self._parts:
            view = part.view
            if view.covered_at_s is None and view.state in (P.LOST, P.RETURNING, P.FINISHED):
                view.covered_at_s = from_run_ns / NS_PER_S
            if view.draining and view.state in LOADED:
                # Its clock may be behind by as much as a round trip: what it owns until then is still its own.
                part.stop_at_ns = (self._view.start_controller_ns or 0) + from_run_ns + self._parts.rtt_ns()

    def _show_shares(self) -> None:
        """Who owns how much, for people. Who ended keeps what it had."""
        for part in self._parts:
            if part.view.key in self.held:
                part.view.share = self._moves.dealer.part_of(part.view.key)

    def _run_ns(self, now_ns: int) -> int:
        return now_ns - (self._view.start_controller_ns or now_ns)

    def _its_run_ns(self, part: Participant, now_ns: int) -> int:
        """The latest that the timeline of a part may show now. It said how its clock stands to ours a moment ago,
        and, once its load has begun, when that was; from its start alone the two may have drifted far apart."""
        run_ns = self._run_ns(now_ns)
        latest_ns = run_ns + part.ahead_ns(run_ns)
        clock_ns, start_ns = self._parts.members[part.view.agent_id].clock_at(now_ns), part.view.start_mono_ns
        return latest_ns if clock_ns is None or start_ns is None else min(latest_ns, clock_ns - start_ns)

    # --- leaving --------------------------------------------------------------------------------------------

    def let_go(self, part: Participant, now_ns: int) -> None:
        """An agent is to leave: its share goes first, then it may stop."""
        if part.view.draining or part.view.state not in LOADED:
            return
        part.view.draining = True
        if self.weights() and self._view.plan.on_agent_loss == "redistribute":
            self._notes.tell(f"agent {part.view.name} was asked to leave; its share goes to others")
            self.rebalance(now_ns)
        else:
            self._notes.add(f"agent {part.view.name} was asked to leave; nobody takes its share")
            self._dismiss(part)

    def pass_time(self, now_ns: int) -> None:
        """Those whose share is with others by now are told to stop."""
        for part in self._parts:
            if part.stop_at_ns is not None and now_ns >= part.stop_at_ns:
                self._dismiss(part)

    def next_ns(self) -> int | None:
        """When the next one is told to stop."""
        return min((part.stop_at_ns for part in self._parts if part.stop_at_ns is not None), default=None)

    def _dismiss(self, part: Participant) -> None:
        part.stop_at_ns = None
        self._parts.desire(part, RunPhase.STOPPING, "it was asked to leave")

    # --- late joiners ---------------------------------------------------------------------------------------

    def invite(self, agent_id: str, now_ns: int) -> None:
        """An agent is there that has no part in this run, or none any more: it takes a share, if it may."""
        member = self._parts.members.get(agent_id)
        if member is None or member.view.state is not AgentState.ONLINE or member.barred_until_ns > now_ns:
            return
        mine = self._parts.of_agent(agent_id)
        if member.is_leaving or not self._suits(member.view.labels) or any(not part.is_out for part in mine):
            return
        if len(mine) >= MAX_GENERATIONS:
            self._notes.add(
                f"agent {member.view.name} came back {MAX_GENERATIONS} times; it gets no share any more"
            )
            return
        if faults := self._parts.faults_of(member):
            self._notes.add(f"{'; '.join(faults)}; it gets no share")
            return
        part = self._parts.add(member, self._parts.next_generation(agent_id))
        self._parts.assign(part)

    def arm(self, part: Participant) -> None:
        """A late joiner has prepared."""
        if part.view.state is P.ASSIGNED:
            self._parts.prepared(part)
            self._parts.desire(part, RunPhase.ARMED, shares=self._moves.dealer.join(part.view.key))

    def take_in(self, part: Participant, clock_bound_ns: int, now_ns: int) -> None:
        """A late joiner is armed: it gets its share."""
        if part.view.state is not P.PREPARED:
            return
        part.view.state = P.ARMED
        part.view.clock_bound_ns = clock_bound_ns
        self._notes.tell(f"agent {part.view.name} joined {format_short_ns(self._run_ns(now_ns))} after the start")
        self.rebalance(now_ns)

    def leave_out(self, part: Participant, why: str, now_ns: int) -> None:
        """A late joiner that could not: nothing is missing without it."""
        self._notes.tell(f"agent {part.view.name} could not join: {why}")
        part.view.state = P.LOST
        part.view.lost_because = why
        del self._view.agents[part.view.key]
        has_share = self.is_under_way
        self._moves.gone(part.view.key, self._run_ns(now_ns), self._parts.delay_ns())
        if has_share:
            self.rebalance(now_ns)
