from dataclasses import FrozenInstanceError

import pytest

from loadr.schedule.share import ScenarioShare


def test_a_share_is_a_value() -> None:
    one, same = ScenarioShare("browse", 5, b"\x01", b"\x02"), ScenarioShare("browse", 5, b"\x01", b"\x02")
    assert one == same and len({one, same, ScenarioShare("browse", 6, b"\x01", b"\x02")}) == 2
    with pytest.raises(FrozenInstanceError):
        one.from_run_ns = 7  # type: ignore[misc]


def test_a_closed_scenario_has_no_slots_of_a_pool() -> None:
    assert ScenarioShare("buy", 0, b"\xff").vu_slots == b""
