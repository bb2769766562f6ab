"""The constants of the protocol stand in their relations."""

from __future__ import annotations

import pytest

from loadr.coordination.timing import TIMING

S = 1_000_000_000


@pytest.mark.parametrize("lease_s", [3, 5, 10, 60, 300])
def test_some_beats_may_be_lost_before_anybody_is_doubted_and_doubt_comes_before_loss(lease_s: int) -> None:
    lease_ns = lease_s * S
    assert 3 * TIMING.beat_for(lease_ns) <= TIMING.suspect_for(lease_ns) < lease_ns < TIMING.lost_for(lease_ns)


def test_the_constants_of_the_design_hold_for_the_default_lease() -> None:
    assert TIMING.beat_for(10 * S) == S
    assert TIMING.suspect_for(10 * S) == 3 * S
    assert TIMING.lost_for(10 * S) == 11 * S


def test_a_short_lease_makes_everything_quicker() -> None:
    assert TIMING.beat_for(3 * S) == 600_000_000
    assert TIMING.suspect_for(3 * S) == 1_800_000_000
