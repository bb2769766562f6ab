"""The way down of plan and files: assignments, and which file requests may be answered.

Takes a run request, gives the manifest with small files inline; larger ones are asked for in pieces. Says of a
`FileRequest` whether it is one that an agent of this run may make.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from loadr.coordination.controller_io import RunRequest
from loadr.coordination.messages import Assignment, FileRequest, ManifestFile
from loadr.masking import NO_SECRETS
from loadr.plan.files import MAX_FILES, MAX_TOTAL_BYTES
from loadr.units import format_bytes

MAX_PLAN_BYTES = 1024 * 1024
MAX_SECRETS_BYTES = 64 * 1024
INLINE_FILE_BYTES = 64 * 1024
INLINE_BYTES = 512 * 1024  # of all files of an assignment
MAX_REQUEST_BYTES = 1024 * 1024


class Downlink:
    """Of one run. ``fault`` says in words why it can not be sent; empty if it can."""

    def __init__(self, request: RunRequest) -> None:
        self._run_id = request.run_id
        self._plan_json = request.plan.canonical_json()
        self._plan_digest = request.plan.digest
        self._sizes = {file.digest: file.size_bytes for file in request.files}
        self._files = _inline(request.files)
        self._secrets = request.secrets
        self.fault = ""
        total = sum(file.size_bytes for file in request.files)
        if len(self._plan_json) > MAX_PLAN_BYTES:
            self.fault = f"the plan has {format_bytes(len(self._plan_json))}; at most 1 MiB can be sent to agents"
        elif sum(len(name) + len(value) for name, value in request.secrets.items()) > MAX_SECRETS_BYTES:
            self.fault = "the secrets have more than 64 KiB in all"
        elif len(request.files) > MAX_FILES:
            self.fault = f"the plan has {len(request.files)} files; at most {MAX_FILES} can be sent to agents"
        elif total > MAX_TOTAL_BYTES:
            self.fault = f"the plan's files have {format_bytes(total)}; at most 64 MiB can be sent to agents"

    @property
    def digests(self) -> Set[str]:
        """Of all files: what an agent has that has prepared this run."""
        return self._sizes.keys()

    def assignment(self, generation: int, prepare_timeout_ns: int, held: Set[str] = frozenset()) -> Assignment:
        """What an agent is to prepare. ``held``: digests that it had before, and so need not come inline; if they
        have left its cache since, it asks for them."""
        files = tuple(
            replace(file, inline=None) if file.inline and file.digest in held else file for file in self._files
        )
        return Assignment(
            self._run_id,
            generation,
            self._plan_json,
            self._plan_digest,
            files,
            prepare_timeout_ns,
            self._secrets,
        )

    def forget_secrets(self) -> None:
        """The run is over: nobody is to prepare it any more."""
        self._secrets = NO_SECRETS

    def refusal(self, request: FileRequest) -> str:
        """Why a request must not be answered; empty if it may."""
        size = self._sizes.get(request.digest)
        if size is None:
            return f"file {request.digest[:12]}… does not belong to run {self._run_id}"
        if request.offset < 0 or not (0 < request.length <= MAX_REQUEST_BYTES):
            return f"{request.length} bytes from {request.offset} on can not be asked for"
        if request.offset + request.length > size:
            return f"file {request.digest[:12]}… has {size} bytes, not {request.offset + request.length}"
        return ""


def _inline(files: tuple[ManifestFile, ...]) -> tuple[ManifestFile, ...]:
    """Inline bytes only of small files, and only as long as all of them fit one message. Empty files always."""
    room = INLINE_BYTES
    out = []
    for file in files:
        if file.size_bytes == 0:
            file = replace(file, inline=b"")
        elif file.inline is not None and (len(file.inline) > INLINE_FILE_BYTES or len(file.inline) > room):
            file = replace(file, inline=None)
        room -= len(file.inline or b"")
        out.append(file)
    return tuple(out)
