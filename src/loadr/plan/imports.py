"""Which modules beside a script belong to it: script → the ``.py`` files that it imports from its own folder.

Looks at the text only and runs nothing: ``import`` statements anywhere in a file, resolved below the script's
folder as Python would with that folder first on its path, and so on from each file found. Names that are put
together at run time (``importlib.import_module(x)``) are not seen.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

MAX_SOURCE_BYTES = 4 * 1024 * 1024


def imported_files(script: Path) -> tuple[Path, ...]:
    """The script itself, then the files below its folder that it imports, directly or not, as they are found."""
    base = script.parent
    found: dict[Path, None] = {}
    waiting = [script]
    while waiting:
        file = waiting.pop(0)
        if file in found:
            continue
        found[file] = None
        for module in _imported_modules(file, base):
            waiting.extend(_files_of(module, base))
    return tuple(found)


def _imported_modules(file: Path, base: Path) -> Iterator[tuple[str, ...]]:
    """Each module that a statement of the file may import, as the parts of its dotted name."""
    try:
        if file.stat().st_size > MAX_SOURCE_BYTES:
            return
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return  # whoever imports it says what is wrong
    package = file.parent.relative_to(base).parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield tuple(alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            if node.level > len(package) + 1:
                continue
            start = package[: len(package) - node.level + 1] if node.level else ()
            module = (*start, *node.module.split(".")) if node.module else start
            yield module
            for alias in node.names:
                yield (*module, alias.name)


def _files_of(module: tuple[str, ...], base: Path) -> Iterator[Path]:
    """The file of a module and the ``__init__.py`` of each package around it, where they exist."""
    for length in range(1, len(module) + 1):
        place = base.joinpath(*module[:length])
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                yield file
