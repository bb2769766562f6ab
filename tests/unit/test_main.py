import subprocess
import sys

from loadr.errors import ExitCode
from loadr.version import __version__


def loadr(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "loadr", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_the_module_is_the_command() -> None:
    done = loadr("version")
    assert done.returncode == ExitCode.PASSED
    assert done.stdout.startswith(f"loadr {__version__}\n")


def test_its_exit_code_is_that_of_the_command() -> None:
    done = loadr("walk")
    assert done.returncode == ExitCode.INVALID
    assert done.stderr.startswith("loadr: ") and "walk" in done.stderr
