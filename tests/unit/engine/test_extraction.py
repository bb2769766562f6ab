"""One value out of a body."""

from __future__ import annotations

from typing import Any

import pytest

from loadr.engine.extraction import extraction

BODY = {"items": [{"id": 1, "a b": "x"}, {"id": 2}], "name": "text", "deep": {"er": {"x": [[5]]}}, "none": None}


def take(path: str, body: Any = BODY) -> Any:
    source, names = extraction(path, "document", "first")
    return eval(source, {**names, "document": body})  # noqa: S307


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", BODY),
        ("$.name", "text"),
        ("$.items[0].id", 1),
        ("$.items[-1].id", 2),
        ("$['items'][0]['a b']", "x"),
        ('$["items"][1]["id"]', 2),
        ("$.deep.er.x[0][0]", 5),
        ("$.none", None),
        ("$..id", 1),
        ("$.items[?@.id > 1].id", 2),
        ("$.items[*].id", 1),
        ("$.items[0:1].id", 1),
    ],
)
def test_a_path_finds_its_first_value(path: str, value: Any) -> None:
    assert take(path) == value


@pytest.mark.parametrize(
    "path",
    [
        "$.absent",
        "$.items[2].id",
        "$.name[0]",
        "$.name.x",
        "$.items.id",
        "$.none.x",
        "$..absent",
        "$.items[?@.id > 9]",
    ],
)
def test_a_path_without_a_value_raises(path: str) -> None:
    with pytest.raises((KeyError, IndexError, TypeError)):
        take(path)


def test_a_plain_path_needs_no_library_at_run_time() -> None:
    source, names = extraction("$.items[0].id", "document", "first")
    assert source == "__member(__element(__member(document, 'items'), 0), 'id')"
    assert "first" not in names
