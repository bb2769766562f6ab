"""The files of runs on an agent: nothing is written outside one folder, nothing is seen before it is verified.

Takes the manifest of a run and chunks, gives a folder in which every file stands under its own path::

    root/objects/<sha256>          verified contents, read-only; hard links, so that runs share them
    root/incoming/<n>              contents on their way
    root/runs/<run id>/<path>      one link for each file of a run

Contents stay for later runs until the quota needs their room. A cached content is hashed again before it is used:
so a crash needs no fsync, and a script that wrote into its file harms nobody. Everything here blocks on the disk.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from loadr.coordination.messages import FaultKind, FileChunk, ManifestFile
from loadr.errors import PeerFault
from loadr.transport.names import find_fault

MAX_FILES = 1000
_RUN_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class SandboxFault(PeerFault):
    """``kind``: FILES (the manifest or what was sent is not acceptable) or DISK (this machine has no room)."""

    def __init__(self, kind: FaultKind, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class ChunkProgress:
    """``next_offset``: where the next chunk of this file is to begin. ``complete``: the file is verified."""

    next_offset: int
    complete: bool


@dataclass(slots=True)
class _Incoming:
    """A content of which ``received`` bytes have come. ``file`` is open between the first and the last."""

    name: str  # of the first file with this content
    size_bytes: int
    path: Path
    file: IO[bytes] | None = None
    received: int = 0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)


@dataclass(slots=True)
class _Run:
    files: tuple[ManifestFile, ...]
    incoming: dict[str, _Incoming]  # by digest


class Sandbox:
    """All files of all runs under ``root``, which belongs to one agent. ``quota_bytes`` holds for each manifest
    and for what is stored in all.

    What an earlier process left of runs is removed. Raises `SandboxFault` (DISK) when ``root`` can not be used.
    """

    def __init__(self, root: Path, quota_bytes: int) -> None:
        self._quota_bytes = quota_bytes
        self._objects = root / "objects"
        self._incoming = root / "incoming"
        self._runs_folder = root / "runs"
        self._runs: dict[str, _Run] = {}
        self._last_incoming = 0
        with _disk_faults():
            for left in (self._incoming, self._runs_folder):
                shutil.rmtree(left, ignore_errors=True)
            for folder in (self._objects, self._incoming, self._runs_folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def open(self, run_id: str, files: Sequence[ManifestFile]) -> list[ManifestFile]:
        """Begin a run (again): check the manifest, store what it brings, give what must still be sent.

        Of several files with one content only the first is in the list. Raises `SandboxFault`; nothing of the
        run is kept then.
        """
        self._check_manifest(run_id, files)
        self.forget(run_id)
        with _disk_faults():
            (self._runs_folder / run_id).mkdir(mode=0o700)
        run = self._runs[run_id] = _Run(tuple(files), {})
        try:
            self._make_room(files)
            for file in _one_per_digest(files):
                if not self._has(file):
                    self._last_incoming += 1
                    path = self._incoming / str(self._last_incoming)
                    run.incoming[file.digest] = _Incoming(file.path, file.size_bytes, path)
            for file in files:
                if file.digest in run.incoming and (file.inline is not None or file.size_bytes == 0):
                    self._write(run, file.digest, file.inline or b"")
            with _disk_faults():
                for file in files:
                    if file.digest not in run.incoming:
                        self._link(run_id, file)
        except SandboxFault:
            self.forget(run_id)
            raise
        return [file for file in _one_per_digest(files) if file.digest in run.incoming]

    def store(self, chunk: FileChunk) -> ChunkProgress:
        """Take the next bytes of a missing file. Raises `SandboxFault`: not asked for, not the next ones, too
        many, or a digest that does not match; what was received of the file is dropped then."""
        run = self._runs.get(chunk.run_id)
        if run is None or chunk.digest not in run.incoming:
            raise SandboxFault(FaultKind.FILES, f"a chunk came for {chunk.digest[:12]}…, which is not missing")
        incoming = run.incoming[chunk.digest]
        if chunk.offset != incoming.received:
            raise SandboxFault(
                FaultKind.FILES,
                f"a chunk of {incoming.name!r} came at offset {chunk.offset}, not at {incoming.received}",
            )
        complete = self._write(run, chunk.digest, chunk.data)
        if complete:
            with _disk_faults():
                for file in run.files:
                    if file.digest == chunk.digest:
                        self._link(chunk.run_id, file)
        return ChunkProgress(incoming.received, complete)

    def folder(self, run_id: str) -> Path:
        """Where the files of an open run stand. Raises `KeyError` for another run."""
        if run_id not in self._runs:
            raise KeyError(run_id)
        return self._runs_folder / run_id

    def forget(self, run_id: str) -> None:
        """Remove the files of a run; contents stay cached. A run that is not open is no fault."""
        run = self._runs.pop(run_id, None)
        if run is None:
            return
        for incoming in run.incoming.values():
            self._drop(incoming)
        shutil.rmtree(self._runs_folder / run_id, ignore_errors=True)

    # --- checks before anything is written ------------------------------------------------------------------

    def _check_manifest(self, run_id: str, files: Sequence[ManifestFile]) -> None:
        if not _RUN_ID.fullmatch(run_id):
            raise SandboxFault(FaultKind.FILES, f"{run_id!r} can not be the name of a run's folder")
        if len(files) > MAX_FILES:
            raise SandboxFault(FaultKind.FILES, f"the plan has {len(files)} files; at most {MAX_FILES} are taken")
        if fault := find_fault(file.path for file in files):
            raise SandboxFault(FaultKind.FILES, fault)
        total_bytes = sum(file.size_bytes for file in files)
        if total_bytes > self._quota_bytes:
            raise SandboxFault(
                FaultKind.FILES,
                f"the plan's files have {total_bytes} bytes; the quota here is {self._quota_bytes}",
            )
        sizes: dict[str, int] = {}
        for file in files:
            if not _DIGEST.fullmatch(file.digest):
                raise SandboxFault(FaultKind.FILES, f"{file.path!r} has no SHA-256 in lower-case hex")
            if file.inline is not None and len(file.inline) != file.size_bytes:
                raise SandboxFault(
                    FaultKind.FILES,
                    f"{file.path!r} is announced with {file.size_bytes} bytes and has {len(file.inline)}",
                )
            if sizes.setdefault(file.digest, file.size_bytes) != file.size_bytes:
                raise SandboxFault(FaultKind.FILES, f"{file.path!r} has the digest of a file of another size")

    # --- contents -------------------------------------------------------------------------------------------

    def _has(self, file: ManifestFile) -> bool:
        """Whether the content is here and intact. One that is damaged is removed."""
        path = self._objects / file.digest
        if not os.path.lexists(path):
            return False
        with _disk_faults():
            if path.is_file() and not path.is_symlink() and path.stat().st_size == file.size_bytes:
                with path.open("rb") as content:
                    if hashlib.file_digest(content, "sha256").hexdigest() == file.digest:
                        return True
            path.unlink()
        return False

    def _write(self, run: _Run, digest: str, data: bytes) -> bool:
        """Append; whether the content is now complete, verified and stored. On a fault it is dropped."""
        incoming = run.incoming[digest]
        try:
            if incoming.received + len(data) > incoming.size_bytes:
                raise SandboxFault(FaultKind.FILES, f"more came of {incoming.name!r} than was announced")
            with _disk_faults():
                incoming.file = incoming.file or incoming.path.open("xb")
                incoming.file.write(data)
            incoming.digest.update(data)
            incoming.received += len(data)
            if incoming.received < incoming.size_bytes:
                return False
            if incoming.digest.hexdigest() != digest:
                raise SandboxFault(
                    FaultKind.FILES,
                    f"{incoming.name!r} is not what the plan says: its digest differs",
                    hint="did it change after the run was started?",
                )
            with _disk_faults():
                incoming.file.close()
                incoming.path.chmod(0o400)
                incoming.path.replace(self._objects / digest)
        except SandboxFault:
            self._drop(run.incoming.pop(digest))
            raise
        del run.incoming[digest]
        return True

    def _drop(self, incoming: _Incoming) -> None:
        with contextlib.suppress(OSError):
            if incoming.file is not None:
                incoming.file.close()
            incoming.path.unlink(missing_ok=True)

    def _make_room(self, files: Sequence[ManifestFile]) -> None:
        """Remove cached contents that no run uses (their only link is the cache's) while over the quota."""
        wanted = {file.digest: file.size_bytes for file in files}
        with _disk_faults():
            cached = [(entry, entry.stat(follow_symlinks=False)) for entry in os.scandir(self._objects)]
        held = sum(status.st_size for entry, status in cached if entry.name not in wanted)
        held += sum(wanted.values())
        for entry, status in sorted(cached, key=lambda each: each[1].st_mtime_ns):
            if held <= self._quota_bytes:
                return
            if entry.name not in wanted and status.st_nlink == 1:
                with _disk_faults():
                    Path(entry.path).unlink()
                held -= status.st_size
        if held > self._quota_bytes:
            raise SandboxFault(
                FaultKind.DISK,
                f"the files of other runs leave too little of the quota of {self._quota_bytes} bytes",
            )

    def _link(self, run_id: str, file: ManifestFile) -> None:
        """Let the content be seen under its path. Folders are opened one by one without following links."""
        *folders, name = file.path.split("/")
        at = os.open(self._runs_folder / run_id, _DIRECTORY)
        try:
            for folder in folders:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(folder, 0o700, dir_fd=at)
                inner = os.open(folder, _DIRECTORY, dir_fd=at)
                os.close(at)
                at = inner
            os.link(self._objects / file.digest, name, dst_dir_fd=at, follow_symlinks=False)
        finally:
            os.close(at)


def _one_per_digest(files: Iterable[ManifestFile]) -> Iterable[ManifestFile]:
    first: dict[str, ManifestFile] = {}
    for file in files:
        first.setdefault(file.digest, file)
    return first.values()


@contextlib.contextmanager
def _disk_faults() -> Iterator[None]:
    """What the operating system refuses becomes a `SandboxFault` in its words."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EEXIST):
            message = f"something else stands in the way of a file of the run: {error.strerror}"
        else:
            message = f"a file of the run can not be stored: {error.strerror}"
        raise SandboxFault(FaultKind.DISK, message, hint="see the agent's --work-dir") from error
