"""The files that travel with a plan: names made safe, found, measured, hashed.

Takes names as the plan writes them and gives paths below the plan's folder; refuses, in words, what could not be
put in place on an agent: absolute names, names and symbolic links that leave the folder, names that differ in
case only, and more than the quota (1000 files, 64 MiB in all). A link that stays in the folder travels as what it
points to.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import stat
from difflib import get_close_matches
from pathlib import Path

from loadr.plan.model import PlanFile
from loadr.plan.names import fold, path_fault

MAX_FILES = 1000
MAX_TOTAL_BYTES = 64 * 1024 * 1024
_DRIVE = re.compile(r"[A-Za-z]:")
_ELSEWHERE = "larger data can stand on the agents' disks: declare it as a corpus"


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
        self._resolved = folder.resolve()
        self._sizes: dict[str, int] = {}
        self._folded: dict[str, str] = {}

    def locate(self, name: str) -> tuple[str, Path]:
        """The normal form of a name relative to the folder, and where the file is. Raises `FileRefused`."""
        check_spelling(name)
        relative = posixpath.normpath(name)
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
        """Take one file along; what it holds is read by `listed`. Raises `FileRefused`."""
        if relative in self.paths:
            return
        self._check_name(relative)
        self._check_link(relative, path)
        try:
            status = path.stat()
        except OSError as error:
            raise FileRefused(f"{relative} can not be read: {error.strerror}", "check its permissions") from None
        if not stat.S_ISREG(status.st_mode):
            raise FileRefused(f"{relative} is no ordinary file", "only files can travel")
        if status.st_size > MAX_TOTAL_BYTES:
            raise FileRefused(
                f"{relative} has {status.st_size:,} bytes; the quota of all files is {_quota()}", _ELSEWHERE
            )
        self.paths[relative] = path
        self._sizes[relative] = status.st_size
        self._folded[fold(relative)] = relative

    def reserve(self, relative: str) -> None:
        """Something that does not travel will stand there on agents. Raises `FileRefused` if a file does."""
        other = self._folded.setdefault(fold(relative), relative)
        if other != relative or other in self.paths:
            raise FileRefused(f"{other} stands where {relative} will be on agents", "rename it")

    def check_quota(self) -> None:
        """Raises `FileRefused` when all files together are too many or too large."""
        if len(self._sizes) > MAX_FILES:
            raise FileRefused(
                f"the plan has {len(self._sizes):,} files; at most {MAX_FILES:,} can travel", _ELSEWHERE
            )
        total_bytes = sum(self._sizes.values())
        if total_bytes > MAX_TOTAL_BYTES:
            largest = sorted(self._sizes, key=lambda name: -self._sizes[name])[:3]
            named = ", ".join(f"{name} ({self._sizes[name]:,} bytes)" for name in largest)
            raise FileRefused(
                f"the files of the plan have {total_bytes:,} bytes; the quota is {_quota()}; "
                f"the largest: {named}",
                _ELSEWHERE,
            )

    def listed(self) -> tuple[PlanFile, ...]:
        """Size and digest of each, by name, so that the same plan has the same digest. Raises `FileRefused`."""
        out = []
        for relative in sorted(self.paths):
            try:
                content = self.paths[relative].read_bytes()
            except OSError as error:
                raise FileRefused(
                    f"{relative} can not be read: {error.strerror}", "check its permissions"
                ) from None
            digest = hashlib.sha256(content).hexdigest()
            out.append(PlanFile(path=relative, size_bytes=len(content), sha256=digest))
        return tuple(out)

    def _check_name(self, relative: str) -> None:
        if fault := path_fault(relative):
            raise FileRefused(f"the file name {relative[:100]!r} {fault}", "rename it")
        other = self._folded.get(fold(relative))
        if other is not None and other not in self.paths:
            raise FileRefused(f"{relative} stands where {other} will be on agents", "rename it")
        if other is not None:
            raise FileRefused(f"{relative} and {other} differ in case only", "rename one of them")

    def _check_link(self, relative: str, path: Path) -> None:
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError):
            if path.is_symlink():
                raise FileRefused(f"{relative} is a symbolic link to nothing", "remove it") from None
            return  # whoever reads it says what is wrong
        if not real.is_relative_to(self._resolved):
            raise FileRefused(
                f"{relative} leads out of the folder of the plan by a symbolic link", "put a copy in its place"
            )
        if real.is_dir():
            raise FileRefused(f"{relative} is a symbolic link to a folder", "name the folder that it points to")


def _quota() -> str:
    return f"{MAX_TOTAL_BYTES // 1024**2} MiB"


def check_spelling(name: str) -> None:
    """Raises `FileRefused` for what can be no name or pattern below a folder, whatever the folder holds."""
    if not name.strip():
        raise FileRefused("a file is not named", "write its name, relative to the folder of the plan")
    if "\\" in name or any(ord(char) < 32 or "\ud800" <= char <= "\udfff" for char in name):
        raise FileRefused(f"{name!r} can not be the name of a file", "use / between folders, and plain text")
    if name.startswith("/") or _DRIVE.match(name):
        raise FileRefused(f"{name} is an absolute path", "name it relative to the folder of the plan")


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
