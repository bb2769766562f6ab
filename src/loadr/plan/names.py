"""Which names of files may travel with a plan.

Takes the paths of a manifest; says what is wrong with the first that is not acceptable. Asked when a plan is read
(so that the user hears it at once), by the controller before it sends, and by the agent, which trusts nobody.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MAX_PATH_BYTES = 1024
MAX_PART_BYTES = 255  # NAME_MAX of Linux
MAX_DEPTH = 16

_DRIVE = re.compile(r"[A-Za-z]:")
_DEVICES = frozenset(
    ("con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(1, 10)))
)


def find_fault(paths: Iterable[str]) -> str | None:
    """The first fault of the names in words, or None. Two names that differ only in case or Unicode form, or of
    which one is a folder of the other, can not stand side by side everywhere."""
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for path in paths:
        if fault := path_fault(path):
            return f"the file name {path[:100]!r} {fault}"
        parts = fold(path).split("/")
        folded = "/".join(parts)
        if folded in files:
            return f"the file names {files[folded]!r} and {path!r} collide"
        files[folded] = path
        for depth in range(1, len(parts)):
            folders.setdefault("/".join(parts[:depth]), path)
    for folded, path in files.items():
        if folded in folders:
            return f"the file name {path!r} is also a folder of {folders[folded]!r}"
    return None


def path_fault(path: str) -> str | None:
    """What is wrong with one name, as the end of a sentence, or None."""
    try:
        size_bytes = len(path.encode())
    except UnicodeEncodeError:
        return "is not valid Unicode"
    if size_bytes > MAX_PATH_BYTES:
        return f"has {size_bytes} bytes; at most {MAX_PATH_BYTES} are allowed"
    if path.startswith("/") or _DRIVE.match(path):
        return "is absolute; it must be relative to the plan's folder"
    if "\\" in path:
        return "has a backslash; write forward slashes"
    if any(unicodedata.category(character) in ("Cc", "Cf") for character in path):
        return "has a character that can not be seen"
    parts = path.split("/")
    if len(parts) > MAX_DEPTH:
        return f"is {len(parts)} folders deep; at most {MAX_DEPTH} are allowed"
    return next((fault for part in parts if (fault := _part_fault(part))), None)


def _part_fault(part: str) -> str | None:
    if part == "":
        return "has an empty part"
    if part == "..":
        return "leads out of the plan's folder"
    if part == "." or part[-1] in " .":
        return "has a part that ends in a dot or a space"
    if len(part.encode()) > MAX_PART_BYTES:
        return f"has a part of more than {MAX_PART_BYTES} bytes"
    if part.split(".")[0].casefold() in _DEVICES:
        return "has a part that is reserved for a device on some systems"
    return None


def fold(path: str) -> str:
    """Equal for names that a file system may take for one: case and Unicode form do not count."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())
