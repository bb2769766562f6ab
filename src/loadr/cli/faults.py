"""What a person sees when a command can not go on: what happened, to which thing, what to do next.

Takes any exception, writes to stderr, gives the exit code. A traceback is shown only for a bug and only with
``LOADR_DEBUG=1``.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import TextIO

import click

from loadr.errors import ExitCode, InternalFault, LoadrError, PlanInvalid


def report_fault(fault: BaseException, stream: TextIO | None = None) -> int:
    """One clear message for ``fault``; returns the exit code that goes with it."""
    out = stream or sys.stderr
    if isinstance(fault, click.exceptions.Exit):
        return fault.exit_code
    if isinstance(fault, (click.Abort, KeyboardInterrupt)):
        out.write("loadr: interrupted\n")
        return ExitCode.INTERRUPTED
    if isinstance(fault, click.exceptions.NoArgsIsHelpError):
        out.write(fault.ctx.get_help() + "\n" if fault.ctx else "")
        return ExitCode.INVALID
    if isinstance(fault, click.ClickException):
        out.write(_usage_words(fault))
        return ExitCode.INVALID
    if isinstance(fault, LoadrError) and not isinstance(fault, InternalFault):
        out.write(fault_words(fault))
        _show_trace(fault, out)
        return fault.exit_code
    if isinstance(fault, OSError) and fault.filename is not None:
        out.write(f"loadr: {fault.filename}: {fault.strerror}\n")
        _show_trace(fault, out)
        return ExitCode.INVALID
    name = type(fault).__name__
    out.write(f"loadr: this is a bug in loadr: {name}: {_first_line(fault)}\n")
    out.write("  hint: run it again with LOADR_DEBUG=1 and report the traceback to the project\n")
    _show_trace(fault, out)
    return ExitCode.INTERNAL


def fault_words(fault: LoadrError) -> str:
    """The message and the hint; of an invalid plan every fault in the form that editors can jump to."""
    lines = []
    if isinstance(fault, PlanInvalid):
        for one in fault.faults:
            lines.append(str(one))
            lines += [f"  hint: {one.hint}"] if one.hint else []
    lines.append(f"loadr: {fault.message}")
    lines += [f"  hint: {fault.hint}"] if fault.hint else []
    return "\n".join(lines) + "\n"


def _usage_words(fault: click.ClickException) -> str:
    lines = [f"loadr: {fault.format_message()}"]
    if isinstance(fault, click.UsageError) and fault.ctx is not None:
        lines.append(f"  hint: see `{fault.ctx.command_path} --help`")
    return "\n".join(lines) + "\n"


def _first_line(fault: BaseException) -> str:
    return (str(fault).splitlines() or ["no message"])[0]


def _show_trace(fault: BaseException, out: TextIO) -> None:
    if os.environ.get("LOADR_DEBUG") not in (None, "", "0"):
        traceback.print_exception(fault, file=out)
