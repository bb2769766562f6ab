"""Extra files of a plan: glob patterns → the files below the plan's folder that they mean.

``*``, ``?`` and ``[…]`` match within one name, ``**`` any number of folders; a pattern that ends in ``**`` means
all files below. As in a shell, what begins with a dot is matched only by a pattern that says the dot: neither
``.git`` nor ``.env`` travels by accident. ``__pycache__`` never does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from loadr.plan.files import FileRefused, PlanFiles, check_spelling, near_names

MAX_NAMES = 20_000  # looked at for one pattern: more is a pattern that was not meant
MAX_FAULTS = 5  # told of one pattern
_MAGIC = re.compile(r"[*?[]")
_SKIPPED = "__pycache__"


def include(patterns: Sequence[str], files: PlanFiles) -> Iterator[tuple[int, FileRefused]]:
    """Add what the patterns mean to ``files``; every fault with the number of its pattern."""
    for number, pattern in enumerate(patterns):
        try:
            found = find(files.folder, pattern)
        except FileRefused as error:
            yield number, error
            continue
        faults: list[FileRefused] = []
        for relative in found:
            try:
                files.add(relative, files.folder / relative)
            except FileRefused as error:
                faults.append(error)
        yield from ((number, fault) for fault in faults[:MAX_FAULTS])
        if len(faults) > MAX_FAULTS:
            yield number, FileRefused(f"{len(faults) - MAX_FAULTS} more of the files can not travel")


def find(folder: Path, pattern: str) -> list[str]:
    """The files below ``folder`` that the pattern means, in order.

    Raises `FileRefused` for what can be no pattern, for one that leaves the folder or that matches no file."""
    check_spelling(pattern)
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise FileRefused(f"{pattern} leaves the folder of the plan", "put the files beside the plan or below it")
    if not parts:
        raise FileRefused(f"{pattern} is the folder of the plan itself", "write ** for all files below it")
    walk = _Walk(pattern)
    found = sorted(set(walk.match(folder, "", parts)))
    if not found:
        raise FileRefused(f"{pattern} matches no file", _hint(folder, pattern, parts))
    return found


def _hint(folder: Path, pattern: str, parts: list[str]) -> str:
    plain = "/".join(parts)
    if not _MAGIC.search(pattern):
        return (
            f"{plain} is a folder; write {plain}/**" if (folder / plain).is_dir() else near_names(folder / plain)
        )
    return "patterns are relative to the folder of the plan; ** matches any number of folders"


class _Walk:
    """One pattern on its way down. ``match`` gives relative names of whatever is no folder, and of links to
    folders that ``**`` came upon: it does not follow them, and whoever adds the name says so."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._seen = 0

    def match(self, folder: Path, shown: str, parts: Sequence[str]) -> Iterator[str]:
        """What ``parts`` mean below ``folder``. ``shown`` is its own name: empty, or with a slash at its end."""
        head, rest = parts[0], parts[1:]
        if head == "**":
            yield from self.match(folder, shown, rest or ["*"])
        for entry in self._entries(folder):
            name = shown + entry.name
            if head == "**":
                if entry.name.startswith(".") or not _is_folder(entry):
                    continue
                if entry.is_symlink():
                    yield name
                else:
                    yield from self.match(folder / entry.name, f"{name}/", parts)
            elif _is_meant(entry.name, head):
                if rest and _is_folder(entry):
                    yield from self.match(folder / entry.name, f"{name}/", rest)
                elif not rest and not _is_folder(entry):
                    yield name

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as listed:
                entries = [entry for entry in listed if entry.name != _SKIPPED]
        except OSError as error:
            raise FileRefused(
                f"{folder.name} can not be read: {error.strerror}", "check its permissions"
            ) from None
        self._seen += len(entries)
        if self._seen > MAX_NAMES:
            raise FileRefused(f"{self._pattern} looks at more than {MAX_NAMES:,} names", "name a folder first")
        return entries


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Also through a link; one that leads to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_meant(name: str, part: str) -> bool:
    if name.startswith(".") and not part.startswith("."):
        return False
    return fnmatchcase(name, part)
