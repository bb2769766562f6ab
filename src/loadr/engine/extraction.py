"""JSONPath → Python source that takes one value out of a decoded body.

Plain paths (``$.items[0].id``) become subscripts; all others are compiled once by python-jsonpath, and the first
match counts. The source raises `KeyError`, `IndexError` or `TypeError` where there is no such value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_STEP = re.compile(r"""\.([A-Za-z_][A-Za-z0-9_]*)|\[(-?\d{1,9})\]|\['([^'\\]*)'\]|\["([^"\\]*)"\]""")


def extraction(path: str, document: str, name: str) -> tuple[str, dict[str, Callable[..., Any]]]:
    """The source of an expression over the variable ``document``, and what its names stand for; ``name`` may be
    used for one of them. Raises `jsonpath.JSONPathError` on a path that is none."""
    steps = _plain_steps(path)
    if steps is not None:
        code = document
        for step in steps:
            code = f"__member({code}, {step!r})" if isinstance(step, str) else f"__element({code}, {step})"
        return code, {"__member": member, "__element": element}
    from jsonpath import compile

    compiled = compile(path)

    def first_match(value: Any) -> Any:
        match = compiled.match(value)
        if match is None:
            raise KeyError(path)
        return match.obj

    return f"{name}({document})", {name: first_match}


def member(value: Any, key: str) -> Any:
    """A member of an object."""
    if type(value) is not dict:
        raise TypeError(f"{key!r} was looked for in what is no object")
    return value[key]


def element(value: Any, index: int) -> Any:
    """An element of an array; text is none."""
    if type(value) is not list:
        raise TypeError(f"[{index}] was looked for in what is no array")
    return value[index]


def _plain_steps(path: str) -> list[str | int] | None:
    """Names and indices of a path made of nothing else; None for any other."""
    if not path.startswith("$"):
        return None
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            return None
        name, index, single, double = found.groups()
        steps.append(
            int(index) if index is not None else next(x for x in (name, single, double) if x is not None)
        )
        at = found.end()
    return steps
