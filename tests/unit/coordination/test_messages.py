"""Messages are values, and the numbers of their enumerations never change."""

from __future__ import annotations

import dataclasses
from typing import get_args

import pytest

from loadr.coordination import messages
from loadr.coordination.messages import (
    AgentMessage,
    ClaimKind,
    ControllerMessage,
    FaultKind,
    RunEventKind,
    RunPhase,
    ValueKind,
)


@pytest.mark.parametrize(
    "cls", [*get_args(AgentMessage), *get_args(ControllerMessage)], ids=lambda cls: cls.__name__
)
def test_each_message_is_frozen_and_slotted(cls: type) -> None:
    assert dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert "__slots__" in vars(cls)


def test_no_message_goes_both_ways() -> None:
    assert not set(get_args(AgentMessage)) & set(get_args(ControllerMessage))


def test_numbers_on_the_wire_are_pinned() -> None:
    assert [(p.name, p.value) for p in RunPhase][-4:] == [
        ("PAUSED", 6),
        ("STOPPING", 7),
        ("FLUSHING", 8),
        ("KILLED", 9),
    ]
    assert [k.value for k in RunEventKind] == [1, 2, 3, 4, 5, 6]
    assert [(k.name, k.value) for k in ClaimKind] == [("ONCE", 1), ("RESULT", 2), ("BLOCK", 3), ("BARRIER", 4)]
    assert [k.value for k in ValueKind] == [1, 2, 3, 4, 5, 6, 7]
    assert [k.name for k in FaultKind][:3] == ["NONE", "PLAN", "SCRIPT"]
    assert (messages.PROTOCOL_MIN, messages.PROTOCOL_MAX) == (1, 1)
