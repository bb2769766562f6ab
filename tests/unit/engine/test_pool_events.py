"""What a pool tells is immutable."""

from __future__ import annotations

import dataclasses
import typing

import pytest

from loadr.engine import pool_events


@pytest.mark.parametrize("kind", typing.get_args(pool_events.PoolEvent))
def test_an_event_can_not_be_changed(kind: type) -> None:
    fields = dataclasses.fields(kind)
    event = kind(**{field.name: 0 for field in fields})
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(event, fields[0].name, 1)


def test_without_a_report_health_is_nothing() -> None:
    assert set(dataclasses.asdict(pool_events.PoolHealth()).values()) == {0}
