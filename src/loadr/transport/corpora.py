"""The corpora on an agent's disk: names and paths → sizes and digests, computed once and remembered.

A digest is remembered in the agent's work folder for as long as path, size, modification time and inode of the
file stay the same, so that a restart reads no terabyte again. Everything here blocks on the disk: call it in a
thread.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from loadr.coordination.corpora import corpus_faults
from loadr.coordination.messages import Corpus
from loadr.errors import ArgumentInvalid, FleetFault
from loadr.plan.model import Plan
from loadr.units import format_bytes

MEMORY = "corpora.json"
_BLOCK_BYTES = 1024 * 1024
_RACY_NS = 2_000_000_000  # a file this fresh may change again without a change of its modification time
_TOLD_BYTES = 256 * 1024 * 1024  # reading less takes no time that a person would notice

Signature = list[int | str]  # path, size, mtime, inode, device


class Corpora:
    """``paths``: where the corpus of each name stands. ``memory``: the folder in which digests are remembered."""

    def __init__(self, paths: Mapping[str, Path], memory: Path | None = None) -> None:
        self._paths = dict(paths)
        self._memory = memory / MEMORY if memory is not None else None
        self._known: list[tuple[Signature, str]] = []
        self._stop = threading.Event()
        self.announced: tuple[Corpus, ...] = ()

    def locate(self) -> None:
        """See that all are there, and follow links. Raises `ArgumentInvalid` for one that can not be read."""
        for name, path in self._paths.items():
            with _arguments(name, path):
                self._paths[name] = path.resolve(strict=True)
                _signature(self._paths[name])

    def open(self, tell: Callable[[str], None]) -> None:
        """Look at all files; `announced` holds then. Raises as `locate` does, and `FleetFault` after `close`."""
        self.locate()
        self._recall()
        out = []
        for name, path in self._paths.items():
            with _arguments(name, path):
                out.append(self._look(name, path, tell))
        self.announced = tuple(out)
        self._remember()

    def close(self) -> None:
        """Whatever is being read is given up."""
        self._stop.set()

    def faults(self, plan: Plan) -> list[str]:
        """What of the plan's corpora is not here as it wants it, after another look at the disk."""
        held, out = [], []
        for name in plan.corpora.keys() & self._paths.keys():
            try:
                held.append(self._look(name, self._paths[name], lambda _: None))
            except OSError as error:
                held.append(Corpus(name, 0, plan.corpora[name]))  # told here, and not as another one
                out.append(f"the corpus {name!r} can not be read at {self._paths[name]}: {error.strerror}")
        return out + corpus_faults(plan, held, "it")

    def path(self, name: str) -> Path:
        """Where a corpus stands. Raises `KeyError`."""
        return self._paths[name]

    def _look(self, name: str, path: Path, tell: Callable[[str], None]) -> Corpus:
        """Size and digest, from memory if the file is the same. Raises `OSError`."""
        signature = _signature(path)
        size_bytes = int(signature[1])
        digest = next((digest for known, digest in self._known if known == signature), None)
        if digest is None:
            if size_bytes >= _TOLD_BYTES:
                tell(f"reading the corpus {name} ({format_bytes(size_bytes)}) for its digest")
            began_ns = time.time_ns()
            digest = self._digest(path)
            if _signature(path) == signature and int(signature[2]) < began_ns - _RACY_NS:
                self._known = [entry for entry in self._known if entry[0][0] != signature[0]]
                self._known.append((signature, digest))
        return Corpus(name, size_bytes, digest)

    def _digest(self, path: Path) -> str:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                if self._stop.is_set():
                    raise FleetFault("stopped while the corpora were read")
                digest.update(block)
        return digest.hexdigest()

    def _recall(self) -> None:
        """A memory that can not be read is an empty one."""
        if self._memory is None:
            return
        try:
            entries: Any = json.loads(self._memory.read_bytes())
            self._known = [(list(signature), str(digest)) for signature, digest in entries]
        except (OSError, ValueError, TypeError):
            self._known = []

    def _remember(self) -> None:
        """A memory that can not be written costs time at the next start, and nothing else."""
        if self._memory is None or not self._known:
            return
        try:
            self._memory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = self._memory.with_suffix(".new")
            fresh.write_text(json.dumps(self._known))
            fresh.replace(self._memory)
        except OSError:
            pass


@contextlib.contextmanager
def _arguments(name: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArgumentInvalid(
            f"the corpus {name!r} can not be read at {path}: {error.strerror}", hint="see --corpus"
        ) from None


def _signature(path: Path) -> Signature:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise IsADirectoryError(0, "it is no ordinary file", os.fspath(path))
    return [os.fspath(path), status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev]
