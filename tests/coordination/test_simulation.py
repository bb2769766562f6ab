"""The deterministic simulator: many seeds, the stories of old failures, and proof that the net catches fish."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from coordination.simulator.play import Failure, simulate
from coordination.simulator.scenario import Scenario, draw
from loadr.coordination import agent_io
from loadr.coordination.agent import AgentCore
from loadr.coordination.agent_run import AgentRun
from loadr.coordination.claims import Claims
from loadr.coordination.clock import Conversion, PeerClock
from loadr.coordination.controller import ControllerCore
from loadr.coordination.dealer import Dealer
from loadr.coordination.intake import Intake, Order
from loadr.coordination.messages import Metrics, RunPhase
from loadr.coordination.moves import Moves
from loadr.coordination.moving import Moving
from loadr.coordination.participant import Participant
from loadr.coordination.parts import Parts
from loadr.coordination.timing import Timing
from loadr.coordination.uplink import Uplink
from loadr.coordination.values import Values
from loadr.coordination.views import ParticipantState
from loadr.schedule.ownership import to_bitmap

SEEDS = 40
REGRESSIONS = sorted((Path(__file__).parent / "regressions").glob("*.json"))

Patch = pytest.MonkeyPatch


@pytest.mark.parametrize("first", range(0, SEEDS, 10))
def test_whatever_the_weather_the_invariants_hold_and_after_healing_a_run_is_complete(first: int) -> None:
    for seed in range(first, first + 10):
        simulate(draw(seed), record=seed % 10 == 0)


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda path: path.stem)
def test_a_story_that_once_failed_is_played_again(path: Path) -> None:
    simulate(Scenario.read(path))


def test_a_scenario_survives_its_file(tmp_path: Path) -> None:
    scenario = draw(7)
    path = tmp_path / "story.json"
    path.write_text(scenario.to_json())
    assert Scenario.read(path) == scenario


def test_the_same_seed_plays_the_same_story() -> None:
    assert simulate(draw(11)) == simulate(draw(11))


# --- mutants: each breaks one promise of a core, and the simulator has to notice ------------------------------


def no_dedup(patch: Patch) -> None:
    """What was merged already is merged again."""

    def order(self: Intake, seq: int) -> Order:
        return Order.GAP if seq > self.acked_seq + 1 else Order.NEXT

    def consume(self: Intake, seq: int) -> None:
        self.acked_seq = max(self.acked_seq, seq)

    patch.setattr(Intake, "order", order)
    patch.setattr(Intake, "consume", consume)


def lease_from_receipt(patch: Patch) -> None:
    """The lease counts from when the grant comes, and not from when the beat went."""
    hear = AgentCore._hear

    def later(self: AgentCore, beat: Any, now_ns: int) -> None:
        sent = dict(self._beats).get(beat.echo_number, now_ns)
        grants = tuple(replace(grant, lease_ns=grant.lease_ns + now_ns - sent) for grant in beat.grants)
        hear(self, replace(beat, grants=grants), now_ns)

    patch.setattr(AgentCore, "_hear", later)


def start_without_commit(patch: Patch) -> None:
    """An agent that is armed starts on its own when it has waited for a while."""
    armed, deadline, pump = AgentRun._armed, AgentRun.deadline_ns, AgentRun.pump

    def impatient(self: AgentRun, event: Any, now_ns: int) -> None:
        armed(self, event, now_ns)
        self.patience = now_ns + 1_000_000_000  # type: ignore[attr-defined]

    def due(self: AgentRun) -> int | None:
        own = getattr(self, "patience", None) if self.state.name == "ARMED" else None
        return min((at for at in (deadline(self), own) if at is not None), default=None)

    def start(self: AgentRun, now_ns: int) -> None:
        if self.state.name == "ARMED" and now_ns >= getattr(self, "patience", now_ns + 1):
            self.state = type(self.state)["COMMITTED"]
            self.uplink.begin(now_ns)
            self._out.do(agent_io.StartEngine(self.run_id, self.generation, now_ns))
        pump(self, now_ns)

    patch.setattr(AgentRun, "_armed", impatient)
    patch.setattr(AgentRun, "deadline_ns", due)
    patch.setattr(AgentRun, "pump", start)


def wall_clock_barrier(patch: Patch) -> None:
    """The start instant is taken from the wall clock."""
    dispatch, commit = AgentCore._dispatch, AgentRun._commit

    def remember(self: AgentCore, event: Any, now_ns: int) -> None:
        if isinstance(event, agent_io.HealthSampled):
            self._clock.wall = event.wall_unix_ms * 1_000_000 - now_ns  # type: ignore[attr-defined]
        dispatch(self, event, now_ns)

    def by_wall(self: AgentRun, desired: Any, now_ns: int) -> None:
        wall = getattr(self._clock, "wall", None)
        if wall is not None:
            start = desired.start_unix_ms * 1_000_000 - wall
            patch.setattr(PeerClock, "to_agent", lambda *_: Conversion(max(start, now_ns), 1_000_000))
        commit(self, desired, now_ns)

    patch.setattr(AgentCore, "_dispatch", remember)
    patch.setattr(AgentRun, "_commit", by_wall)


def coalesced_again(patch: Patch) -> None:
    """On a new stream what was not acknowledged is sent as one batch."""

    def replay(self: Uplink) -> list[Any]:
        frozen = list(self._frozen)
        batches = [message for message in frozen if isinstance(message, Metrics)]
        if len(batches) < 2:
            return frozen
        entries = tuple(entry for batch in batches for entry in batch.new_series)
        intervals = tuple(interval for batch in batches for interval in batch.intervals)
        return [replace(batches[0], new_series=entries, intervals=intervals), *frozen[len(batches) :]]

    patch.setattr(Uplink, "replay", replay)


def no_replay(patch: Patch) -> None:
    """On a new stream the agent goes on with what is new."""
    patch.setattr(Uplink, "replay", lambda self: [])


def forgets_at_sending(patch: Patch) -> None:
    """A batch is dropped when it is sent, and not when it is acknowledged."""
    keep = Uplink._keep

    def drop(self: Uplink, message: Any) -> None:
        keep(self, message)
        self._frozen = deque()

    patch.setattr(Uplink, "_keep", drop)


def no_fencing(patch: Patch) -> None:
    """A new stream of an agent leaves the old one in place."""
    register = ControllerCore._register

    def leave_open(self: ControllerCore, stream: Any, message: Any, now_ns: int) -> None:
        member = self._members.get(message.agent_id)
        if member is not None:
            member.stream = None
        register(self, stream, message, now_ns)

    patch.setattr(ControllerCore, "_register", leave_open)


def lost_before_lease_end(patch: Patch) -> None:
    """An agent is taken for lost while its lease still holds."""
    patch.setattr(Timing, "lost_for", lambda self, lease_ns: lease_ns * 7 // 10)


def old_revisions_are_obeyed(patch: Patch) -> None:
    """Whatever desired state comes is applied."""
    desire = AgentRun.desire

    def obey(self: AgentRun, desired: Any, now_ns: int) -> bool:
        if desired.phase is RunPhase.RUNNING and self.state.name in ("RUNNING", "STOPPING"):
            self.state = type(self.state)["ARMED"]
        self.revision = desired.revision - 1
        return desire(self, desired, now_ns)

    patch.setattr(AgentRun, "desire", obey)


def takers_first(patch: Patch) -> None:
    """New owners are told before the old ones have said that they gave."""
    settle = Moves._settle

    def at_once(self: Moves, now_run_ns: int, delay_ns: int) -> None:
        for key in list(self._releases):
            del self._releases[key]
            self.dealer.acknowledge(key)
        settle(self, now_run_ns, delay_ns)

    patch.setattr(Moves, "_settle", at_once)


def slots_by_index(patch: Patch) -> None:
    """Whoever is there owns the slots of its place in the list, from an instant on."""

    def by_index(self: Dealer, weights: Any, from_run_ns: int) -> Any:
        keys = list(weights)
        for key in self.held:
            shares = []
            for share in self.empty():
                size = len(share.slots) * 8
                mine = range(keys.index(key), size, len(keys)) if key in keys else ()
                bitmap = to_bitmap(mine, size)
                shares.append(replace(share, from_run_ns=from_run_ns, slots=bitmap, vu_slots=bitmap))
            self.held[key] = tuple(shares)
        return dict(self.held)

    rebalance = Moves.rebalance

    def forget(self: Moves, now_run_ns: int, delay_ns: int) -> None:
        rebalance(self, now_run_ns, delay_ns)
        self._releases.clear()

    patch.setattr(Dealer, "move", by_index)
    patch.setattr(Moves, "rebalance", forget)


def one_generation(patch: Patch) -> None:
    """Whoever comes back goes on under the generation that it had."""
    add = Parts.add
    patch.setattr(Parts, "add", lambda self, member, _: add(self, member, 1))


def changes_at_receipt(patch: Patch) -> None:
    """A change holds from when an agent hears of it."""
    reshare = AgentRun._reshare

    def at_once(self: AgentRun, desired: Any, now_ns: int) -> None:
        self.heard = getattr(self, "heard", {})  # type: ignore[attr-defined]
        for change in desired.changes:
            self.heard.setdefault(change, max(0, now_ns - self._start_mono_ns))  # type: ignore[attr-defined]
        heard = tuple(replace(c, at_run_ns=self.heard[c]) for c in desired.changes)  # type: ignore[attr-defined]
        reshare(self, replace(desired, changes=heard), now_ns)

    patch.setattr(AgentRun, "_reshare", at_once)


def moves_overtake(patch: Patch) -> None:
    """A move takes effect as soon as it can, whatever was said of an earlier one."""
    rebalance = Moves.rebalance

    def forget(self: Moves, now_run_ns: int, delay_ns: int) -> None:
        if not self.dealer.is_moving:
            self.from_run_ns = 0
        rebalance(self, now_run_ns, delay_ns)

    patch.setattr(Moves, "rebalance", forget)


def late_work_is_forgotten(patch: Patch) -> None:
    """What an agent began before it heard of a change may be given to others."""
    patch.setattr(Moving, "_note_begun", lambda self, part: None)


def the_returned_have_load(patch: Patch) -> None:
    """Whoever says that its engine has begun is taken to have load."""
    started = Participant.started

    def running(self: Participant, event: Any) -> None:
        started(self, event)
        self.view.state = ParticipantState.RUNNING

    patch.setattr(Participant, "started", running)


def rows_are_granted_anew(patch: Patch) -> None:
    """Rows of an agent that is lost go to others."""
    away = Values.away

    def rewind(self: Values, part: str) -> Any:
        for name, rows in self._parts[part].granted.items() if part in self._parts else ():
            self._next[name] = max(0, self._next[name] - rows)
        return away(self, part)

    patch.setattr(Values, "away", rewind)


def claims_are_not_repeated(patch: Patch) -> None:
    """On a new session an agent goes on with what is new."""
    patch.setattr(Claims, "repeat", lambda self: [])


def everybody_sets_up(patch: Patch) -> None:
    """Whoever asks is told to do it."""
    ask = Values._ask_once

    def at_once(self: Values, part: str, claim: Any) -> Any:
        self._once[claim.key].doer = ""
        return ask(self, part, claim)

    patch.setattr(Values, "_ask_once", at_once)


def the_next_does_it_at_once(patch: Patch) -> None:
    """When the link to the doer breaks another is told to do it, lease or not."""
    closed = ControllerCore._closed

    def give_up(self: ControllerCore, event: Any, now_ns: int) -> None:
        stream = self._streams.get(event.link)
        closed(self, event, now_ns)
        if stream is not None and stream.member is not None and self._current is not None:
            for part in self._parts_in_current(stream.member):
                self._current.values.away(part)

    patch.setattr(ControllerCore, "_closed", give_up)


MUTANTS: list[tuple[Callable[[Patch], None], str, str | int]] = [
    (no_dedup, "I1", 4),
    (lease_from_receipt, "I4", 2),
    (start_without_commit, "I9", "over-before-the-start"),
    (wall_clock_barrier, "I8", "a-later-move-took-effect-earlier"),
    (coalesced_again, "I1", 6),
    (no_replay, "strike", "a-replayed-start-gave-leases-again"),
    (forgets_at_sending, "", "a-replayed-start-gave-leases-again"),
    (no_fencing, "I12", 36),
    (lost_before_lease_end, "took its load for over", "a-lease-that-ends-by-another-clock"),
    (old_revisions_are_obeyed, "", "a-later-move-took-effect-earlier"),
    (takers_first, "I6", "takers-do-not-wait"),
    (slots_by_index, "I6", "a-later-move-took-effect-earlier"),
    (one_generation, "", "a-replayed-start-gave-leases-again"),
    (changes_at_receipt, "", 2),
    (moves_overtake, "I6", "a-later-move-took-effect-earlier"),
    (late_work_is_forgotten, "I6", "begun-before-the-change-was-heard"),
    (the_returned_have_load, "given up", "returned-and-begun-again"),
    (rows_are_granted_anew, "I16", 19),
    (claims_are_not_repeated, "waits for an answer", 6),
    (everybody_sets_up, "is at it", 3),
    (the_next_does_it_at_once, "is at it", 37),
]


def scenario_of(which: str | int) -> Scenario:
    """An old story by its name, or what is drawn from a seed."""
    return draw(which) if isinstance(which, int) else Scenario.read(REGRESSIONS[0].with_name(f"{which}.json"))


@pytest.mark.parametrize(("mutate", "seen", "first"), MUTANTS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_core_that_breaks_a_promise_is_caught(
    mutate: Callable[[Patch], None], seen: str, first: str | int, monkeypatch: Patch
) -> None:
    """``seen``: what the violation says. ``first``: the story or seed that catches it today; then all others."""
    mutate(monkeypatch)
    words = []
    for which in sorted([*(path.stem for path in REGRESSIONS), *range(SEEDS)], key=lambda one: one != first):
        try:
            simulate(scenario_of(which))
        except Failure as failure:
            words.append(f"{which}: {failure.violation}")
            if seen in str(failure.violation):
                return
    pytest.fail(f"{mutate.__name__} survived {SEEDS} seeds and all old stories; seen were {words[:5]}")
