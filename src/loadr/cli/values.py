"""The kinds of values that flags take: durations, whole numbers, ``KEY=VALUE`` pairs, addresses, worker counts.

Each is a function from the text of a flag to its value that raises `click.BadParameter` in words for a person.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import click

from loadr.units import parse_duration_ns

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})")
_CORPUS_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
MAX_WORKERS = 1024


def duration_ns(text: str) -> int:
    """``300ms``, ``2s``, ``1m30s`` or bare seconds → nanoseconds above 0."""
    try:
        ns = parse_duration_ns(text)
    except ValueError as fault:
        raise click.BadParameter(str(fault)) from None
    if ns == 0:
        raise click.BadParameter("a duration above zero is expected")
    return ns


def whole(low: int, high: int) -> Callable[[str | int], int]:
    """The kind of a whole number from ``low`` to ``high``."""

    def number(text: str | int) -> int:
        digits = str(text)
        if not digits.isascii() or not digits.isdigit() or len(digits) > 20 or not low <= int(digits) <= high:
            raise click.BadParameter(f"{digits[:40]!r} is not a whole number from {low} to {high}")
        return int(digits)

    return number


AGENTS = whole(1, 256)
VUS = whole(1, 1_000_000)
SEED = whole(0, 2**63 - 1)


def pair(text: str) -> tuple[str, str]:
    """``KEY=VALUE`` → (key, value); the value may hold further ``=``."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.BadParameter(f"{text!r} is not of the form KEY=VALUE")
    return key, value


def corpus(text: str) -> tuple[str, Path]:
    """``NAME=PATH`` → (name, path)."""
    name, equals, path = text.partition("=")
    if not equals or not path or not _CORPUS_NAME.fullmatch(name):
        raise click.BadParameter(
            f"{text!r} is not of the form NAME=PATH; a name is of letters, digits, _ and -, at most 64"
        )
    return name, Path(path)


def address(text: str) -> str:
    """``HOST:PORT`` to connect to (an IPv6 host in brackets) → the same text, checked."""
    return _address(text, lowest_port=1)


def bind_address(text: str) -> str:
    """``HOST:PORT`` to listen at; port 0 is any free one."""
    return _address(text, lowest_port=0)


def _address(text: str, lowest_port: int) -> str:
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{text!r} is not an address; write HOST:PORT, such as 127.0.0.1:7625")
    if not lowest_port <= int(match[2]) <= 65535:
        raise click.BadParameter(f"{match[2]} is not a port; it must lie between {lowest_port} and 65535")
    return text


def workers(text: str) -> int | None:
    """A number from 1 to 1024, or ``auto`` → None: one for each core."""
    if text == "auto":
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_WORKERS:
        raise click.BadParameter(f"{text!r} is neither 'auto' nor a number from 1 to {MAX_WORKERS}")
    return int(text)
