"""The folder of an agent: one at a time; what killed agents left is removed, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadr.transport.cache import SandboxFault
from loadr.transport.work_folder import PREFIX, lock_folder, temporary_folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary folders are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path


def aged(folder: Path) -> Path:
    an_hour_ago = time.time() - 3600
    os.utime(folder, (an_hour_ago, an_hour_ago))
    return folder


def test_a_folder_is_locked_until_its_descriptor_is_closed(tmp_path: Path) -> None:
    lock = lock_folder(tmp_path)
    with pytest.raises(SandboxFault, match="another agent uses the folder"):
        lock_folder(tmp_path)
    os.close(lock)
    os.close(lock_folder(tmp_path))


def test_the_folder_of_an_agent_that_was_killed_is_removed_by_the_next(place: Path) -> None:
    killed = temporary_folder()
    (killed / "objects").mkdir()
    code = (
        "import sys, pathlib, loadr.transport.work_folder as w;"
        "w.lock_folder(pathlib.Path(sys.argv[1])); print('in', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(killed)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as agent:
        assert agent.stdout is not None and agent.stdout.readline() == b"in\n"
        aged(killed)
        temporary_folder()
        assert killed.exists(), "its agent lives"
        agent.kill()
        agent.wait()
    aged(killed)
    fresh = temporary_folder()
    assert not killed.exists() and fresh.is_dir()


def test_what_is_young_or_no_folder_of_ours_stays(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    young = place / f"{PREFIX}young"
    young.mkdir()
    elsewhere = aged(tmp_path_factory.mktemp("elsewhere"))
    (place / f"{PREFIX}link").symlink_to(elsewhere)
    (place / f"{PREFIX}file").write_text("")
    os.utime(place / f"{PREFIX}file", (0, 0))
    other = aged(Path(tempfile.mkdtemp(prefix="somebody-")))
    temporary_folder()
    assert young.exists() and elsewhere.exists() and other.exists() and (place / f"{PREFIX}file").exists()
