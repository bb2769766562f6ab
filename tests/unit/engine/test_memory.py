from __future__ import annotations

import gc
import platform
import subprocess
import sys

_PROBE = """
import gc
from loadr.engine.memory import settle
took = settle()
print(took, gc.isenabled(), gc.get_freeze_count() > 0, gc.get_threshold()[0])
"""


def test_a_worker_freezes_what_lives_and_still_collects_what_scripts_leave_behind() -> None:
    probe = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, timeout=60, check=True)
    took, enabled, frozen, young = probe.stdout.split()
    assert (enabled, frozen) == ("True", "True")
    assert int(young) > gc.get_threshold()[0]
    assert (took == "True") is (platform.libc_ver()[0] == "glibc")
