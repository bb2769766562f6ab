"""What some tests want of the machine and no package can give: skipped with a reason where it is refused.

`support.skips` lets such a skip pass everywhere.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import NoReturn

import pytest

from support.packages import require

NOT_ALLOWED = "this machine does not allow"


def refused(what: str, said: str) -> NoReturn:
    """Skip the test, and say what it wants."""
    pytest.skip(f"{NOT_ALLOWED} {what}: {said.strip() or 'no reason given'}")


def need(command: Sequence[str], what: str, package: str) -> None:
    """Run ``command``; skips the test if it can not be run here."""
    path = require(command[0], package)
    done = subprocess.run([path, *command[1:]], capture_output=True, text=True, timeout=20, check=False)
    if done.returncode != 0:
        refused(what, done.stderr)
