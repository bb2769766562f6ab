from __future__ import annotations

import pytest

from loadr.engine.signals import IterationAborted


def test_a_script_that_catches_every_exception_does_not_swallow_the_end_of_its_iteration() -> None:
    def script() -> None:
        try:
            raise IterationAborted("lease")
        except Exception:  # noqa: BLE001 - what careless scripts do
            pass

    with pytest.raises(IterationAborted) as caught:
        script()
    assert caught.value.reason == "lease"
