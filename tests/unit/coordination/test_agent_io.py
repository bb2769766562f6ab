"""Events and effects of the agent are values: frozen, slotted, and all in their unions."""

from __future__ import annotations

import dataclasses
from typing import get_args

import pytest

from loadr.coordination import agent_io


def classes() -> list[type]:
    return [c for c in vars(agent_io).values() if isinstance(c, type) and c.__module__ == agent_io.__name__]


@pytest.mark.parametrize("cls", classes(), ids=lambda cls: cls.__name__)
def test_each_is_frozen_slotted_and_either_an_event_or_an_effect(cls: type) -> None:
    assert dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert "__slots__" in vars(cls)
    assert (cls in get_args(agent_io.AgentEvent)) != (cls in get_args(agent_io.AgentEffect))
