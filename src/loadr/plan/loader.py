"""A file on disk → a loaded plan: `load_plan` is the door of this room.

Takes ``plan.yaml`` or ``script.py`` with what the command line adds, and gives a frozen `Plan` with the files
that travel with it, or raises `PlanInvalid` with all faults at once.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import randbits
from typing import Any

from loadr.errors import Fault, PlanInvalid
from loadr.plan.faults import FaultList, Places
from loadr.plan.files import PlanFiles, near_names
from loadr.plan.inspector import inspect_script
from loadr.plan.model import Plan
from loadr.plan.overrides import override
from loadr.plan.reader import PlanReader
from loadr.plan.script_reader import ScriptReader, plan_of_script
from loadr.plan.yaml_tree import parse_yaml

MAX_PLAN_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LoadedPlan:
    """``files`` maps each `PlanFile.path` of the plan to where it is on this machine, below ``folder``."""

    plan: Plan
    folder: Path
    files: dict[str, Path]


def load_plan(
    path: Path,
    *,
    env: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    vus: int | None = None,
    duration_ns: int | None = None,
    seed: int | None = None,
    include: Sequence[str] = (),
    secrets: Collection[str] | None = None,
) -> LoadedPlan:
    """The plan of a YAML file, or of a Python script if the name ends in ``.py``.

    ``env`` is what ``-e`` gave, ``tags`` what ``--tag`` gave; for ``vus`` and ``duration_ns`` see `override`.
    ``secrets`` are the names of those that can be had; None: any that the plan names.
    ``seed`` goes before the plan's own; without either a random one is drawn: print ``plan.seed`` so that the run
    can be repeated. ``include``: patterns of extra files, beside those of the plan. Raises `PlanInvalid` with
    every fault, and nothing else for any content of the files.
    """
    env, tags = env or {}, tags or {}
    _refuse_broken_text({"-e": env, "--tag": tags, "--include": include}, "command line")
    places = Places()
    faults = FaultList(str(path), places)
    files = PlanFiles(path.parent.absolute())
    scripts = ScriptReader(files, faults, path.parent, inspect_script)
    read = _read_script(path, scripts) if path.suffix == ".py" else parse_yaml(_read_bytes(path), str(path))
    if read is not None:
        tree, known = read
        places.keys, places.values = known.keys, known.values
        if seed is not None and isinstance(tree, dict):
            tree["seed"] = seed
        plan = PlanReader(files, scripts, faults, path.parent).read(
            tree,
            name=path.stem.encode("utf-8", "replace").decode(),
            seed=randbits(63),
            env=env,
            secrets=secrets,
            tags=tags,
            included=include,
        )
    if len(faults) or read is None or plan is None:
        raise PlanInvalid(faults.sorted)
    return LoadedPlan(override(plan, vus=vus, duration_ns=duration_ns), files.folder, files.paths)


def _read_bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise _invalid(path, "this is a folder", "name a plan: a .yaml file or a .py script")
        size = path.stat().st_size
        if size > MAX_PLAN_BYTES:
            what = f"the plan is {size:,} bytes long; the limit is {MAX_PLAN_BYTES // 1024**2} MiB"
            raise _invalid(path, what, "move data into CSV files")
        return path.read_bytes()
    except FileNotFoundError:
        raise _invalid(path, "there is no such file", near_names(path)) from None
    except (OSError, ValueError) as error:
        raise _invalid(path, f"the file can not be read: {error}", "check its name and its permissions") from None


def _read_script(path: Path, scripts: ScriptReader) -> tuple[Any, Places] | None:
    """The tree of a plan that is a script; None with faults told."""
    _read_bytes(path)
    found = scripts.declarations(path.name, ())
    if found is None:
        return None
    script, declared = found
    if not declared.scenarios:
        raise _invalid(path, "the script declares no scenario", "put @scenario(...) before an async def")
    tree, places = plan_of_script(script, str(path), declared)
    _refuse_broken_text(tree, str(path))
    return tree, places


def _refuse_broken_text(tree: object, file: str) -> None:
    """What can not be written as UTF-8 can not be sent: bytes of a command line, half of a surrogate pair."""
    try:
        json.dumps(tree, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _invalid(
            Path(file), "some text holds characters that are not Unicode", "write it as UTF-8"
        ) from None


def _invalid(path: Path, message: str, hint: str) -> PlanInvalid:
    return PlanInvalid([Fault(str(path), 0, 0, "", message, hint)])
