import os
from pathlib import Path

import pytest

from loadr.cli.outputs import check_writable, write_output
from loadr.errors import ArgumentInvalid


def test_a_place_that_can_be_written_is_not_touched_by_the_check(tmp_path: Path) -> None:
    check_writable(tmp_path / "x.json", "--summary-export")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_and_a_missing_folder_are_refused_with_the_flag(tmp_path: Path) -> None:
    with pytest.raises(ArgumentInvalid, match=r"--report .*: this is a folder"):
        check_writable(tmp_path, "--report")
    with pytest.raises(ArgumentInvalid, match=r"--report .*/no/x.html: the folder .* does not exist"):
        check_writable(tmp_path / "no" / "x.html", "--report")


def test_what_may_not_be_written_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ArgumentInvalid, match="can not be written"):
        check_writable(tmp_path / "x.html", "--report")


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("a longer text than the next")
    write_output(path, b"new", "--summary-export")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_device_is_written_and_not_replaced() -> None:
    check_writable(Path("/dev/null"), "--report")
    write_output(Path("/dev/null"), b"x", "--report")
    assert Path("/dev/null").is_char_device()


def test_a_write_that_fails_is_told_with_its_cause(tmp_path: Path) -> None:
    with pytest.raises(ArgumentInvalid, match=r"--report .*: No such file or directory"):
        write_output(tmp_path / "gone" / "x.html", b"x", "--report")
