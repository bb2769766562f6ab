from __future__ import annotations

import pytest

from loadr.engine.checks import check
from loadr.engine.recorder import Recorder, ScenarioRecorder


class Subject:
    """Whatever belongs to a scenario."""

    def __init__(self) -> None:
        self.scenario: ScenarioRecorder = Recorder(["browse"]).scenario("browse")


@pytest.mark.parametrize(("condition", "passes"), [(True, 1), (False, 0), (1, 1), ("", 0), (None, 0), ([0], 1)])
def test_a_check_counts_the_truth_of_its_condition_and_gives_it_back(condition: object, passes: int) -> None:
    subject = Subject()
    assert check(subject, "fine", condition) is bool(passes)
    counter = subject.scenario.check("fine")
    assert (counter.passes, counter.fails) == (passes, 1 - passes)


def test_a_function_in_place_of_a_condition_is_refused_because_it_would_always_pass() -> None:
    subject = Subject()
    with pytest.raises(TypeError, match="got a function"):
        check(subject, "fine", lambda response: response.status == 200)
    assert subject.scenario.check("fine").passes == 0
