"""What operators change in one live run: requests in, a list of changes out, or why not.

Takes a change without its instant; gives it with one, in the list that every agent gets whole. What a change
means is in `loadr.schedule.course`; what each executor answers stands in `docs/guides/control.md`.
"""

from __future__ import annotations

import re

from loadr.errors import LoadrError
from loadr.plan.model import ConstantVus, Plan, Scenario
from loadr.schedule.change import MAX_CHANGES, Change, ChangeKind
from loadr.schedule.course import course_of
from loadr.units import NS_PER_S, format_short_ns

MAX_VUS = 1_000_000
MAX_RATE = 10_000_000
_DECIMAL = re.compile(r"\d{1,9}(\.\d{1,9})?")
_WORDS = {
    ChangeKind.PAUSE: "paused",
    ChangeKind.RESUME: "resumed",
    ChangeKind.RATE: "rate set to {}/s",
    ChangeKind.FACTOR: "rate times {}",
    ChangeKind.SCALE: "scaled to {} VUs",
}


class ChangeInvalid(LoadrError):
    """A change that can not be made, in words for the one who asked."""


class Control:
    """Of one run. ``changes`` are ascending by instant."""

    def __init__(self, plan: Plan) -> None:
        self.changes: tuple[Change, ...] = ()
        self._plan = plan

    @property
    def has_scaled(self) -> bool:
        """Some scenario has another number of VUs than in its plan."""
        return any(change.kind is ChangeKind.SCALE for change in self.changes)

    @property
    def is_paused(self) -> bool:
        """The last word was to pause."""
        words = [c.kind for c in self.changes if c.kind in (ChangeKind.PAUSE, ChangeKind.RESUME)]
        return bool(words) and words[-1] is ChangeKind.PAUSE

    def add(self, kind: ChangeKind, scenario: str, value: str, at_run_ns: int) -> Change:
        """Append a change at this instant, or at that of the one before it. Raises `ChangeInvalid`."""
        self._check(kind, scenario, value)
        last_ns = self.changes[-1].at_run_ns if self.changes else 0
        change = Change(max(at_run_ns, last_ns), kind, scenario, value)
        self.changes = (*self.changes, change)
        return change

    def end_run_ns(self) -> int:
        """When the last scenario ends; at or over `NEVER_RUN_NS` while paused."""
        return max(course_of(n, s, self.changes).end_run_ns for n, s in self._plan.scenarios.items())

    def scaled_plan(self) -> Plan:
        """The plan with the numbers of VUs that hold after all changes."""
        scenarios: dict[str, Scenario] = {}
        for name, scenario in self._plan.scenarios.items():
            vus = course_of(name, scenario, self.changes).crews[-1][1]
            field = "vus" if isinstance(scenario, ConstantVus) else "max_vus"
            scenarios[name] = scenario.model_copy(update={field: vus})
        return self._plan.model_copy(update={"scenarios": scenarios})

    def words(self, change: Change) -> str:
        """What happened, for people."""
        what = _WORDS[change.kind].format(change.value)
        of = f" ({change.scenario})" if change.scenario else ""
        return f"{what} at {format_short_ns(change.at_run_ns)}{of}"

    def _check(self, kind: ChangeKind, scenario: str, value: str) -> None:
        scenarios = self._plan.scenarios
        if len(self.changes) >= MAX_CHANGES:
            raise ChangeInvalid(f"the run was changed {MAX_CHANGES} times; that is all that it can remember")
        if scenario and scenario not in scenarios:
            raise ChangeInvalid(f"there is no scenario {scenario}", hint=f"it has {', '.join(scenarios)}")
        if kind is ChangeKind.PAUSE and self.is_paused:
            raise ChangeInvalid("the run is paused already", hint="go on with: loadr resume")
        if kind is ChangeKind.RESUME and not self.is_paused:
            raise ChangeInvalid("the run is not paused")
        if kind in (ChangeKind.PAUSE, ChangeKind.RESUME):
            if scenario:
                raise ChangeInvalid("a pause is one of the whole run", hint="leave --scenario out")
            return
        number = float(value) if _DECIMAL.fullmatch(value) else -1.0
        if kind is ChangeKind.SCALE:
            if not value.isdigit() or not 1 <= int(value) <= MAX_VUS:
                raise ChangeInvalid(f"{value!r} is no number of VUs", hint=f"1 to {MAX_VUS:,}")
            return
        if not 0 <= number <= MAX_RATE or (kind is ChangeKind.RATE and number * NS_PER_S < 1):
            raise ChangeInvalid(f"{value!r} is no rate", hint="per second, such as 250 or 0.5, or a factor: 150%")
        of = [scenarios[scenario]] if scenario else list(scenarios.values())
        if all(isinstance(one, ConstantVus) for one in of):
            raise ChangeInvalid(
                "a closed scenario has no rate: its VUs go as fast as the target lets them",
                hint="change their number: loadr scale",
            )
