"""The files of plans on the controller: from a plan's folder, or uploaded ahead of it.

Takes a plan and where its files stand, gives the manifest for the agents and the chunks that they ask for.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from loadr.coordination.downlink import INLINE_BYTES, INLINE_FILE_BYTES
from loadr.coordination.messages import FileChunk, FileRequest, ManifestFile
from loadr.errors import ArgumentInvalid, FleetFault
from loadr.plan.model import Plan
from loadr.plan.names import find_fault
from loadr.transport.codec import MAX_CHUNK_BYTES


class FileStore:
    """The files of one plan. Nothing is read before it is needed; what changed on disk in the meantime does not
    match its digest at the agents, which say so."""

    def __init__(self, plan: Plan, paths: Mapping[str, Path]) -> None:
        self._files = plan.files
        self._paths = dict(paths)  # by digest

    @classmethod
    def of_folder(cls, plan: Plan, files: Mapping[str, Path]) -> FileStore:
        """``files``: where each of the plan's files stands, by its path in the plan. Raises `ArgumentInvalid` for
        a name that can not travel."""
        if fault := find_fault(file.path for file in plan.files):
            raise ArgumentInvalid(fault, hint="rename it, in the plan and on disk")
        return cls(plan, {file.sha256: files[file.path] for file in plan.files})

    def manifest(self) -> tuple[ManifestFile, ...]:
        """All files, small ones with their bytes as long as these fit one message. Raises `FleetFault` when one
        of these can not be read."""
        room = INLINE_BYTES
        out = []
        for file in self._files:
            inline = None
            if file.size_bytes <= min(room, INLINE_FILE_BYTES):
                inline = self._read_whole(file.path, file.sha256)
                room -= file.size_bytes
            out.append(ManifestFile(file.path, file.size_bytes, file.sha256, inline))
        return tuple(out)

    def read(self, digest: str, offset: int, length: int) -> bytes:
        """``length`` bytes, zeros where the file has become shorter or can not be read any more: the agent's
        check of the digest is the one place where a file that changed is noticed. Raises `KeyError` for a digest
        that is not the plan's."""
        path = self._paths[digest]
        try:
            with path.open("rb") as file:
                data = os.pread(file.fileno(), length, offset)
        except OSError:
            data = b""
        return data.ljust(length, b"\0")

    def chunks(self, request: FileRequest) -> Iterator[FileChunk]:
        """What was asked for, in pieces of at most 64 KiB."""
        end = request.offset + request.length
        for offset in range(request.offset, end, MAX_CHUNK_BYTES):
            data = self.read(request.digest, offset, min(MAX_CHUNK_BYTES, end - offset))
            yield FileChunk(request.run_id, request.digest, offset, data)

    def _read_whole(self, name: str, digest: str) -> bytes:
        try:
            data = self._paths[digest].read_bytes()
        except OSError as error:
            raise FleetFault(f"the plan's file {name!r} can not be read: {error.strerror}") from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise FleetFault(f"the plan's file {name!r} changed after the plan was loaded", hint="start it again")
        return data


class Uploads:
    """Contents that came ahead of their plans, by digest, in a folder of their own; at most ``quota_bytes``.

    The oldest make room for new ones. What an earlier process left there is used again.
    """

    def __init__(self, folder: Path, quota_bytes: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._quota_bytes = quota_bytes

    def has(self, digest: str) -> bool:
        """Whether the content is here; it then counts as used just now."""
        try:
            os.utime(self._folder / digest)
        except FileNotFoundError:
            return False
        return True

    def put(self, digest: str, data: bytes) -> None:
        """Keep ``data``, whose SHA-256 the caller has checked. Raises `FleetFault` when there is no room."""
        if len(data) > self._quota_bytes:
            raise FleetFault(
                f"a file of {len(data)} bytes is over the {self._quota_bytes} that the controller keeps"
            )
        try:
            self._make_room(len(data))
            with tempfile.TemporaryDirectory(dir=self._folder.parent, prefix="incoming-") as aside:
                file = Path(aside) / digest
                file.write_bytes(data)
                file.replace(self._folder / digest)
        except OSError as error:
            raise FleetFault(f"the controller can not keep a file: {error.strerror}") from None

    def files_of(self, plan: Plan) -> FileStore:
        """The plan's files. Raises `FleetFault` when some were not uploaded, `ArgumentInvalid` for a bad name."""
        missing = [file.path for file in plan.files if not self.has(file.sha256)]
        if missing:
            raise FleetFault(f"the controller does not have {', '.join(missing)}", hint="upload them first")
        return FileStore.of_folder(plan, {file.path: self._folder / file.sha256 for file in plan.files})

    def _make_room(self, size_bytes: int) -> None:
        kept = sorted((path.stat().st_mtime_ns, path.stat().st_size, path) for path in self._folder.iterdir())
        held = size_bytes + sum(size for _, size, _ in kept)
        for _, size, path in kept:
            if held <= self._quota_bytes:
                return
            path.unlink()
            held -= size
