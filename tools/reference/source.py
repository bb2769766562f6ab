"""What the source says of itself: trailing comments, constants by name, tables in Markdown."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from types import ModuleType
from typing import Any

PACKAGES = ("loadr.coordination", "loadr.schedule", "loadr.metrics", "loadr.transport", "loadr.plan")


def comments_of(cls: type) -> dict[str, str]:
    """Trailing comments of the assignments in a class's body, by the name assigned to."""
    text = textwrap.dedent(inspect.getsource(cls))
    lines = text.splitlines()
    out = {}
    for node in ast.parse(text).body[0].body:  # type: ignore[attr-defined]
        target: ast.expr | None = node.target if isinstance(node, ast.AnnAssign) else None
        if isinstance(node, ast.Assign):
            target = node.targets[0]
        if isinstance(target, ast.Name) and node.end_lineno is not None:
            _, mark, comment = lines[node.end_lineno - 1][node.end_col_offset :].partition("#")
            if mark:
                out[target.id] = comment.strip()
    return out


@cache
def modules() -> tuple[ModuleType, ...]:
    """All modules of the packages that know the protocol, wherever in them a thing may stand."""
    out = []
    for package in PACKAGES:
        folder = importlib.import_module(package)
        names = [module.name for module in pkgutil.walk_packages(folder.__path__, f"{package}.")]
        out += [importlib.import_module(name) for name in sorted(names)]
    return tuple(out)


def instances(cls: type) -> Iterator[Any]:
    """Every global of that class, each once."""
    seen = set()
    for module in modules():
        for value in vars(module).values():
            if type(value) is cls and id(value) not in seen:
                seen.add(id(value))
                yield value


def constant(name: str) -> int:
    """The value of a constant, whichever module holds it: of the first package that has one."""
    for package in PACKAGES:
        inside = [module for module in modules() if module.__name__.startswith(f"{package}.")]
        found = {vars(module)[name] for module in inside if name in vars(module)}
        if len(found) == 1:
            return int(found.pop())
        if found:
            raise SystemExit(f"the constant {name} has {len(found)} values in {package}")
    raise SystemExit(f"there is no constant {name} in {', '.join(PACKAGES)}; see tools/reference/protocol.py")


def words_for(kind: str, names: Iterable[str], words: dict[str, str]) -> None:
    """Raises `SystemExit` unless exactly these names have words: what is new is to be explained."""
    names = set(names)
    lacking, idle = sorted(names - words.keys()), sorted(words.keys() - names)
    if lacking or idle:
        raise SystemExit(
            f"words of {kind} in tools/reference: missing {', '.join(lacking) or 'none'}; "
            f"of nothing any more {', '.join(idle) or 'none'}"
        )


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")
