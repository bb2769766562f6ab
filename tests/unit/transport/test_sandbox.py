"""The sandbox: what the manifest says and nothing else, verified, inside, within the quota."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadr.coordination.messages import FaultKind, FileChunk, ManifestFile
from loadr.transport.cache import SandboxFault
from loadr.transport.sandbox import ChunkProgress, Sandbox

QUOTA = 1_000_000
BIG = bytes(range(256)) * 600  # 153,600 bytes: three chunks


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def inline(path: str, data: bytes) -> ManifestFile:
    return ManifestFile(path, len(data), digest_of(data), data)


def remote(path: str, data: bytes) -> ManifestFile:
    return ManifestFile(path, len(data), digest_of(data), None)


def chunks_of(data: bytes, run_id: str = "r1", size: int = 65536) -> list[FileChunk]:
    return [
        FileChunk(run_id, digest_of(data), offset, data[offset : offset + size])
        for offset in range(0, len(data), size)
    ]


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path / "work", QUOTA)


def test_inline_files_stand_under_their_paths_at_once(sandbox: Sandbox) -> None:
    assert sandbox.open("r1", [inline("plan.yaml", b"x"), inline("data/deep/users.csv", b"name\nada\n")]) == []
    assert everything_in(sandbox.folder("r1")) == {"plan.yaml": b"x", "data/deep/users.csv": b"name\nada\n"}


def test_a_large_file_is_asked_for_and_seen_only_once_it_is_complete(sandbox: Sandbox) -> None:
    files = [remote("big.bin", BIG), inline("small", b"s")]
    assert sandbox.open("r1", files) == [files[0]]
    first, second, third = chunks_of(BIG)
    assert sandbox.store(first) == ChunkProgress(65536, False)
    assert sandbox.store(second) == ChunkProgress(131072, False)
    assert set(everything_in(sandbox.folder("r1"))) == {"small"}
    assert sandbox.store(third) == ChunkProgress(len(BIG), True)
    assert everything_in(sandbox.folder("r1")) == {"small": b"s", "big.bin": BIG}


def test_files_with_one_content_are_asked_for_once(sandbox: Sandbox) -> None:
    files = [remote("a.bin", BIG), remote("b/c.bin", BIG)]
    assert sandbox.open("r1", files) == files[:1]
    for chunk in chunks_of(BIG):
        sandbox.store(chunk)
    assert everything_in(sandbox.folder("r1")) == {"a.bin": BIG, "b/c.bin": BIG}


def test_an_empty_file_needs_no_transfer(sandbox: Sandbox) -> None:
    assert sandbox.open("r1", [remote("empty", b"")]) == []
    assert everything_in(sandbox.folder("r1")) == {"empty": b""}


def test_contents_are_kept_for_later_runs_and_processes(tmp_path: Path) -> None:
    first = Sandbox(tmp_path, QUOTA)
    first.open("r1", [remote("big.bin", BIG)])
    for chunk in chunks_of(BIG):
        first.store(chunk)
    first.forget("r1")
    assert first.open("r2", [remote("other.bin", BIG)]) == []
    first.close()
    second = Sandbox(tmp_path, QUOTA)
    assert not (tmp_path / "runs" / "r2").exists()
    assert second.open("r3", [remote("big.bin", BIG)]) == []
    assert everything_in(second.folder("r3")) == {"big.bin": BIG}


def test_a_kept_content_that_was_damaged_is_asked_for_again(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, QUOTA)
    sandbox.open("r1", [inline("a", b"good")])
    stored = tmp_path / "objects" / digest_of(b"good")
    stored.chmod(0o600)
    stored.write_bytes(b"evil")
    sandbox.forget("r1")
    file = remote("a", b"good")
    assert sandbox.open("r2", [file]) == [file]
    sandbox.store(FileChunk("r2", file.digest, 0, b"good"))
    assert everything_in(sandbox.folder("r2")) == {"a": b"good"}


def test_opening_a_run_again_begins_anew(sandbox: Sandbox) -> None:
    sandbox.open("r1", [remote("big.bin", BIG), inline("old", b"o")])
    sandbox.store(chunks_of(BIG)[0])
    assert len(sandbox.open("r1", [remote("big.bin", BIG)])) == 1
    assert everything_in(sandbox.folder("r1")) == {}
    assert sandbox.store(chunks_of(BIG)[0]) == ChunkProgress(65536, False)


def test_forgetting_removes_the_folder_and_what_was_half_received(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, QUOTA)
    sandbox.open("r1", [remote("big.bin", BIG), inline("small", b"s")])
    sandbox.store(chunks_of(BIG)[0])
    sandbox.forget("r1")
    sandbox.forget("r1")
    assert set(everything_in(tmp_path)) == {f"objects/{digest_of(b's')}"}
    with pytest.raises(KeyError):
        sandbox.folder("r1")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([inline("../evil", b"x")], "leads out"),
        ([inline("/evil", b"x")], "absolute"),
        ([inline("e\0vil", b"x")], "can not be seen"),
        ([inline("a", b"x"), inline("A", b"y")], "collide"),
        ([inline(f"f{n}", b"") for n in range(1000)], "1001 files"),
        ([remote("a", bytes(QUOTA)), inline("b", b"x")], "the quota here is 1 MB"),
        ([ManifestFile("a", 2**62, "ab" * 32)], "the quota here is 1 MB"),
        ([ManifestFile("a", 3, digest_of(b"x"), b"x")], "announced with 3 bytes and has 1"),
        ([ManifestFile("a", 1, "../../evil", b"x")], "no SHA-256"),
        ([ManifestFile("a", 1, "ab" * 32), ManifestFile("b", 2, "ab" * 32)], "of another size"),
        ([ManifestFile("a", 1, digest_of(b"y"), b"x")], "its digest differs"),
        ([ManifestFile("a", 0, digest_of(b"y"))], "its digest differs"),
    ],
)
def test_a_manifest_that_is_not_acceptable_leaves_nothing(
    tmp_path: Path, files: list[ManifestFile], words: str
) -> None:
    sandbox = Sandbox(tmp_path / "work", QUOTA)
    with pytest.raises(SandboxFault, match=words) as caught:
        sandbox.open("r1", [inline("good", b""), *files])
    assert caught.value.kind is FaultKind.FILES
    assert set(everything_in(tmp_path)) <= {f"work/objects/{digest_of(b'')}"}
    with pytest.raises(KeyError):
        sandbox.folder("r1")


@pytest.mark.parametrize("run_id", ["", ".", "..", "../r", "a/b", "a\0b", "r" * 129, "-r"])
def test_a_run_id_that_can_not_be_a_folder_is_refused(sandbox: Sandbox, run_id: str) -> None:
    with pytest.raises(SandboxFault, match="can not be the name of a run's folder"):
        sandbox.open(run_id, [])


@pytest.mark.parametrize(
    ("chunk", "words"),
    [
        (FileChunk("r1", digest_of(BIG), 1, b"x"), "at offset 1, not at 0"),
        (FileChunk("r1", digest_of(b"other"), 0, b"x"), "which is not missing"),
        (FileChunk("r2", digest_of(BIG), 0, b"x"), "which is not missing"),
        (FileChunk("r1", digest_of(BIG), 0, BIG + b"x"), "more came of 'big.bin' than was announced"),
        (FileChunk("r1", digest_of(BIG), 0, BIG[:-1] + b"x"), "its digest differs"),
    ],
)
def test_a_chunk_that_was_not_asked_for_is_refused(sandbox: Sandbox, chunk: FileChunk, words: str) -> None:
    sandbox.open("r1", [remote("big.bin", BIG)])
    with pytest.raises(SandboxFault, match=words) as caught:
        sandbox.store(chunk)
    assert caught.value.kind is FaultKind.FILES
    assert everything_in(sandbox.folder("r1")) == {}


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    sandbox = Sandbox(tmp_path / "work", QUOTA)
    sandbox.open("r1", [remote("data/users.csv", b"abc")])
    (sandbox.folder("r1") / "data").symlink_to(outside)
    with pytest.raises(SandboxFault, match="stands in the way") as caught:
        sandbox.store(FileChunk("r1", digest_of(b"abc"), 0, b"abc"))
    assert caught.value.kind is FaultKind.DISK
    assert everything_in(outside) == {}


def test_a_file_in_the_way_is_not_overwritten(tmp_path: Path, sandbox: Sandbox) -> None:
    sandbox.open("r1", [remote("users.csv", b"abc")])
    mine = tmp_path / "mine"
    mine.write_bytes(b"mine")
    (sandbox.folder("r1") / "users.csv").hardlink_to(mine)
    with pytest.raises(SandboxFault, match="stands in the way"):
        sandbox.store(FileChunk("r1", digest_of(b"abc"), 0, b"abc"))
    assert mine.read_bytes() == b"mine"


def test_a_kept_content_that_is_a_link_is_not_trusted(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"abc")
    sandbox = Sandbox(tmp_path / "work", QUOTA)
    (tmp_path / "work" / "objects" / digest_of(b"abc")).symlink_to(secret)
    file = remote("a", b"abc")
    assert sandbox.open("r1", [file]) == [file]
    assert secret.read_bytes() == b"abc"


def test_contents_of_no_run_make_room_and_those_of_a_run_stay(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, 100)
    sandbox.open("old", [inline("a", b"a" * 60)])
    sandbox.forget("old")
    sandbox.open("now", [inline("b", b"b" * 60)])
    assert set(everything_in(tmp_path / "objects")) == {digest_of(b"b" * 60)}
    with pytest.raises(SandboxFault, match="the files of other runs leave too little") as caught:
        sandbox.open("next", [inline("c", b"c" * 60)])
    assert caught.value.kind is FaultKind.DISK
    assert everything_in(sandbox.folder("now")) == {"b": b"b" * 60}


def test_a_disk_that_fills_up_is_left_as_it_was(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    sandbox.open("r1", [inline("first", b"xyz"), remote("a", b"abc")])
    with monkeypatch.context() as broken, pytest.raises(SandboxFault, match="No space left on device") as caught:
        broken.setattr(Path, "open", full)
        sandbox.store(FileChunk("r1", digest_of(b"abc"), 0, b"abc"))
    assert caught.value.kind is FaultKind.DISK
    assert "--work-dir on a larger disk" in caught.value.hint
    assert everything_in(tmp_path) == {}, "what had come for the run is gone, too"


def test_a_folder_belongs_to_one_agent_at_a_time(tmp_path: Path) -> None:
    first = Sandbox(tmp_path, QUOTA)
    first.open("r1", [inline("a", b"a")])
    with pytest.raises(SandboxFault, match="another agent uses the folder") as caught:
        Sandbox(tmp_path, QUOTA)
    assert "a --work-dir of its own" in caught.value.hint
    assert everything_in(first.folder("r1")) == {"a": b"a"}
    first.close()
    Sandbox(tmp_path, QUOTA)


def test_a_root_that_can_not_be_made_is_a_fault_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SandboxFault) as caught:
        Sandbox(tmp_path / "file" / "work", QUOTA)
    assert caught.value.kind is FaultKind.DISK


hostile_parts = st.one_of(st.sampled_from(["..", ".", "", "a", "A", "b", "C:", "nul"]), st.text(max_size=3))
hostile_paths = st.lists(hostile_parts, min_size=1, max_size=4).map("/".join)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(hostile_paths, st.binary(max_size=4), max_size=4))
def test_whatever_the_names_are_nothing_is_written_outside(
    tmp_path_factory: pytest.TempPathFactory, contents: dict[str, bytes]
) -> None:
    base = tmp_path_factory.mktemp("base")
    sandbox = Sandbox(base / "work", QUOTA)
    try:
        assert sandbox.open("r1", [inline(path, data) for path, data in contents.items()]) == []
    except SandboxFault:
        assert not (base / "work" / "runs" / "r1").exists()
    else:
        assert everything_in(sandbox.folder("r1")) == contents
    assert {p.name for p in base.iterdir()} == {"work"}
    assert {p.name for p in (base / "work").iterdir()} == {"objects", "incoming", "runs"}


def test_a_file_of_the_machine_is_seen_in_a_run_and_stays_when_the_run_is_forgotten(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    corpus = tmp_path / "big.csv"
    corpus.write_bytes(b"id")
    sandbox.open("r1", [inline("corpora/other", b"x")])
    sandbox.link("r1", "corpora/big", corpus)
    assert everything_in(sandbox.folder("r1")) == {"corpora/big": b"id", "corpora/other": b"x"}
    with pytest.raises(SandboxFault, match="stands in the way"):
        sandbox.link("r1", "corpora/other", corpus)
    sandbox.forget("r1")
    assert corpus.read_bytes() == b"id"


def test_the_root_may_be_a_link_to_a_larger_disk(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "work").symlink_to("disk")
    sandbox = Sandbox(tmp_path / "work", QUOTA)
    sandbox.open("r1", [inline("a", b"x")])
    assert everything_in(tmp_path / "disk" / "runs") == {"r1/a": b"x"}
