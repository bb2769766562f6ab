"""The cache of an agent: verified at each use, bounded, the oldest use goes first, and never what a run uses."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from loadr.coordination.messages import FaultKind, ManifestFile
from loadr.transport.cache import FileCache, SandboxFault


class Shelf:
    """A cache and what is put into it."""

    def __init__(self, root: Path, quota_bytes: int = 100) -> None:
        self.folder = root / "objects"
        self.folder.mkdir()
        self.cache = FileCache(self.folder, quota_bytes)

    def put(self, letter: str, size: int) -> ManifestFile:
        content = letter.encode() * size
        file = ManifestFile(letter, size, hashlib.sha256(content).hexdigest())
        incoming = self.folder.parent / "incoming"
        incoming.write_bytes(content)
        self.cache.put(incoming, file.digest)
        return file

    @property
    def held(self) -> set[str]:
        return {path.read_text()[:1] for path in self.folder.iterdir()}


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_what_was_put_is_there(shelf: Shelf) -> None:
    file = shelf.put("a", 10)
    assert shelf.cache.has(file)
    assert not shelf.cache.has(ManifestFile("b", 1, "0" * 64))


@pytest.mark.parametrize("damage", [b"b" * 10, b"a" * 9, b""])
def test_a_damaged_content_is_noticed_and_removed(shelf: Shelf, damage: bytes) -> None:
    file = shelf.put("a", 10)
    path = shelf.cache.path(file.digest)
    path.chmod(0o600)
    path.write_bytes(damage)
    assert not shelf.cache.has(file)
    assert shelf.held == set()


def test_the_content_whose_last_use_is_oldest_makes_room(shelf: Shelf) -> None:
    a, _, c = shelf.put("a", 40), shelf.put("b", 40), shelf.put("c", 20)
    assert shelf.cache.has(a) and shelf.cache.has(c)
    shelf.cache.make_room({"new": 30}, ["new"])
    assert shelf.held == {"a", "c"}
    shelf.cache.make_room({"new": 60}, ["new"])
    assert shelf.held == {"c"}


def test_contents_that_a_run_uses_stay_and_the_fault_says_why(shelf: Shelf, tmp_path: Path) -> None:
    used = shelf.put("a", 60)
    shelf.put("b", 10)
    os.link(shelf.cache.path(used.digest), tmp_path / "in a run")
    with pytest.raises(SandboxFault, match="other runs leave too little of the quota of 100 B") as caught:
        shelf.cache.make_room({"new": 50}, ["new"])
    assert caught.value.kind is FaultKind.DISK
    assert shelf.held == {"a", "b"}, "nothing is given up for a run that can not be"
    shelf.cache.make_room({"new": 40}, ["new"])
    shelf.cache.remove([used.digest])
    assert shelf.held == {"a"}


def test_contents_that_the_run_wants_are_not_removed_for_it(shelf: Shelf) -> None:
    a = shelf.put("a", 60)
    shelf.put("b", 40)
    shelf.cache.make_room({a.digest: 60, "new": 40}, ["new"])
    assert shelf.held == {"a"}


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets how many blocks of 4 KiB the disk has free."""

    def say(blocks: int) -> None:
        monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_frsize=4096, f_bavail=blocks))

    return say


def test_more_than_the_disk_has_is_refused_before_anything_comes(
    tmp_path: Path, free: Callable[[int], None]
) -> None:
    shelf = Shelf(tmp_path, quota_bytes=2**60)
    shelf.put("a", 10)
    free(2)
    with pytest.raises(SandboxFault, match=r"no room .*: 12\.3 kB are to come, and 12\.3 kB of disk") as caught:
        shelf.cache.make_room({"new": 8193, "more": 4097}, ["new", "more"])
    assert caught.value.kind is FaultKind.DISK
    assert "--work-dir on a larger disk" in caught.value.hint
    assert shelf.held == {"a"}
    shelf.cache.make_room({"new": 8192, "here": 2**50}, ["new"])
    assert shelf.held == {"a"}


def test_old_contents_make_room_on_a_disk_that_is_full(tmp_path: Path, free: Callable[[int], None]) -> None:
    """What is lacking on the disk, and not only the quota, drives out what no run uses."""
    shelf = Shelf(tmp_path, quota_bytes=2**60)
    for letter in "abc":
        shelf.put(letter, 10)
    free(0)
    shelf.cache.make_room({"new": 8000}, ["new"])
    assert shelf.held == {"c"}
