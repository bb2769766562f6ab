"""The controller's files: manifests, chunks, uploads."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from loadr.coordination.messages import FileRequest
from loadr.errors import ArgumentInvalid, FleetFault
from loadr.plan.model import Plan, PlanFile
from loadr.transport.filestore import FileStore, Uploads
from loadr.transport.sandbox import Sandbox

BIG = os.urandom(200_000)


def make_plan(**contents: bytes) -> Plan:
    files = tuple(
        PlanFile(path=name.replace("_", "."), size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        for name, data in contents.items()
    )
    scenario = {"executor": "constant-vus", "vus": 1, "duration": "1s", "script": "buy.py"}
    return Plan.model_validate({"scenarios": {"s": scenario}, "files": files})


def make_store(folder: Path, **contents: bytes) -> FileStore:
    plan = make_plan(**contents)
    paths = {}
    for file, data in zip(plan.files, contents.values(), strict=True):
        paths[file.path] = folder / file.path
        paths[file.path].write_bytes(data)
    return FileStore.of_folder(plan, paths)


def test_small_files_are_inline_and_large_ones_are_asked_for(tmp_path: Path) -> None:
    small, large = make_store(tmp_path, users_csv=b"name\n", big_bin=BIG).manifest()
    assert (small.path, small.inline) == ("users.csv", b"name\n")
    assert (large.path, large.size_bytes, large.inline) == ("big.bin", 200_000, None)
    assert large.digest == hashlib.sha256(BIG).hexdigest()


def test_inline_files_fit_one_message(tmp_path: Path) -> None:
    manifest = make_store(tmp_path, **{f"f{n}": bytes([n]) * 60_000 for n in range(12)}).manifest()
    sizes = [file.size_bytes for file in manifest if file.inline is not None]
    assert sizes == [60_000] * 8


def test_a_request_is_answered_in_pieces_of_64_kib(tmp_path: Path) -> None:
    store = make_store(tmp_path, big_bin=BIG)
    digest = hashlib.sha256(BIG).hexdigest()
    chunks = list(store.chunks(FileRequest("r", digest, 1000, 150_000)))
    assert [(c.offset, len(c.data)) for c in chunks] == [(1000, 65536), (66536, 65536), (132072, 18928)]
    assert b"".join(c.data for c in chunks) == BIG[1000:151_000]
    assert {(c.run_id, c.digest) for c in chunks} == {("r", digest)}


def test_a_digest_that_is_not_the_plans_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        make_store(tmp_path).read("ab" * 32, 0, 1)


def test_what_a_store_sends_stands_in_the_sandbox(tmp_path: Path) -> None:
    store = make_store(tmp_path, users_csv=b"name\n", big_bin=BIG)
    sandbox = Sandbox(tmp_path / "work", 10**6)
    (missing,) = sandbox.open("r", store.manifest())
    for chunk in store.chunks(FileRequest("r", missing.digest, 0, missing.size_bytes)):
        progress = sandbox.store(chunk)
    assert progress.complete
    assert (sandbox.folder("r") / "big.bin").read_bytes() == BIG


def test_a_small_file_that_changed_is_noticed_at_the_start(tmp_path: Path) -> None:
    store = make_store(tmp_path, users_csv=b"name\n")
    (tmp_path / "users.csv").write_bytes(b"other\n")
    with pytest.raises(FleetFault, match=r"'users\.csv' changed after the plan was loaded"):
        store.manifest()
    (tmp_path / "users.csv").unlink()
    with pytest.raises(FleetFault, match=r"'users\.csv' can not be read: No such file"):
        store.manifest()


def test_a_large_file_that_shrank_or_vanished_reads_as_zeros(tmp_path: Path) -> None:
    store = make_store(tmp_path, big_bin=BIG)
    digest = hashlib.sha256(BIG).hexdigest()
    (tmp_path / "big.bin").write_bytes(b"short")
    assert store.read(digest, 0, 8) == b"short\0\0\0"
    (tmp_path / "big.bin").unlink()
    assert store.read(digest, 0, 3) == b"\0\0\0"


def test_a_name_that_can_not_travel_is_refused_here_already(tmp_path: Path) -> None:
    with pytest.raises(ArgumentInvalid, match="reserved"):
        make_store(tmp_path, nul_csv=b"x")


def test_uploads_give_the_files_of_a_plan(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "uploads", 10**6)
    plan = make_plan(users_csv=b"name\n", big_bin=BIG)
    digests = [file.sha256 for file in plan.files]
    assert not uploads.has(digests[0])
    uploads.put(digests[0], b"name\n")
    assert uploads.has(digests[0])
    with pytest.raises(FleetFault, match=r"does not have big\.bin"):
        uploads.files_of(plan)
    uploads.put(digests[1], BIG)
    store = Uploads(tmp_path / "uploads", 10**6).files_of(plan)
    assert [file.inline for file in store.manifest()] == [b"name\n", None]
    assert store.read(digests[1], 5, 10) == BIG[5:15]


def test_the_uploads_used_longest_ago_make_room(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, 100)
    names = ["aa", "bb", "cc"]
    for age, name in zip((3, 2, 1), names, strict=True):
        uploads.put(name, name.encode() * 20)
        os.utime(tmp_path / name, (10**9 - age, 10**9 - age))
        if name == "bb":
            assert uploads.has("aa")  # used again just now
    assert [uploads.has(name) for name in names] == [True, False, True]
    with pytest.raises(FleetFault, match="over the 100 that the controller keeps"):
        uploads.put("dd", bytes(101))
    assert {path.name for path in tmp_path.iterdir()} == {"aa", "cc"}


def test_an_upload_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> None:
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    uploads = Uploads(tmp_path / "uploads", 10**6)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FleetFault, match="can not keep a file: No space left on device"):
        uploads.put("a" * 64, b"abc")
    assert [path for path in tmp_path.rglob("*") if path.name != "uploads"] == []
