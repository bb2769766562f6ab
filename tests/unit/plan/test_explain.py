from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from loadr.plan.explain import build, is_mapping, keys_of, refuse_unknown, show
from loadr.plan.faults import FaultList, Places
from loadr.plan.model import ConstantVus, DataSet, DurationNs, Extract, Plan, RequestStep


class Sample(BaseModel):
    whole: int = 1
    number: float = 1.0
    flag: bool = True
    text: str = ""
    listed: list[int] = []
    fixed: tuple[str, ...] = ()
    pairs: dict[str, int] = {}
    inner: Extract | None = None
    low: Annotated[int, Field(ge=5)] = 5
    high: Annotated[float, Field(le=2.5)] = 2.5
    above: Annotated[float, Field(gt=1000)] = 1001
    below: Annotated[float, Field(lt=1)] = 0
    finite: Annotated[float, Field(allow_inf_nan=False)] = 0
    choice: Literal["a", "b"] = "a"
    name: Annotated[str, Field(pattern="^[a-z]+$")] = "a"
    some: Annotated[tuple[int, ...], Field(min_length=1)] = (1,)
    duration: DurationNs = 0
    scalar: str | int | float | bool = 0
    when: Annotated[str, Field(max_length=3)] = ""


def told(values: dict[str, object], model: type[BaseModel] = Sample) -> list[str]:
    faults = FaultList("p", Places())
    assert build(model, values, ("at",), faults) is None
    return [f"{fault.path} {fault.message} -> {fault.hint}" for fault in faults.sorted]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("whole", "x", "must be a whole number, and is the text 'x' -> "),
        ("whole", "20", "must be a whole number, and is the text '20' -> write it without quotes"),
        ("whole", 1.5, "must be a whole number, and is 1.5 -> "),
        ("whole", True, "must be a whole number, and is true -> "),
        ("whole", None, "must be a whole number, and is empty -> "),
        ("number", "x" * 50, "must be a number, and is the text '" + "x" * 40 + "…' -> "),
        ("flag", 1, "must be true or false, and is 1 -> "),
        ("flag", "yes", "must be true or false, and is the text 'yes' -> "),
        ("text", 1, 'must be text, and is 1 -> put it in quotes: "1"'),
        ("text", [], "must be text, and is a list -> "),
        ("listed", 1, "must be a list, and is 1 -> "),
        ("fixed", {}, "must be a list, and is a mapping -> "),
        ("pairs", 10**20, "must be a mapping (key: value), and is a very large number -> "),
        ("inner", 1, "must be a mapping (key: value), and is 1 -> "),
        ("low", 4, "must be at least 5, and is 4 -> "),
        ("high", 3.5, "must be at most 2.5, and is 3.5 -> "),
        ("above", 1000, "must be more than 1,000, and is 1000 -> "),
        ("below", 1, "must be less than 1, and is 1 -> "),
        ("finite", float("inf"), "must be a finite number, and is inf -> "),
        ("choice", "c", "must be one of 'a' or 'b', and is the text 'c' -> "),
        ("name", "A", "the text 'A' is not a name -> a name is of letters, digits, _ and -, at most 64"),
        ("some", (), "must not be empty -> write at least one"),
        ("duration", "x", "'x' is not a duration; write 300ms, 2s, 1m30s, or bare seconds -> "),
        ("scalar", [], "must be text or a number or true or false, and is a list -> "),
        ("when", "later", "the text 'later' can not be used here -> "),
    ],
)
def test_every_kind_of_fault_is_told_in_plain_words(key, value, expected):
    assert told({key: value}) == [f"at.{key} {expected}"]


def test_faults_in_lists_and_mappings_have_their_own_path():
    assert told({"listed": [1, "x"], "pairs": {"a": 1, "b": "y"}}) == [
        "at.listed[1] must be a whole number, and is the text 'x' -> ",
        "at.pairs.b must be a whole number, and is the text 'y' -> ",
    ]


def test_each_missing_key_is_a_fault_of_its_own():
    assert told({"executor": "constant-vus"}, ConstantVus) == [
        "at.vus the key 'vus' is missing -> ",
        "at.duration the key 'duration' is missing -> ",
    ]


def test_what_can_be_built_is_built():
    faults = FaultList("p", Places())
    data = build(DataSet, {"file": "a.csv", "mode": "unique"}, (), faults)
    assert data == DataSet(file="a.csv", mode="unique")
    assert len(faults) == 0


def test_keys_are_those_that_people_write():
    assert "uses" not in keys_of(ConstantVus)
    assert "duration" in keys_of(ConstantVus)
    assert {"env", "tags", "files"}.isdisjoint(keys_of(Plan))
    assert keys_of(RequestStep)[:3] == ["name", "headers", "params"]


def test_unknown_keys_are_told_and_left_out():
    faults = FaultList("p", Places())
    kept = refuse_unknown({"a": 1, "vuss": 2, "b": 3}, ["a", "vus"], (), faults, {"b": "b is elsewhere"})
    assert kept == {"a": 1}
    assert [(fault.message, fault.hint) for fault in faults.sorted] == [
        ("unknown key 'vuss'", "did you mean 'vus'?"),
        ("unknown key 'b'", "b is elsewhere"),
    ]


def test_what_is_no_mapping_is_told():
    faults = FaultList("p", Places())
    assert is_mapping({}, (), faults)
    assert not is_mapping([], ("a",), faults, "write a: {}")
    assert [str(fault) for fault in faults.sorted] == ["p: a: must be a mapping (key: value), and is a list"]


def test_values_are_shown_as_their_author_knows_them():
    shown = [show(value) for value in (None, False, 5, 1.5, "a", [], (), {}, b"")]
    assert shown == ["empty", "false", "5", "1.5", "the text 'a'", "a list", "a list", "a mapping", "a bytes"]
