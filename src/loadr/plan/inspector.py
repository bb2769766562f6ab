"""Look into a scenario script without importing it here: path → `Declarations`, or a fault with file and line.

`inspect_script` starts ``python -m loadr.plan.inspector`` with a time limit; that process imports the script and
sends what it declared as one line of JSON through a pipe of its own (a script may print what it likes). Whatever
the script does (raise, loop, exit, crash, fork), the caller gets an answer in time, and one plain message.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from loadr.errors import Fault, LoadrError, PlanInvalid
from loadr.plan.script_loader import import_script
from loadr.plan.scripting import AroundDeclaration, DataHandle, Declarations, Executor, ScenarioDeclaration

MAX_ANSWER_BYTES = 16 * 1024 * 1024


def inspect_script(path: Path, folder: Path, timeout_s: float = 20.0) -> Declarations:
    """What the script declares (functions by name only).

    Raises `PlanInvalid` with one fault; its file is relative to ``folder``, where the script stands in or below.
    """
    path, folder = path.absolute(), folder.absolute()
    shown = _shown(str(path), folder)
    read_fd, write_fd = os.pipe()
    arguments = (str(path), str(folder), str(write_fd), str(timeout_s))
    try:
        process = subprocess.Popen(
            # -P: the current folder is not on the path, as it will not be on an agent; -B: no bytecode is left
            [sys.executable, "-P", "-B", "-m", "loadr.plan.inspector", *arguments],
            pass_fds=(write_fd,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # so that a script's own children can be ended with it
        )
    finally:
        os.close(write_fd)
    try:
        answer = _read_line(read_fd, time.monotonic() + timeout_s)
    except TimeoutError:
        hint = "move slow work from the module's level into the scenario"
        raise _invalid(shown, f"importing the script did not end within {timeout_s:g} s", hint) from None
    finally:
        os.close(read_fd)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)
    try:
        message = json.loads(answer)
    except ValueError:
        raise _invalid(shown, "importing the script ended its process", "it must not exit or crash") from None
    if "fault" in message:
        raise PlanInvalid([Fault(**message["fault"])])
    return _from_plain(message)


def _invalid(file: str, message: str, hint: str) -> PlanInvalid:
    return PlanInvalid([Fault(file, 0, 0, "", message, hint)])


def _read_line(fd: int, deadline: float) -> bytes:
    """All up to the first newline, the end, or the limit of bytes. Raises `TimeoutError`."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    received = bytearray()
    while len(received) <= MAX_ANSWER_BYTES:
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not poll.poll(left_s * 1000):
            raise TimeoutError
        chunk = os.read(fd, 65536)
        received += chunk
        if not chunk or chunk.endswith(b"\n"):
            break
    return bytes(received)


def _to_plain(declarations: Declarations) -> dict[str, Any]:
    return {
        "scenarios": [
            {
                "name": one.name,
                "function_name": one.function_name,
                "executor": one.executor and asdict(one.executor),
                "settings": one.settings,
                "line": one.line,
            }
            for one in declarations.scenarios.values()
        ],
        "data": [
            {"name": one.name, "settings": one.settings, "line": one.line} for one in declarations.data.values()
        ],
        "thresholds": declarations.thresholds,
        "options": declarations.options,
        "lines": declarations.lines,
        "around": {
            what: {"function_name": one.function_name, "settings": one.settings, "line": one.line}
            for what, one in declarations.around.items()
        },
    }


def _from_plain(message: Mapping[str, Any]) -> Declarations:
    scenarios = [
        ScenarioDeclaration(**{**one, "executor": one["executor"] and Executor(**one["executor"])})
        for one in message["scenarios"]
    ]
    return Declarations(
        scenarios={one.name: one for one in scenarios},
        data={one["name"]: DataHandle(**one) for one in message["data"]},
        thresholds=message["thresholds"],
        options=message["options"],
        lines=message["lines"],
        around={what: AroundDeclaration(**one) for what, one in message["around"].items()},
    )


# --- in the process that was started -----------------------------------------------------------------------


def main(path: str, folder: str, fd: int, timeout_s: float) -> None:
    """Import, answer, end. An alarm ends this process even if the one that started it is gone."""
    signal.alarm(int(timeout_s) + 2)
    os.set_inheritable(fd, False)
    try:
        message = _to_plain(import_script(Path(path)))
        answer = json.dumps(message, default=repr)
    except BaseException as error:  # noqa: BLE001 — whatever a script raises is told in words
        answer = json.dumps({"fault": asdict(_explain(error, Path(path), Path(folder)))})
    with open(fd, "wb") as pipe:
        pipe.write(answer.encode() + b"\n")
    os._exit(0)  # threads that the script started do not hold us


def _explain(error: BaseException, path: Path, folder: Path) -> Fault:
    """An exception of a script as a fault at the last line of the author's own files."""
    kind = type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return Fault(
            _shown(error.filename, folder), error.lineno or 0, error.offset or 1, "", f"{kind}: {error.msg}"
        )
    file, line, column = _last_place(error.__traceback__, path.parent)
    shown = _shown(file or str(path), folder)
    if isinstance(error, LoadrError):
        return Fault(shown, line, column, "", error.message, error.hint)
    if isinstance(error, SystemExit):
        return Fault(
            shown, line, column, "", "the script exits while it is imported", "remove the call of exit()"
        )
    hint = ""
    if isinstance(error, ModuleNotFoundError):
        hint = "put the module beside the script, or install it here and for every agent"
    words = " ".join(str(error).split())
    return Fault(shown, line, column, "", f"{kind}: {words}" if words else kind, hint)


def _last_place(traceback: TracebackType | None, folder: Path) -> tuple[str, int, int]:
    """File, line and column of the innermost frame whose code stands below ``folder``."""
    place = ("", 0, 0)
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename.startswith(f"{folder}/"):
            _, _, column, _ = list(code.co_positions())[traceback.tb_lasti // 2]
            place = (code.co_filename, traceback.tb_lineno, (column or 0) + 1)
        traceback = traceback.tb_next
    return place


def _shown(file: str, folder: Path) -> str:
    return file.removeprefix(f"{folder}/")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
