"""The contents that an agent keeps between runs, by digest: bounded, verified at each use, oldest use out first.

Takes contents that were verified on their way in; gives them back only after their digest was computed again: so
a crash needs no fsync, and a script that wrote into its file harms nobody. A content that a run uses has a second
link in that run's folder, and is never removed. Everything here blocks on the disk.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from loadr.coordination.messages import FaultKind, ManifestFile
from loadr.errors import PeerFault
from loadr.units import format_bytes

_STAT_BLOCK_BYTES = 512  # of st_blocks, whatever the file system's own are
LARGER_DISK = "free some space there, or start the agent with a --work-dir on a larger disk"


class SandboxFault(PeerFault):
    """``kind``: FILES (the manifest or what was sent is not acceptable) or DISK (this machine has no room)."""

    def __init__(self, kind: FaultKind, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.kind = kind


@contextlib.contextmanager
def disk_faults(folder: Path) -> Iterator[None]:
    """What the operating system refuses below ``folder`` becomes a `SandboxFault` in its words."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EEXIST):
            message = f"something else stands in the way of a file of the run in {folder}: {error.strerror}"
            hint = "give each agent a --work-dir of its own"
        else:
            message = f"a file of the run can not be stored in {folder}: {error.strerror}"
            hint = LARGER_DISK
        raise SandboxFault(FaultKind.DISK, message, hint=hint) from error


class FileCache:
    """All contents in ``folder``, which belongs to one agent; at most ``quota_bytes`` together."""

    def __init__(self, folder: Path, quota_bytes: int) -> None:
        self._folder = folder
        self._quota_bytes = quota_bytes

    def path(self, digest: str) -> Path:
        """Where the content is, or would be."""
        return self._folder / digest

    def has(self, file: ManifestFile) -> bool:
        """Whether the content is here and intact; it is then used just now. One that is damaged is removed."""
        path = self.path(file.digest)
        if not os.path.lexists(path):
            return False
        with disk_faults(self._folder):
            if path.is_file() and not path.is_symlink() and path.stat().st_size == file.size_bytes:
                with path.open("rb") as content:
                    intact = hashlib.file_digest(content, "sha256").hexdigest() == file.digest
                if intact:
                    os.utime(path, ns=(time.time_ns(),) * 2)
                    return True
            path.unlink()
        return False

    def put(self, path: Path, digest: str) -> None:
        """Take over the file at ``path``, whose digest the caller has checked."""
        with disk_faults(self._folder):
            path.chmod(0o400)
            path.replace(self.path(digest))

    def remove(self, digests: Iterable[str]) -> None:
        """Remove contents that no run uses, if they are here."""
        for digest in digests:
            with contextlib.suppress(OSError):
                if self.path(digest).lstat().st_nlink == 1:
                    self.path(digest).unlink()

    def make_room(self, files: Mapping[str, int], missing: Iterable[str]) -> None:
        """Have room for a run with these contents (sizes by digest), of which ``missing`` are still to come.

        Contents that neither this run wants nor another one uses make room, the oldest use first, as far as the
        quota and the disk ask for it. Raises `SandboxFault` (DISK) when that would not be enough; all stay then.
        """
        needed_bytes = [files[digest] for digest in missing]
        with disk_faults(self._folder):
            cached = [(entry, entry.stat(follow_symlinks=False)) for entry in os.scandir(self._folder)]
        others = [(entry, status) for entry, status in cached if entry.name not in files]
        idle = sorted(
            ((entry, status) for entry, status in others if status.st_nlink == 1),
            key=lambda each: each[1].st_mtime_ns,
        )
        over = sum(files.values()) + sum(status.st_size for _, status in others) - self._quota_bytes
        lacking = self._lacking_bytes(needed_bytes)
        if over > sum(status.st_size for _, status in idle):
            raise SandboxFault(
                FaultKind.DISK,
                f"the files of other runs leave too little of the quota of {format_bytes(self._quota_bytes)}",
                hint="wait until they are over",
            )
        if lacking > sum(status.st_blocks * _STAT_BLOCK_BYTES for _, status in idle):
            raise SandboxFault(
                FaultKind.DISK,
                f"no room for the plan's files in {self._folder.parent}: {format_bytes(sum(needed_bytes))} "
                f"are to come, and {format_bytes(lacking)} of disk space are lacking",
                hint=LARGER_DISK,
            )
        for entry, status in idle:
            if over <= 0 and lacking <= 0:
                return
            with disk_faults(self._folder):
                Path(entry.path).unlink()
            over -= status.st_size
            lacking -= status.st_blocks * _STAT_BLOCK_BYTES

    def _lacking_bytes(self, sizes_bytes: list[int]) -> int:
        """How much more the disk would have to have free for files of these sizes; 0 if they fit."""
        if not sizes_bytes:
            return 0
        with disk_faults(self._folder):
            disk = os.statvfs(self._folder)
        blocks = sum(-(-size // disk.f_frsize) for size in sizes_bytes)
        return max(0, blocks - disk.f_bavail) * disk.f_frsize
