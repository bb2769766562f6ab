"""Secrets: values that are used, and never shown.

Takes names and values; gives a mapping whose `repr` holds the names only, and masks the values in texts that are
to leave a worker: messages of exceptions, names of requests, what a script prints.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TextIO
from urllib.parse import quote, quote_plus

MASK = "***"
MIN_CHARACTERS = 4  # a shorter value stands in too many innocent texts to be masked


class Secrets(Mapping[str, str]):
    """Immutable; name → value."""

    __slots__ = ("_forms", "_values")

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = dict(values or {})
        self._forms: tuple[str, ...] | None = None

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        return f"Secrets({', '.join(self._values)})"

    def mask(self, text: str) -> str:
        """``text`` with every value, and each line of it, replaced, also as URLs, JSON and `repr` write it."""
        if not self._values:
            return text
        if self._forms is None:
            self._forms = tuple(_forms(self._values.values()))
        for form in self._forms:
            text = text.replace(form, MASK)
        return text


NO_SECRETS = Secrets()


class _MaskedOutput:
    """A text stream in front of another one."""

    def __init__(self, stream: TextIO, secrets: Secrets) -> None:
        self._stream = stream
        self._secrets = secrets

    def write(self, text: str) -> int:
        self._stream.write(self._secrets.mask(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def mask_output(secrets: Secrets) -> None:
    """From now on what this process prints is masked, text by text as it is written."""
    if secrets:
        sys.stdout = _MaskedOutput(sys.stdout, secrets)
        sys.stderr = _MaskedOutput(sys.stderr, secrets)


def _forms(values: Iterable[str]) -> list[str]:
    """The longest first: one value may be part of another."""
    forms: set[str] = set()
    parts = (part for value in values for part in (value, *value.splitlines()))
    for value in parts:
        if len(value) < MIN_CHARACTERS:
            continue
        forms |= {value, quote(value), quote(value, safe=""), quote_plus(value)}
        forms |= {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]}
    return sorted(forms, key=len, reverse=True)
