"""Debian packages that some tests want: skipped with a reason where one is missing, but not in CI."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def require(command: str, package: str) -> str:
    """The path of ``command``; skips the test without it, or fails where nothing may be skipped."""
    path = shutil.which(command) or shutil.which(command, path="/usr/sbin:/sbin")
    if path is None:
        missing(package)
    assert path is not None
    return path


def require_faketime() -> Path:
    """The library that gives a process another wall clock."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        missing("faketime")
    return found[0]


def missing(package: str) -> None:
    """Skip, or fail where `LOADR_NOTHING_SKIPPED` is set."""
    if os.environ.get("LOADR_NOTHING_SKIPPED"):
        pytest.fail(f"the Debian package {package} is missing, and nothing may be skipped here")
    pytest.skip(f"needs the Debian package {package}")
