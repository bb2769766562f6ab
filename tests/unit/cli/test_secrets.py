"""Values of secrets come from variables and a file, and what is wrong is told without them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadr.cli.secrets import find_secrets
from loadr.errors import ArgumentInvalid
from loadr.plan.model import Plan


def plan(header: str) -> Plan:
    flow = [{"request": {"method": "GET", "url": "http://x/", "headers": {"a": header}}}]
    scenario = {"executor": "constant-vus", "vus": 1, "duration": "1s", "flow": flow}
    return Plan.model_validate({"scenarios": {"s": scenario}})


def test_variables_go_with_plans_that_name_them_and_asked_ones_always(monkeypatch) -> None:
    for name in ("A", "B", "C"):
        monkeypatch.setenv(f"LOADR_SECRET_{name}", f"value-{name}")
    found = find_secrets(["B"], None)
    assert found.names == ("A", "B", "C")
    assert found.given_to(plan("${secret.A}")) == {"A": "value-A", "B": "value-B"}
    assert "value" not in repr(found)
    assert "LOADR_SECRET_A" not in os.environ


def test_a_file_gives_lines_and_a_variable_goes_before_it(monkeypatch, tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text("# comment\n\nA=x=y z \nB = spaced\n")
    monkeypatch.setenv("LOADR_SECRET_B", "variable")
    assert find_secrets([], file).given_to(plan("")) == {"A": "x=y z ", "B": " spaced"}
    monkeypatch.setenv("LOADR_SECRET_B", "variable")
    assert find_secrets(["B"], file).given_to(plan(""))["B"] == "variable"


def test_what_was_asked_for_and_is_not_there_is_named() -> None:
    with pytest.raises(ArgumentInvalid, match="no value for --secret KEY") as caught:
        find_secrets(["KEY"], None)
    assert "export LOADR_SECRET_KEY" in caught.value.hint


@pytest.mark.parametrize("line", ["hunter2", "1x=hunter2", "a b=hunter2", "=hunter2"])
def test_a_line_that_is_none_is_named_and_not_shown(tmp_path: Path, line: str) -> None:
    file = tmp_path / "secrets"
    file.write_text(f"OK=fine\n{line}\n")
    with pytest.raises(ArgumentInvalid, match="line 2 of") as caught:
        find_secrets([], file)
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_what_can_not_be_kept_secret_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text("PIN=123\n")
    with pytest.raises(ArgumentInvalid, match=r"secret\.PIN has under 4 characters") as caught:
        find_secrets([], file).given_to(plan(""))
    assert "123" not in caught.value.message
    file.write_bytes(b"A=\xff\xff\xff\xff\n")
    with pytest.raises(ArgumentInvalid, match="is not UTF-8"):
        find_secrets([], file)
