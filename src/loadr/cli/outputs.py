"""The files that a run leaves behind: checked before the run, written after it."""

from __future__ import annotations

import os
from pathlib import Path

from loadr.errors import ArgumentInvalid


def check_writable(path: Path, flag: str) -> None:
    """Raises `ArgumentInvalid` if ``path`` can not be written later: better now than after an hour of load."""
    folder = path.parent
    if path.is_dir():
        raise ArgumentInvalid(f"{flag} {path}: this is a folder", hint="name a file in it")
    if not folder.is_dir():
        raise ArgumentInvalid(f"{flag} {path}: the folder {folder} does not exist", hint=f"mkdir -p {folder}")
    probe = path if path.exists() else folder
    if not os.access(probe, os.W_OK):
        raise ArgumentInvalid(f"{flag} {path}: {probe} can not be written to", hint="choose another place")


def write_output(path: Path, data: bytes, flag: str) -> None:
    """The whole file, or an `ArgumentInvalid` that says why not. A regular file is replaced in one step."""
    try:
        if path.exists() and not path.is_file():  # /dev/stdout, a named pipe
            path.write_bytes(data)
            return
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_bytes(data)
        draft.replace(path)
    except OSError as fault:
        raise ArgumentInvalid(f"{flag} {path}: {fault.strerror}", hint="choose another place") from fault
