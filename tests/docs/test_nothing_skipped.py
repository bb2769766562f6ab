"""`.ci/run` sets `LOADR_NOTHING_SKIPPED`: there a skipped test is an error, whatever skipped it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent

OF_EACH_KIND = """
import pytest
from support.packages import missing
from support.privileges import refused

def test_that_passes(): pass

def test_that_lacks_a_package(): missing("no-such-package")

def test_that_the_machine_refuses(): refused("namespaces", "EPERM")

@pytest.mark.skipif(True, reason="by a mark")
def test_with_a_mark(): pass

@pytest.mark.xfail(reason="known", strict=True)
def test_that_is_expected_to_fail(): assert False
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Tests of each kind under this very conftest."""
    (tmp_path / "conftest.py").write_text((TESTS / "conftest.py").read_text())
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {TESTS}\n")
    (tmp_path / "test_one.py").write_text(OF_EACH_KIND)
    (tmp_path / "test_two.py").write_text("import pytest\npytest.importorskip('no_such_module')\n")
    return tmp_path


def outcome(folder: Path, *flags: str, strict: bool) -> tuple[int, str]:
    env = {name: value for name, value in os.environ.items() if name != "LOADR_NOTHING_SKIPPED"}
    if strict:
        env["LOADR_NOTHING_SKIPPED"] = "1"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *flags, str(folder)]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_skip_is_only_a_skip_on_a_persons_machine(folder: Path) -> None:
    code, said = outcome(folder, strict=False)
    assert code == 0, said
    assert "1 passed, 4 skipped, 1 xfailed" in said


@pytest.mark.parametrize("flags", [(), ("-n", "2")], ids=["one-process", "xdist"])
def test_every_skip_is_an_error_where_nothing_may_be_skipped(folder: Path, flags: tuple[str, ...]) -> None:
    code, said = outcome(folder, "--continue-on-collection-errors", *flags, strict=True)
    assert code != 0, said
    assert (
        "1 failed, 1 passed, 1 skipped, 1 xfailed, 2 errors" in said
    )  # a mark skips before the test, which makes an error
    assert "needs the Debian package no-such-package: but LOADR_NOTHING_SKIPPED is set" in said
    assert "by a mark: but LOADR_NOTHING_SKIPPED is set" in said
