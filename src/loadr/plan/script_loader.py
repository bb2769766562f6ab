"""Import a scenario script into this process: path → `Declarations`.

Used by workers and by the inspector, and nowhere else: what a script does when it is imported must not be able to
hurt a controller or an agent.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
from pathlib import Path

from loadr.errors import ScriptFault
from loadr.plan.scripting import Declarations, collecting

_numbers = itertools.count(1)
_siblings: set[str] = set()  # modules that were imported from beside a script


def import_script(path: Path) -> Declarations:
    """Run the script's module level under a new module name, its folder first on ``sys.path``.

    Modules beside the script are imported anew for each script, so that what they declare belongs to it, and two
    folders may each have their own ``steps.py``. Whatever the script raises comes through; `ScriptFault` if the
    file is not there. Each call makes a new module with its own state: import once per path.
    """
    path = path.absolute()
    if not path.is_file():
        raise ScriptFault(f"there is no script {path.name!r}", hint=f"looked in {path.parent}")
    folder = str(path.parent)
    for name in _siblings:
        sys.modules.pop(name, None)
    _siblings.clear()
    sys.path[:] = [folder, *(entry for entry in sys.path if entry != folder)]
    importlib.invalidate_caches()

    name = f"loadr_script_{next(_numbers)}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # of an existing .py file
    module = importlib.util.module_from_spec(spec)
    before = set(sys.modules)
    sys.modules[name] = module
    try:
        with collecting() as declarations:
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        _siblings.update(new for new in sys.modules.keys() - before - {name} if _is_beside(new, folder))
    return declarations


def _is_beside(module_name: str, folder: str) -> bool:
    file = getattr(sys.modules.get(module_name), "__file__", None)
    return isinstance(file, str) and file.startswith(f"{folder}/") and "site-packages" not in file
