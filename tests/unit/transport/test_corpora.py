"""Corpora on an agent's disk: digests are computed once, remembered, and not believed when the file changed."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from loadr.coordination.messages import Corpus
from loadr.errors import ArgumentInvalid, FleetFault
from loadr.plan.model import DataSet, Plan
from loadr.transport import corpora
from loadr.transport.corpora import Corpora
from support.conversation import plan

CONTENT = b"id,name\n1,Ada\n"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "big.csv"
    write(path, CONTENT)
    return path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read for their digest."""
    out: list[Path] = []
    digest = Corpora._digest

    def count(self: Corpora, path: Path) -> str:
        out.append(path)
        return digest(self, path)

    monkeypatch.setattr(Corpora, "_digest", count)
    return out


def write(path: Path, content: bytes) -> None:
    """As if it had been there for a minute."""
    path.write_bytes(content)
    minute_ago_ns = time.time_ns() - 60_000_000_000
    os.utime(path, ns=(minute_ago_ns, minute_ago_ns))


def opened(path: Path, memory: Path | None = None) -> Corpora:
    made = Corpora({"big": path}, memory)
    made.open(lambda _: None)
    return made


def wanting(digest: str, name: str = "big") -> Plan:
    return plan(data={"big": DataSet(corpus=name, sha256=digest, columns=("id", "name"))})


def test_name_size_and_digest_are_announced(file: Path) -> None:
    assert opened(file).announced == (Corpus("big", len(CONTENT), DIGEST),)
    assert Corpora({}).announced == ()


def test_a_restart_remembers_the_digest_of_a_file_that_is_the_same(
    file: Path, tmp_path: Path, reads: list[Path]
) -> None:
    for _ in range(2):
        assert opened(file, tmp_path / "work").announced[0].digest == DIGEST
    assert len(reads) == 1
    opened(file, tmp_path / "elsewhere")
    opened(file, None)
    assert len(reads) == 3


@pytest.mark.parametrize("change", ["size", "time", "inode"])
def test_a_file_that_changed_is_read_again(file: Path, tmp_path: Path, reads: list[Path], change: str) -> None:
    opened(file, tmp_path / "work")
    if change == "size":
        write(file, CONTENT + b"2,Alan\n")
    elif change == "time":
        os.utime(file, ns=(5, 5))
    else:
        other = tmp_path / "other"
        write(other, CONTENT)
        os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
        other.replace(file)
    found = opened(file, tmp_path / "work").announced[0]
    assert found.digest == hashlib.sha256(file.read_bytes()).hexdigest()
    assert len(reads) == 2


def test_a_file_that_was_written_just_now_is_not_remembered(
    file: Path, tmp_path: Path, reads: list[Path]
) -> None:
    """It could be written once more within the same tick of its modification time."""
    in_a_minute_ns = time.time_ns() + 60_000_000_000
    os.utime(file, ns=(in_a_minute_ns, in_a_minute_ns))
    for _ in range(2):
        opened(file, tmp_path / "work")
    assert len(reads) == 2


@pytest.mark.parametrize("memory", [b"", b"{", b"5", b"[[1]]", b'{"a": 1}'])
def test_a_memory_that_is_damaged_is_an_empty_one(file: Path, tmp_path: Path, memory: bytes) -> None:
    (tmp_path / corpora.MEMORY).write_bytes(memory)
    assert opened(file, tmp_path).announced[0].digest == DIGEST


def test_a_memory_that_can_not_be_written_is_none(file: Path) -> None:
    assert opened(file, file / "below a file").announced[0].digest == DIGEST


@pytest.mark.parametrize(("path", "why"), [("gone.csv", "No such file"), (".", "no ordinary file")])
def test_a_path_that_is_no_file_is_an_invalid_argument(tmp_path: Path, path: str, why: str) -> None:
    with pytest.raises(ArgumentInvalid, match=f"the corpus 'big' can not be read at .*{why}"):
        opened(tmp_path / path)


def test_the_disk_is_looked_at_again_when_a_run_is_prepared(file: Path) -> None:
    held = opened(file)
    assert held.faults(wanting(DIGEST)) == []
    assert held.faults(plan()) == []
    (missing,) = held.faults(wanting(DIGEST, "bigger"))
    assert missing.startswith("it has no corpus 'bigger'")
    write(file, b"other")
    (other,) = held.faults(wanting(DIGEST))
    assert f"sha256 {hashlib.sha256(b'other').hexdigest()}, and the plan wants {DIGEST}" in other
    file.unlink()
    (gone,) = held.faults(wanting(DIGEST))
    assert gone == f"the corpus 'big' can not be read at {file}: No such file or directory"


def test_a_link_is_followed_once_when_it_is_opened(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "latest"
    link.symlink_to(file)
    assert opened(link).path("big") == file


def test_reading_ends_when_it_is_no_longer_wanted(file: Path) -> None:
    held = Corpora({"big": file})
    held.close()
    with pytest.raises(FleetFault, match="stopped while the corpora were read"):
        held.open(lambda _: None)


def test_what_takes_long_is_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora, "_TOLD_BYTES", 10)
    told: list[str] = []
    Corpora({"big": file}).open(told.append)
    assert told == ["reading the corpus big (14 B) for its digest"]
