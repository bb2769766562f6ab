import json
from pathlib import Path

from loadr.cli import main

BROKEN = """\
name: checkout
scenarios:
  browse:
    executor: constant-vus
    vuss: 2
    duration: soon
    flow:
      - request: { get: "http://127.0.0.1:1/items" }
"""


def test_a_valid_plan_is_told_in_one_line(capsys, plan_file: Path) -> None:
    assert main(["validate", str(plan_file)]) == 0
    out = capsys.readouterr().out
    assert out == f"{plan_file}: valid. checkout: 1 scenario, 1s, 0 files\n"


def test_a_valid_plan_is_told_to_programs(capsys, plan_file: Path) -> None:
    assert main(["validate", str(plan_file), "--format", "json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {"valid": True, "faults": [], "name": "checkout"}


def test_all_faults_are_told_at_once_with_their_places(capsys, plan_file: Path) -> None:
    plan_file.write_text(BROKEN)
    assert main(["validate", str(plan_file)]) == 104
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{plan_file}:5:" in captured.err and f"{plan_file}:6:" in captured.err
    assert "Traceback" not in captured.err


def test_all_faults_are_told_to_programs_on_stdout(capsys, plan_file: Path) -> None:
    plan_file.write_text(BROKEN)
    assert main(["validate", str(plan_file), "--format", "json"]) == 104
    answer = json.loads(capsys.readouterr().out)
    assert not answer["valid"]
    assert {5, 6} <= {fault["line"] for fault in answer["faults"]}
    assert {"file", "line", "column", "path", "message", "hint"} == answer["faults"][0].keys()


def test_a_missing_plan_is_one_clear_message(capsys, tmp_path: Path) -> None:
    assert main(["validate", str(tmp_path / "no.yaml")]) == 104
    err = capsys.readouterr().err
    assert "no.yaml" in err and "Traceback" not in err
