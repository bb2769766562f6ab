"""loadr: a distributed load tester. Scenario scripts import their names from here.

Names are looked up when they are first used, so that ``import loadr`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadr.version import __version__

if TYPE_CHECKING:
    from loadr.engine.checks import check
    from loadr.plan.scripting import (
        constant_arrival_rate,
        constant_vus,
        data,
        options,
        ramping_arrival_rate,
        scenario,
        setup,
        teardown,
        thresholds,
    )

__all__ = [
    "__version__",
    "check",
    "constant_arrival_rate",
    "constant_vus",
    "data",
    "options",
    "ramping_arrival_rate",
    "scenario",
    "setup",
    "teardown",
    "thresholds",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'loadr' has no attribute {name!r}")
    from importlib import import_module

    room = "loadr.engine.checks" if name == "check" else "loadr.plan.scripting"
    value = getattr(import_module(room), name)
    globals()[name] = value
    return value
