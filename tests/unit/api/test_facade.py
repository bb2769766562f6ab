"""Whoever stands behind the API has everything that it asks for."""

from __future__ import annotations

import pytest

from loadr.api.desk import Desk
from loadr.api.facade import ControllerFacade
from support.api import FakeController


@pytest.mark.parametrize("cls", [Desk, FakeController])
def test_all_that_the_facade_names_is_there(cls: type) -> None:
    asked = {name for name in vars(ControllerFacade) if not name.startswith("_")}
    assert {"submit", "view", "summary", "stop", "put_file"} <= asked
    assert asked <= set(dir(cls))
