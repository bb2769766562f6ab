"""The table of failures is true: each row has its tests, they exist, and no fault test is left out."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from docs.markdown import ROOT

PAGE = (ROOT / "docs" / "reference" / "failures.md").read_text()
ROWS = re.findall(r"^\| (\d+[a-z]?) \|(.*)\|([^|]*)\|$", PAGE, re.MULTILINE)
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
EXPECTED = ["1", "1b", "1c", *(str(number) for number in range(2, 41))]


@cache
def names_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text())
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


def test_every_row_is_there_once_and_in_order() -> None:
    assert [number for number, _, _ in ROWS] == EXPECTED
    assert len(re.findall(r"^\| \d", PAGE, re.MULTILINE)) == len(ROWS)


@pytest.mark.parametrize(("number", "tests"), [(number, tests) for number, _, tests in ROWS])
def test_a_row_names_tests_that_exist(number: str, tests: str) -> None:
    named = NAMED.findall(tests)
    assert named, f"row {number} has no test"
    assert NAMED.sub("", tests).strip() == "", "something else stands among the tests"
    missing = [f"{path}::{name}" for path, name in named if name not in existing(path)]
    assert missing == []


def existing(path: str) -> frozenset[str]:
    return names_in(ROOT / path) if (ROOT / path).exists() else frozenset()


def test_every_fault_test_has_its_row() -> None:
    named = {f"{path}::{name}" for path, name in NAMED.findall(PAGE)}
    files = sorted((ROOT / "tests" / "faults").glob("test_*.py"))
    assert len(files) >= 10
    assert {f"tests/faults/{file.name}::{name}" for file in files for name in names_in(file)} <= named
