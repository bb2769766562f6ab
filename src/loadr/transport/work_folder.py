"""The folder of an agent: one agent at a time, and none is left behind for ever.

A lock on the folder itself says that an agent is in; the system lets go of it when the process ends, however it
ends. So a temporary folder without one is that of an agent that was killed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

from loadr.coordination.messages import FaultKind
from loadr.transport.cache import SandboxFault

PREFIX = "loadr-work-"
_YOUNG_S = 60  # a folder may have been made and not yet locked


def lock_folder(folder: Path) -> int:
    """A descriptor that keeps other agents out until it is closed. Raises `SandboxFault` where one is in."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno != errno.EWOULDBLOCK:
            raise
        raise SandboxFault(
            FaultKind.DISK,
            f"another agent uses the folder {folder}",
            hint="give each agent a --work-dir of its own",
        ) from None
    return descriptor


def temporary_folder() -> Path:
    """A new one; those of this user's agents that were killed are removed."""
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, SandboxFault):
            status = left.lstat()
            is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
            if is_ours and time.time() - status.st_mtime > _YOUNG_S:
                lock = lock_folder(left)
                shutil.rmtree(left, ignore_errors=True)
                os.close(lock)
    return Path(tempfile.mkdtemp(prefix=PREFIX))
