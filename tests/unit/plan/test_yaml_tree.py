from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadr.errors import PlanInvalid
from loadr.plan.faults import Place
from loadr.plan.yaml_tree import parse_yaml


def value_of(text: str) -> object:
    return parse_yaml(text.encode(), "p.yaml")[0]


def faults_of(content: str | bytes) -> list[str]:
    with pytest.raises(PlanInvalid) as caught:
        parse_yaml(content if isinstance(content, bytes) else content.encode(), "p.yaml")
    return [f"{fault} -> {fault.hint}".removeprefix("p.yaml:") for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        ("-12_000", -12000),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.5e3", 1500.0),
        (".inf", math.inf),
        ("true", True),
        ("yes", "yes"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("~", None),
        ("null", None),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("a: [1, {b: c}]", {"a": [1, {"b": "c"}]}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("\ufeffa: 1", {"a": 1}),
        ("a: |\n  one\n  two\n", {"a": "one\ntwo\n"}),
        ('{"json": ["is", "yaml", 1]}', {"json": ["is", "yaml", 1]}),
    ],
)
def test_values_are_those_of_yaml_1_2(text, expected):
    assert value_of(text) == expected


def test_not_a_number_is_a_number():
    assert math.isnan(value_of(".nan"))  # type: ignore[arg-type]


def test_every_key_and_value_has_its_place():
    _, places = parse_yaml(b"a:\n  - b: { c: 1,\n         d: 'x' }\n", "p.yaml")
    assert places.values[()] == Place("p.yaml", 1, 1)
    assert places.keys[("a",)] == Place("p.yaml", 1, 1)
    assert places.values[("a", 0)] == Place("p.yaml", 2, 5)
    assert places.keys[("a", 0, "b", "c")] == Place("p.yaml", 2, 10)
    assert places.values[("a", 0, "b", "c")] == Place("p.yaml", 2, 13)
    assert places.keys[("a", 0, "b", "d")] == Place("p.yaml", 3, 10)
    assert places.values[("a", 0, "b", "d")] == Place("p.yaml", 3, 13)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", ["1:1: the plan is empty -> a plan needs at least the key scenarios"]),
        ("# nothing", ["1:1: the plan is empty -> a plan needs at least the key scenarios"]),
        (
            "a: [1\nb: 2",
            ["2:2: this is not YAML: expected ',' or ']', but got ':' -> "],
        ),
        (
            "a: [1",
            [
                "1:6: this is not YAML: expected ',' or ']', but got the end of the file"
                " -> a bracket or brace above is not closed"
            ],
        ),
        (
            "a: b: c",
            ['1:5: this is not YAML: mapping values are not allowed here -> put text that holds ": " in quotes'],
        ),
        (
            "a:\n\t- b",
            [
                "2:1: this is not YAML: found character '\\t' that cannot start any token"
                " -> indent with spaces, not with tabs"
            ],
        ),
        ("a: *x", ["1:4: this is not YAML: found undefined alias 'x' -> "]),
        (
            "a: 1\n---\nb: 2",
            ["2:1: this is not YAML: found another document -> a plan is one document: remove the ---"],
        ),
        (
            "a: 1\nb: 2\na: 3\nb: { c: 1, c: 2 }",
            [
                "3:1: a: the key 'a' is given twice -> it stands in line 1 already",
                "4:1: b: the key 'b' is given twice -> it stands in line 2 already",
            ],
        ),
        ("b: { c: 1, c: 2 }", ["1:12: b.c: the key 'c' is given twice -> it stands in line 1 already"]),
        ("1: a", ['1:1: a key must be text -> write "1" in quotes']),
        ("? [1]\n: a", ["1:3: a key must be text -> write it in quotes"]),
        ("a: !x 1\nb: !!python/name:os.system ''", ["1:4: a: the tag !x is not allowed -> remove the tag"]),
        ("a: !!binary aGk=", ["1:4: a: the tag tag:yaml.org,2002:binary is not allowed -> remove the tag"]),
        ("a: !!set { b }", ["1:4: a: the tag tag:yaml.org,2002:set is not allowed -> remove the tag"]),
        (
            "a: !!int x",
            ["1:4: a: this is not a value of the type int -> remove the tag, or write fewer digits"],
        ),
        (
            "a: " + "9" * 5000,
            ["1:4: a: this is not a value of the type int -> remove the tag, or write fewer digits"],
        ),
        (
            'a: "\\ud800"',
            [r"1:4: a: this text holds half of a surrogate pair -> write it as \U0001F600"],
        ),
        (
            "a: x\nb: \x01",
            [
                "2:4: this is not YAML: a control character stands here"
                " -> remove it, or write it as an escape in double quotes"
            ],
        ),
        (b"a: 1\nb: \xff", ["2:1: this is not UTF-8 text -> save the file as UTF-8"]),
        ("[" * 5000, ["1:65: this is not YAML: too many levels -> at most 64 levels are read"]),
    ],
)
def test_each_fault_of_the_text_is_told_with_its_place(content, expected):
    assert faults_of(content)[:1] == expected[:1]
    assert len(faults_of(content)) >= len(expected)


def test_nesting_is_bounded():
    assert value_of("[" * 64 + "]" * 64)
    (fault,) = faults_of("[" * 65 + "]" * 65)
    assert fault == "1:65: this is not YAML: too many levels -> at most 64 levels are read"


def test_aliases_can_not_blow_a_plan_up():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    (fault,) = faults_of("\n".join(lines))
    assert "the plan has more than 200,000 values -> use fewer aliases" in fault


def test_an_alias_to_itself_is_refused():
    assert any("nested too deeply" in fault for fault in faults_of("&a [ *a ]"))


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=80)
    | st.text(alphabet="ab1:-[]{}\"'#&*!|>%@`?, \n\t~.<", max_size=60).map(str.encode)
    | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
def test_any_bytes_are_read_or_refused_in_words(content):
    try:
        parse_yaml(content, "p.yaml")
    except PlanInvalid as error:
        assert error.faults
        assert all(fault.message for fault in error.faults)
