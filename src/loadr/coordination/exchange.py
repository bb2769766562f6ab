"""Where the parts of one run meet: their claims, the values they get, and the teardown of the run.

Takes claims of parts, parts that are over or away, and time; sends values, and says in the view and the notes of
the run what came of setup and teardown. What is answered is decided in `values`.
"""

from __future__ import annotations

from collections.abc import Iterable

from loadr.coordination.ending import Notes
from loadr.coordination.messages import Claim
from loadr.coordination.participant import Participant
from loadr.coordination.parts import Parts
from loadr.coordination.timing import Timing
from loadr.coordination.values import Answer, Once, RowSet, Values, burnt_words
from loadr.coordination.views import AgentState, RunView
from loadr.plan.usage import block_sets


class Exchange:
    """``skip_teardown`` holds once the run was killed."""

    def __init__(self, view: RunView, parts: Parts, notes: Notes, timing: Timing) -> None:
        self.skip_teardown = False
        self._view = view
        self._parts = parts
        self._notes = notes
        self._timing = timing
        sets = {name: view.plan.data[name] for name in block_sets(view.plan)}
        self._values = Values({name: RowSet(one.rows, one.on_end == "recycle") for name, one in sets.items()})

    # --- claims ---------------------------------------------------------------------------------------------

    def claim(self, part: Participant, claim: Claim, now_ns: int) -> None:
        """A part claims something. Raises `PeerFault` on what can not be."""
        self._tell(self._values.claim(part.view.key, claim, now_ns))
        setup, teardown = self._values.setup, self._values.teardown
        self._view.setup_requests, self._view.teardown_requests = setup.requests, teardown.requests

    def over(self, part: Participant) -> None:
        """The load of a part ended before the plan did."""
        self._tell(self._values.over(part.view.key))
        for words in burnt_words(part.view.name, self._values.burnt(part.view.key)):
            self._notes.add(words)

    def away(self, part: Participant) -> None:
        """A part can not be reached any more."""
        self._tell(self._values.away(part.view.key))

    def stop(self) -> None:
        """The load is to end."""
        self._tell(self._values.stop())

    def pass_time(self, now_ns: int) -> None:
        """See to what waits."""
        self._tell(self._values.pass_time(now_ns))

    def next_ns(self) -> int | None:
        """When time alone changes something."""
        return self._values.next_ns()

    def is_doing(self, part: Participant) -> bool:
        """It was told to do something, and has not said how it went."""
        return self._values.is_doing(part.view.key)

    def _tell(self, answers: Iterable[Answer]) -> None:
        answers = list(answers)
        if not answers:
            return  # as after nearly every event
        parts = {part.view.key: part for part in self._parts}
        for key, value in answers:
            if key in parts:
                self._parts.answer(parts[key], value)

    # --- setup and teardown ---------------------------------------------------------------------------------

    @property
    def setup_fault(self) -> str:
        """Why the setup failed, in words; empty if it did not."""
        once = self._values.setup
        return f"setup failed on agent {self._name(once.done_by)}: {once.fault}" if once.fault else ""

    @property
    def has_teardown(self) -> bool:
        """There is something to tear down, when the load of all is over."""
        view = self._view
        return view.plan.teardown is not None and view.start_controller_ns is not None and not self.skip_teardown

    @property
    def is_torn_down(self) -> bool:
        """It is known how the teardown went."""
        return self._values.teardown.outcome is not None

    @property
    def can_tear_down(self) -> bool:
        """Somebody is there who may do it."""
        members = self._parts.members
        return any(
            (member := members.get(part.view.agent_id)) is not None
            and member.view.incarnation == part.view.incarnation
            and member.view.state not in (AgentState.LOST, AgentState.LEFT)
            and not part.is_released
            for part in self._parts
        )

    def begin_teardown(self) -> int:
        """The load of all is over; how long the teardown may take: as for `Parts.prepare_ns`."""
        self._tell(self._values.begin_teardown())
        plan = self._view.plan
        timeout_ns = plan.teardown.timeout_ns if plan.teardown is not None else 0
        return 2 * (timeout_ns + self._timing.lost_for(plan.lease_ns) + self._timing.stop_slack_ns)

    def end(self) -> None:
        """The run is over: say what is to be said of setup and teardown, and keep no value."""
        self._note_end()
        self._values = Values({})

    def _note_end(self) -> None:
        teardown, begun = self._values.teardown, self._view.start_controller_ns is not None
        if begun and self._view.plan.teardown is not None:
            if teardown.fault:
                self._view.teardown_fault = f"on agent {self._name(teardown.done_by)}: {teardown.fault}"
                self._notes.add(f"teardown failed {self._view.teardown_fault}")
            elif self.skip_teardown and not self.is_torn_down:
                self._notes.add("teardown did not run: the run was killed")
            elif not self.is_torn_down:
                why = "it did not end in time" if teardown.begun else "no agent was left for it"
                self._view.teardown_fault = why
                self._notes.add(f"teardown was not done: {why}")
        for what, once in (("setup", self._values.setup), ("teardown", teardown)):
            self._note_repeated(what, once)

    def _note_repeated(self, what: str, once: Once) -> None:
        if once.begun > 1 or (once.begun and once.outcome is None):
            times = "once" if once.begun == 1 else f"{once.begun} times"
            self._notes.add(f"{what} was begun {times}; only requests of one that came to an end are counted")

    def _name(self, key: str) -> str:
        return next((part.view.name for part in self._parts if part.view.key == key), key)
