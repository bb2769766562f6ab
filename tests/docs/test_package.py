"""What `pip install .` puts on a machine: the wheel holds everything that is read at run time."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile

import pytest

from docs.markdown import ROOT

SOURCE = ROOT / "src" / "loadr"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built from a copy: what an earlier build left in the tree must not get in."""
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", ".", "."]
    subprocess.run(command, cwd=folder, check=True, timeout=100)
    (made,) = folder.glob("*.whl")
    return zipfile.ZipFile(made)


def test_the_wheel_holds_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    files = {path for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {"py.typed", "report.html", "report.css"} <= {path.name for path in files}
    expected = {f"loadr/{path.relative_to(SOURCE)}" for path in files}
    assert {name for name in wheel.namelist() if name.startswith("loadr/")} == expected


def test_it_is_pure_python_with_the_command_and_the_licence(wheel: zipfile.ZipFile) -> None:
    (info,) = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    assert "Root-Is-Purelib: true" in wheel.read(f"{info}/WHEEL").decode()
    assert "loadr = loadr.cli:main" in wheel.read(f"{info}/entry_points.txt").decode()
    assert f"{info}/licenses/LICENSE" in wheel.namelist()
    metadata = wheel.read(f"{info}/METADATA").decode()
    assert "Requires-Python: >=3.11" in metadata and "License-Expression: Apache-2.0" in metadata
