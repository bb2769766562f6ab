"""The exception tree and the exit codes.

LoadrError                 everything that loadr itself raises; carries a hint and an exit code
├── UserFault              what a person wrote or asked for can not be done
│   ├── PlanInvalid        all faults of a plan at once, each with its place        (104)
│   ├── ArgumentInvalid    flags, files and addresses                               (104)
│   └── ScriptFault        a scenario script can not be imported, or broke          (107)
├── FleetFault             the fleet could not start or carry the run               (122)
│   └── Unreachable        nobody answers at an address
├── PeerFault              a peer broke the protocol: its fault, not ours
│   └── PeerRefused        a peer said no, in words
└── InternalFault          a broken promise of our own code; always a bug

Faults of the *target* are data and never exceptions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process tells its caller. k6's numbers where k6 has one."""

    PASSED = 0
    INTERNAL = 1
    THRESHOLD_FAILED = 99
    INVALID = 104
    INTERRUPTED = 105
    SCRIPT_EXCEPTION = 107
    ABORTED = 108
    GENERATOR_LIMITED = 120
    INCOMPLETE = 121
    FLEET_COULD_NOT_START = 122


class LoadrError(Exception):
    """The root: a message that says what happened to which thing, and a hint that says what to do next."""

    exit_code: ExitCode = ExitCode.INTERNAL

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UserFault(LoadrError):
    """What a person wrote or asked for can not be done."""

    exit_code = ExitCode.INVALID


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a plan. ``line`` and ``column`` count from 1; 0 means unknown. ``path`` is dotted."""

    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        where = f" {self.path}:" if self.path else ""
        return f"{place}:{where} {self.message}"


class PlanInvalid(UserFault):
    """All faults of a plan at once."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        count = len(faults)
        super().__init__(f"the plan has {count} fault{'s' if count != 1 else ''}")
        self.faults = tuple(faults)


class ArgumentInvalid(UserFault):
    """A flag, a file or an address that can not be used."""


class ScriptFault(UserFault):
    """A scenario script that can not be imported, or that broke where the plan says this ends the run."""

    exit_code = ExitCode.SCRIPT_EXCEPTION


class FleetFault(LoadrError):
    """The fleet could not start the run."""

    exit_code = ExitCode.FLEET_COULD_NOT_START


class Unreachable(FleetFault):
    """Nobody answers at an address."""


class PeerFault(LoadrError):
    """A peer broke the protocol."""


class PeerRefused(PeerFault):
    """A peer said no. Terminal unless ``retry`` is true."""

    def __init__(self, message: str, *, hint: str = "", retry: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.retry = retry


class InternalFault(LoadrError):
    """A promise of our own code that was broken."""
