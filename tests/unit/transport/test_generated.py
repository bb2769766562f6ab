"""The generated code is what the `.proto` gives, and the tool says so when it is not."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
TOOL = ROOT / "tools" / "generate_proto.py"


@pytest.fixture
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_proto", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_code_is_what_the_proto_gives(tool: ModuleType) -> None:
    assert tool.main(["--check"]) == 0


def test_drift_is_named_with_the_cure(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tool, "GENERATED", tmp_path)
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    assert tool.main(["--check"]) == 1
    said = capsys.readouterr().err
    assert "coordination_pb2.py, coordination_pb2.pyi" in said
    assert "python tools/generate_proto.py" in said
    assert tool.main([]) == 0
    assert tool.main(["--check"]) == 0


def test_an_unknown_flag_is_refused(tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main(["--force"]) == 2
    assert "--check" in capsys.readouterr().err


def test_the_lowest_protobuf_that_we_accept_can_run_the_generated_code() -> None:
    """Generated code refuses a runtime that is older than the compiler that made it."""
    generated = ROOT / "src" / "loadr" / "transport" / "generated" / "coordination_pb2.py"
    made_by = re.search(r"Protobuf Python Version: ([\d.]+)", generated.read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lowest = next(re.search(r">=([\d.]+)", d) for d in project["dependencies"] if d.startswith("protobuf"))
    assert made_by is not None and lowest is not None

    def numbers(version: str) -> tuple[int, ...]:
        return tuple(int(part) for part in version.split("."))

    assert numbers(lowest[1]) >= numbers(made_by[1])
