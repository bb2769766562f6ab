"""Events and effects of the controller are values; three states of a run are final."""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import get_args

import pytest

from loadr.coordination import controller_io
from loadr.coordination.controller_io import RunRequest, RunState


def classes() -> list[type]:
    mine = [
        c for c in vars(controller_io).values() if isinstance(c, type) and c.__module__ == controller_io.__name__
    ]
    return [c for c in mine if not issubclass(c, Enum) and c is not RunRequest]


@pytest.mark.parametrize("cls", classes(), ids=lambda cls: cls.__name__)
def test_each_is_frozen_slotted_and_either_an_event_or_an_effect(cls: type) -> None:
    assert dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert "__slots__" in vars(cls)
    assert (cls in get_args(controller_io.ControllerEvent)) != (cls in get_args(controller_io.ControllerEffect))


def test_three_states_are_final() -> None:
    assert [state.value for state in RunState if state.is_final] == ["complete", "incomplete", "failed"]
