"""`check`: a named condition that is counted and never raises.

Takes what carries a scenario's recorder (a response, a VU), a name and a truth value; gives the value back.
"""

from __future__ import annotations

from typing import Protocol

from loadr.engine.recorder import ScenarioRecorder


class Counted(Protocol):
    """A `Response` or a VU: whatever belongs to a scenario."""

    @property
    def scenario(self) -> ScenarioRecorder: ...


def check(subject: Counted, name: str, condition: object) -> bool:
    """Count one pass or fail of the check ``name`` in the scenario of ``subject``; gives ``bool(condition)``.

    Raises `TypeError` if ``condition`` is a function: it would always be true.
    """
    scenario = subject.scenario
    counter = scenario.checks.get(name) or scenario.check(name)
    if condition is True:
        counter.passes += 1
        return True
    if condition and callable(condition):
        raise TypeError(f"check {name!r} got a function; pass a condition, such as page.status == 200")
    if condition:
        counter.passes += 1
        return True
    counter.fails += 1
    return False
