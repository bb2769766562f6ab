"""Data sets of a plan: the entries of ``data`` → `DataSet`, their files joined to the plan's, or every fault.

A file is read here, which says its rows and columns; a corpus stands on the agents' disks, so the plan says them,
and the agents hold it to that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from loadr.errors import PlanInvalid
from loadr.plan.data import read_csv
from loadr.plan.explain import build, is_mapping, refuse_unknown, show
from loadr.plan.faults import FaultList, Route
from loadr.plan.files import FileRefused, PlanFiles
from loadr.plan.model import CORPORA_FOLDER, DataSet
from loadr.plan.scope import RESERVED

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_CORPUS_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PLANNED_MODES = ("sequential", "per_vu")
_FILE_KEYS = ["file", "mode", "on_end"]
_CORPUS_KEYS = ["corpus", "sha256", "columns", "rows", "format", "mode", "on_end"]
_PRINTED = "`loadr corpus PATH` prints the whole entry"


class DataReader:
    """``shown_folder`` is the plan's folder as the user named it, for places in messages."""

    def __init__(self, files: PlanFiles, faults: FaultList, shown_folder: Path) -> None:
        self._files = files
        self._faults = faults
        self._shown_folder = shown_folder
        self._digests: dict[str, str] = {}  # of corpora

    def read(self, name: str, raw: Any) -> DataSet | None:
        """One data set; None, or one of no use, with faults told."""
        route: Route = ("data", name)
        if not _IDENTIFIER.fullmatch(name) or name in RESERVED:
            hint = "use letters, digits and _, and none of the names that expressions have already"
            self._faults.add(route, f"{name[:80]!r} can not be the name of a data set", hint, at_key=True)
        if not is_mapping(raw, route, self._faults, f"write {name}: {{ file: {name}.csv }}"):
            return None
        known = _CORPUS_KEYS if "corpus" in raw else _FILE_KEYS
        hints = {"file": "a data set is a file or a corpus, not both"} if "corpus" in raw else None
        values = refuse_unknown(raw, known, route, self._faults, hints)
        if values.get("mode") in _PLANNED_MODES:
            what = f"mode {values.pop('mode')!r} is not supported yet; supported: unique, random"
            self._faults.add((*route, "mode"), what)
        return self._read_corpus(values, route) if "corpus" in raw else self._read_file(values, route)

    def _read_file(self, values: dict[str, Any], route: Route) -> DataSet | None:
        inner: Route = (*route, "file")
        if "file" not in values:
            self._faults.add(inner, "the key 'file' is missing", "name a file, or a corpus on the agents' disks")
            return None
        data = build(DataSet, values, route, self._faults)
        file = data.file if data is not None else values["file"]  # another fault hides none of the file
        if not isinstance(file, str):
            return None
        try:
            relative, path = self._files.locate(file)
            self._files.add(relative, path)
            rows = read_csv(path, shown_as=str(self._shown_folder / relative))
        except FileRefused as error:
            self._faults.add(inner, error.message, error.hint)
            return None
        except PlanInvalid as error:
            where = f"data.{route[-1]}.file"
            self._faults.extend(tuple(replace(fault, path=where) for fault in error.faults))
            return None
        if data is None:
            return None
        return data.model_copy(update={"file": relative, "rows": len(rows), "columns": rows.columns})

    def _read_corpus(self, values: dict[str, Any], route: Route) -> DataSet | None:
        before = len(self._faults)
        self._need(values, "corpus", route, _CORPUS_NAME, "the name of a corpus: letters, digits, _ and -")
        self._need(values, "sha256", route, _SHA256, "a SHA-256: 64 characters of lower-case hex")
        columns = values.get("columns")
        if not _are_columns(columns):
            what = (
                "the key 'columns' is missing"
                if columns is None
                else f"must be a list of names, and is {show(columns)}"
            )
            self._faults.add((*route, "columns"), what, f"write the header of the file; {_PRINTED}")
        if values.get("mode") == "unique" and values.get("rows", 0) == 0:
            self._faults.add((*route, "rows"), "unique rows of a corpus need their number", _PRINTED)
        if len(self._faults) > before:
            return None
        corpus, digest = values["corpus"], values["sha256"]
        if self._digests.setdefault(corpus, digest) != digest:
            self._faults.add(
                (*route, "sha256"), f"the corpus {corpus!r} has another digest above", "which is right?"
            )
        try:
            self._files.reserve(f"{CORPORA_FOLDER}/{corpus}")
        except FileRefused as error:
            self._faults.add((*route, "corpus"), error.message, error.hint)
        return build(DataSet, {**values, "columns": tuple(values["columns"])}, route, self._faults)

    def _need(self, values: Mapping[str, Any], key: str, route: Route, form: re.Pattern[str], what: str) -> None:
        value = values.get(key)
        if value is None:
            self._faults.add((*route, key), f"the key {key!r} is missing", _PRINTED)
        elif not isinstance(value, str) or not form.fullmatch(value):
            self._faults.add((*route, key), f"must be {what}, and is {show(value)}", _PRINTED)


def _are_columns(value: Any) -> bool:
    if not isinstance(value, list) or not value or not all(isinstance(one, str) and one.strip() for one in value):
        return False
    return len(set(value)) == len(value)
