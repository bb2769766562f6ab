"""The files of runs on an agent: nothing is written outside one folder, nothing is seen before it is verified.

Takes the manifest of a run and chunks, gives a folder in which every file stands under its own path::

    root/objects/<sha256>          verified contents, read-only; hard links, so that runs share them
    root/incoming/<n>              contents on their way
    root/runs/<run id>/<path>      one link for each file of a run, and for each corpus that it reads

Contents stay for later runs, see `loadr.transport.cache`. Everything here blocks on the disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from loadr.coordination.messages import FaultKind, FileChunk, ManifestFile
from loadr.plan.files import MAX_FILES
from loadr.plan.names import find_fault
from loadr.transport.cache import FileCache, SandboxFault, disk_faults
from loadr.transport.work_folder import lock_folder
from loadr.units import format_bytes

_RUN_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


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
    incoming: dict[str, _Incoming] = field(default_factory=dict)  # by digest
    brought: set[str] = field(default_factory=set)  # contents that came for this run


class Sandbox:
    """All files of all runs under ``root``, which one agent holds until `close`. ``quota_bytes`` holds for each
    manifest and for what is stored in all.

    What an earlier process left of runs is removed. Raises `SandboxFault` (DISK) when ``root`` can not be used.
    """

    def __init__(self, root: Path, quota_bytes: int) -> None:
        self._root = root
        self._quota_bytes = quota_bytes
        self._cache = FileCache(root / "objects", quota_bytes)
        self._incoming = root / "incoming"
        self._runs_folder = root / "runs"
        self._runs: dict[str, _Run] = {}
        self._last_incoming = 0
        with disk_faults(root):
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = lock_folder(root)
            for left in (self._incoming, self._runs_folder):
                shutil.rmtree(left, ignore_errors=True)
            for folder in (root / "objects", self._incoming, self._runs_folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def close(self) -> None:
        """Another agent may use the folder from here on."""
        os.close(self._lock)

    def open(self, run_id: str, files: Sequence[ManifestFile]) -> list[ManifestFile]:
        """Begin a run (again): check the manifest, store what it brings, give what must still be sent.

        Of several files with one content only the first is in the list. Raises `SandboxFault`; nothing of the
        run is kept then.
        """
        self._check_manifest(run_id, files)
        self.forget(run_id)
        with disk_faults(self._root):
            (self._runs_folder / run_id).mkdir(mode=0o700)
        run = self._runs[run_id] = _Run(tuple(files))
        try:
            unique = _one_per_digest(files)
            missing = [file for file in unique if not self._cache.has(file)]
            self._cache.make_room(
                {file.digest: file.size_bytes for file in unique}, [file.digest for file in missing]
            )
            for file in missing:
                self._last_incoming += 1
                path = self._incoming / str(self._last_incoming)
                run.incoming[file.digest] = _Incoming(file.path, file.size_bytes, path)
            for file in files:
                if file.digest in run.incoming and (file.inline is not None or file.size_bytes == 0):
                    self._write(run, file.digest, file.inline or b"")
            with disk_faults(self._root):
                for file in files:
                    if file.digest not in run.incoming:
                        self._link(run_id, file)
        except SandboxFault as fault:
            self._give_up(run_id, fault)
            raise
        return [file for file in unique if file.digest in run.incoming]

    def store(self, chunk: FileChunk) -> ChunkProgress:
        """Take the next bytes of a missing file. Raises `SandboxFault`: not asked for, not the next ones, too
        many, or a digest that does not match; what was received of the file is dropped then. After a fault of
        the disk the whole run is forgotten, with the contents that came for it."""
        run = self._runs.get(chunk.run_id)
        if run is None or chunk.digest not in run.incoming:
            raise SandboxFault(FaultKind.FILES, f"a chunk came for {chunk.digest[:12]}…, which is not missing")
        incoming = run.incoming[chunk.digest]
        if chunk.offset != incoming.received:
            raise SandboxFault(
                FaultKind.FILES,
                f"a chunk of {incoming.name!r} came at offset {chunk.offset}, not at {incoming.received}",
            )
        try:
            complete = self._write(run, chunk.digest, chunk.data)
            if complete:
                with disk_faults(self._root):
                    for file in run.files:
                        if file.digest == chunk.digest:
                            self._link(chunk.run_id, file)
        except SandboxFault as fault:
            if fault.kind is FaultKind.DISK:
                self._give_up(chunk.run_id, fault)
            raise
        return ChunkProgress(incoming.received, complete)

    def link(self, run_id: str, name: str, target: Path) -> None:
        """Let a file of this machine be seen in the folder of an open run, by a symbolic link. Raises
        `SandboxFault` (DISK)."""
        with disk_faults(self._root):
            self._put(run_id, name, lambda last, at: os.symlink(target, last, dir_fd=at))

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

    def _give_up(self, run_id: str, fault: SandboxFault) -> None:
        """A disk that is full is left as it was."""
        brought = self._runs[run_id].brought
        self.forget(run_id)
        if fault.kind is FaultKind.DISK:
            self._cache.remove(brought)

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
                f"the plan's files have {format_bytes(total_bytes)}; the quota here is "
                f"{format_bytes(self._quota_bytes)}",
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

    def _write(self, run: _Run, digest: str, data: bytes) -> bool:
        """Append; whether the content is now complete, verified and stored. On a fault it is dropped."""
        incoming = run.incoming[digest]
        try:
            if incoming.received + len(data) > incoming.size_bytes:
                raise SandboxFault(FaultKind.FILES, f"more came of {incoming.name!r} than was announced")
            with disk_faults(self._root):
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
            with disk_faults(self._root):
                incoming.file.close()
            self._cache.put(incoming.path, digest)
        except SandboxFault:
            self._drop(run.incoming.pop(digest))
            raise
        del run.incoming[digest]
        run.brought.add(digest)
        return True

    def _drop(self, incoming: _Incoming) -> None:
        with contextlib.suppress(OSError):
            if incoming.file is not None:
                incoming.file.close()
            incoming.path.unlink(missing_ok=True)

    def _link(self, run_id: str, file: ManifestFile) -> None:
        """Let the content be seen under its path."""
        content = self._cache.path(file.digest)
        self._put(
            run_id, file.path, lambda last, at: os.link(content, last, dst_dir_fd=at, follow_symlinks=False)
        )

    def _put(self, run_id: str, path: str, make: Callable[[str, int], None]) -> None:
        """``make`` the last part of ``path`` in its folder. Folders are opened one by one, links not followed."""
        *folders, name = path.split("/")
        at = os.open(self._runs_folder / run_id, _DIRECTORY)
        try:
            for folder in folders:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(folder, 0o700, dir_fd=at)
                inner = os.open(folder, _DIRECTORY, dir_fd=at)
                os.close(at)
                at = inner
            make(name, at)
        finally:
            os.close(at)


def _one_per_digest(files: Iterable[ManifestFile]) -> list[ManifestFile]:
    first: dict[str, ManifestFile] = {}
    for file in files:
        first.setdefault(file.digest, file)
    return list(first.values())
