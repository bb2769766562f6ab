"""Why a worker could not do what it was ordered to. Numbers as on the wire
(`coordination.messages.FaultKind`)."""

from __future__ import annotations

from enum import IntEnum


class Fault(IntEnum):
    """0 is none."""

    NONE = 0
    PLAN = 1
    SCRIPT = 2
    FILES = 3
    TIMEOUT = 5
    WORKER = 6
    INTERNAL = 8
    CORPUS = 9
