"""Rows of a CSV file that is too large for memory: an index of where rows begin, and rows read when asked for.

Takes the path of a corpus; gives `Rows` like those of a file that travelled. The index costs 8 bytes a row; a row
costs a read of the page cache. The same CSV as in `loadr.plan.data`: a header line, UTF-8, quotes as in RFC 4180,
lines that end in LF or CRLF. Whether every row has as many fields as the header shows when it is read.
"""

from __future__ import annotations

import csv
import os
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

from loadr.plan.data import Rows

_BLOCK_BYTES = 4 * 1024 * 1024
_MAX_ROW_BYTES = 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_NEWLINE, _RETURN, _QUOTE = 10, 13, 34


class CorpusInvalid(ValueError):
    """What stands at the path is no CSV file with a header and rows; or one of its rows is none."""


class CorpusRows(Sequence[tuple[str, ...]]):
    """Rows of an open file; row 0 is the first below the header. The descriptor lives as long as the process."""

    def __init__(self, path: Path, shown_as: str) -> None:
        self._shown_as = shown_as
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._starts = _index(self._fd)
            self.columns = self._fields(0) if len(self._starts) > 1 else ()
        except OSError as error:
            raise CorpusInvalid(f"{shown_as} can not be read: {error.strerror}") from None
        if len(self._starts) < 3:
            raise CorpusInvalid(f"{shown_as} has no rows below a header")

    def __len__(self) -> int:
        return len(self._starts) - 2

    @overload
    def __getitem__(self, index: int) -> tuple[str, ...]: ...
    @overload
    def __getitem__(self, index: slice) -> list[tuple[str, ...]]: ...
    def __getitem__(self, index: int | slice) -> tuple[str, ...] | list[tuple[str, ...]]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        row = index % len(self) + 1
        fields = self._fields(row)
        if len(fields) != len(self.columns):
            raise CorpusInvalid(
                f"{self._shown_as}: row {row} has {len(fields)} fields, the header has {len(self.columns)}"
            )
        return fields

    def _fields(self, record: int) -> tuple[str, ...]:
        start = int(self._starts[record])
        size = int(self._starts[record + 1]) - start
        if size > _MAX_ROW_BYTES:
            raise CorpusInvalid(f"{self._shown_as}: row {record} has {size:,} bytes; is a quote left open?")
        try:
            text = os.pread(self._fd, size, start).decode().rstrip("\r\n")
            if '"' not in text and "\r" not in text:
                return tuple(text.split(","))
            (fields,) = csv.reader([text], strict=True)
        except (ValueError, csv.Error) as error:
            raise CorpusInvalid(f"{self._shown_as}: row {record} is not CSV: {error}") from None
        return tuple(fields)


def open_corpus(path: Path, shown_as: str) -> Rows:
    """The rows of a corpus. Raises `CorpusInvalid`."""
    rows = CorpusRows(path, shown_as)
    return Rows(rows.columns, rows)


def _index(fd: int) -> npt.NDArray[np.int64]:
    """Where every record begins, the header included, and where the last one ends; empty lines are left out.

    A newline ends a record when an even number of quotes stands before it.
    """
    offset = start = len(_BOM) if os.pread(fd, len(_BOM), 0) == _BOM else 0
    starts = array("q")
    is_quoted = 0
    last = 0  # byte of the block before
    while block := os.pread(fd, _BLOCK_BYTES, offset):
        data = np.frombuffer(block, np.uint8)
        quotes = np.flatnonzero(data == _QUOTE)
        found = np.flatnonzero(data == _NEWLINE)
        if len(quotes) or is_quoted:
            found = found[(np.searchsorted(quotes, found) + is_quoted) % 2 == 0]
            is_quoted = (is_quoted + len(quotes)) % 2
        if len(found):
            is_after_return = np.where(found > 0, data[found - 1], last) == _RETURN
            begun = np.concatenate(([start], found[:-1] + (offset + 1)))
            starts.frombytes(begun[found + offset - begun > is_after_return].tobytes())
            start = int(found[-1]) + offset + 1
        last = block[-1]
        offset += len(block)
    if offset - start > (last == _RETURN):  # what follows the last newline
        starts.append(start)
    starts.append(offset)
    return np.frombuffer(starts, np.int64)
