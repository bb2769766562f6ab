"""Debian packages that some tests want: skipped with a reason where one is missing; `support.skips` is for CI."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NoReturn

import pytest


def require(command: str, package: str) -> str:
    """The path of ``command``; skips the test without it."""
    path = shutil.which(command) or shutil.which(command, path="/usr/sbin:/sbin")
    if path is None:
        missing(package)
    return path


def require_faketime() -> Path:
    """The library that gives a process another wall clock."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        missing("faketime")
    return found[0]


def missing(package: str) -> NoReturn:
    """Skip the test, and say what it wants."""
    pytest.skip(f"needs the Debian package {package}")
