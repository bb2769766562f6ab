"""The files of one run on their way to an agent: which bytes to ask for next.

Takes the manifest entries that are missing and what was received; gives `FileRequest`s. A request is the credit:
nothing is sent that was not asked for, so at most one window is under way, whatever the sizes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from loadr.coordination.messages import FileChunk, FileRequest, ManifestFile

MAX_CHUNK_BYTES = 64 * 1024
WINDOW_BYTES = 4 * MAX_CHUNK_BYTES


class Transfer:
    """One file at a time, in the order of the manifest."""

    def __init__(self, run_id: str, files: Iterable[ManifestFile]) -> None:
        self._run_id = run_id
        unique = {file.digest: file for file in files}
        self._waiting = deque(unique.values())
        self._received = 0  # of the first file
        self._requested = 0

    @property
    def is_complete(self) -> bool:
        return not self._waiting

    def request(self) -> FileRequest | None:
        """What to ask for now: up to a window ahead of what was received, in pieces of at least half a window."""
        if not self._waiting:
            return None
        file = self._waiting[0]
        end = min(file.size_bytes, self._received + WINDOW_BYTES)
        length = end - self._requested
        if length <= 0 or (length < WINDOW_BYTES // 2 and end < file.size_bytes):
            return None
        request = FileRequest(self._run_id, file.digest, self._requested, length)
        self._requested = end
        return request

    def accept(self, chunk: FileChunk) -> bool:
        """Whether this chunk is the next one that was asked for; it counts as received then."""
        if not self._waiting or chunk.digest != self._waiting[0].digest or chunk.offset != self._received:
            return False
        if not 0 < len(chunk.data) <= MAX_CHUNK_BYTES or chunk.offset + len(chunk.data) > self._requested:
            return False
        self._received += len(chunk.data)
        return True

    def complete(self, digest: str) -> None:
        """The file is stored and its digest was right: on to the next one."""
        if self._waiting and self._waiting[0].digest == digest:
            self._waiting.popleft()
            self._received = self._requested = 0

    def restart(self) -> None:
        """The link broke: what was asked for and has not come is to be asked for again."""
        self._requested = self._received
