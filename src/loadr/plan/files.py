"""The files that travel with a plan: names made safe, found, measured, hashed.

Takes names as the plan writes them and gives paths below the plan's folder; refuses, in words, what could not be
put in place on an agent: absolute names, names that leave the folder, names that differ only in case, and more
than 64 MiB in all.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from difflib import get_close_matches
from pathlib import Path

from loadr.plan.model import PlanFile

MAX_TOTAL_BYTES = 64 * 1024 * 1024
_DRIVE = re.compile(r"[A-Za-z]:")


class FileRefused(ValueError):
    """A file that can not travel with the plan."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class PlanFiles:
    """The files of one plan, gathered one by one; adding one twice is adding it once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths: dict[str, Path] = {}
        self._listed: dict[str, PlanFile] = {}
        self._total_bytes = 0

    @property
    def listed(self) -> tuple[PlanFile, ...]:
        """By name, so that the same plan has the same digest."""
        return tuple(self._listed[path] for path in sorted(self._listed))

    def locate(self, name: str) -> tuple[str, Path]:
        """The normal form of a name relative to the folder, and where the file is. Raises `FileRefused`."""
        if not name.strip():
            raise FileRefused("a file is not named", "write its name, relative to the folder of the plan")
        if "\\" in name or any(ord(char) < 32 or "\ud800" <= char <= "\udfff" for char in name):
            raise FileRefused(f"{name!r} can not be the name of a file", "use / between folders, and plain text")
        relative = posixpath.normpath(name)
        if name.startswith("/") or _DRIVE.match(name):
            raise FileRefused(f"{name} is an absolute path", "name it relative to the folder of the plan")
        if relative == ".." or relative.startswith("../"):
            raise FileRefused(f"{name} leaves the folder of the plan", "put the file beside the plan or below it")
        path = self.folder / relative
        try:
            if path.is_file():
                return relative, path
            if path.is_dir():
                raise FileRefused(f"{relative} is a folder", "name a file in it")
        except OSError as error:
            raise FileRefused(f"{relative} can not be read: {error.strerror}") from None
        raise FileRefused(f"there is no file {relative}", near_names(path))

    def add(self, relative: str, path: Path) -> None:
        """Take one located file along. Raises `FileRefused`."""
        if relative in self._listed:
            return
        for other in self._listed:
            if other.lower() == relative.lower():
                raise FileRefused(f"{relative} and {other} differ in case only", "rename one of them")
        try:
            size = path.stat().st_size
            if self._total_bytes + size > MAX_TOTAL_BYTES:
                raise FileRefused(
                    f"with {relative} ({size:,} bytes) the files of the plan are over the quota of "
                    f"{MAX_TOTAL_BYTES // 1024**2} MiB",
                    "make the data smaller",
                )
            content = path.read_bytes()
        except OSError as error:
            raise FileRefused(f"{relative} can not be read: {error.strerror}", "check its permissions") from None
        self._total_bytes += len(content)
        self._listed[relative] = PlanFile(
            path=relative, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest()
        )
        self.paths[relative] = path


def near_names(path: Path) -> str:
    """A hint for a file that is not there: names like it in its folder, or what the folder holds of its kind."""
    folder = path.parent
    try:
        if not folder.is_dir():
            return f"the folder {folder.name} does not exist"
        names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    except OSError:
        return ""
    if near := get_close_matches(path.name, names, n=3, cutoff=0.7):
        return f"did you mean {' or '.join(near)}?"
    if alike := [name for name in names if name.endswith(path.suffix) and path.suffix][:5]:
        return f"in its folder: {', '.join(alike)}"
    return f"its folder has no {path.suffix or 'such'} file"
