"""Scripts of a plan: looked into once each, their declarations turned into the keys of YAML.

What a script declares takes the same way as what a plan says: it is put into the plain tree, with the script's
lines as its places, and read by the same reader, so that one wrong duration is one fault wherever it stands.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from loadr.errors import PlanInvalid, ScriptFault
from loadr.plan.explain import show
from loadr.plan.faults import FaultList, Place, Places, Route
from loadr.plan.files import FileRefused, PlanFiles
from loadr.plan.imports import imported_files
from loadr.plan.scripting import DataHandle, Declarations, ScenarioDeclaration

Inspect = Callable[[Path, Path], Declarations]


class ScriptReader:
    """``shown_folder`` is the plan's folder as the user named it, for places in messages."""

    def __init__(self, files: PlanFiles, faults: FaultList, shown_folder: Path, inspect: Inspect) -> None:
        self._files = files
        self._faults = faults
        self._shown_folder = shown_folder
        self._inspect = inspect
        self._known: dict[str, Declarations | None] = {}

    def declarations(self, name: Any, route: Route) -> tuple[str, Declarations] | None:
        """What the script declares, and its normalized name; None with faults told. Its files join the plan's."""
        if not isinstance(name, str):
            self._faults.add(route, f"must name a Python file, and is {show(name)}")
            return None
        try:
            relative, path = self._files.locate(name)
        except FileRefused as error:
            self._faults.add(route, error.message, error.hint)
            return None
        if path.suffix != ".py":
            self._faults.add(route, f"{name} is not a Python file", "its name ends in .py")
            return None
        if relative not in self._known:
            self._known[relative] = self._look_into(path, route)
        declared = self._known[relative]
        return None if declared is None else (relative, declared)

    def data_names(self, script: Any) -> set[str]:
        """The data sets that a script declares: those that its scenarios may use. None for what is no script."""
        declared = self._known.get(script) if isinstance(script, str) else None
        return set(declared.data) if declared else set()

    def _look_into(self, path: Path, route: Route) -> Declarations | None:
        try:
            for file in imported_files(path):
                self._files.add(file.relative_to(self._files.folder).as_posix(), file)
            return self._inspect(path, self._files.folder)
        except FileRefused as error:
            self._faults.add(route, error.message, error.hint)
        except PlanInvalid as error:
            shown = (replace(fault, file=str(self._shown_folder / fault.file)) for fault in error.faults)
            self._faults.extend(tuple(shown))
        return None

    def merge_scenario(self, name: str, raw: dict[str, Any], route: Route) -> dict[str, Any] | None:
        """A scenario with ``script``: what the script's decorator says, under what the plan says."""
        found = self.declarations(raw["script"], (*route, "script"))
        if found is None:
            return None
        script, declared = found
        wanted = raw.get("function")
        if wanted is not None and not isinstance(wanted, str):
            self._faults.add((*route, "function"), f"must be the name of a function, and is {show(wanted)}")
            return None
        if wanted is None and any(name in (one.name, one.function_name) for one in declared.scenarios.values()):
            wanted = name
        try:
            one = declared.scenario(wanted)
        except ScriptFault as error:
            self._faults.add((*route, "function" if "function" in raw else "script"), error.message, error.hint)
            return None
        return self._put_under(one, script, raw, route)

    def _put_under(
        self, one: ScenarioDeclaration, script: str, raw: dict[str, Any], route: Route
    ) -> dict[str, Any]:
        settings: dict[str, Any] = dict(one.settings)
        if one.executor is not None and raw.get("executor", one.executor.kind) == one.executor.kind:
            settings |= {"executor": one.executor.kind, **one.executor.settings}
        place = Place(str(self._shown_folder / script), one.line, 1)
        for key in settings.keys() - raw.keys():
            self._faults.places.declare((*route, key), place)
        return {**settings, **raw, "script": script, "function": one.function_name}

    def with_around(self, what: str) -> list[str]:
        """The scripts that are known so far and declare a setup, or a teardown."""
        return [name for name, declared in self._known.items() if declared and what in declared.around]

    def around(self, what: str, raw: dict[str, Any], route: Route) -> dict[str, Any] | None:
        """A setup or teardown with ``script``: what the script's decorator says, under what the plan says."""
        found = self.declarations(raw["script"], (*route, "script"))
        if found is None:
            return None
        script, declared = found
        one = declared.around.get(what)
        if one is None:
            self._faults.add(
                (*route, "script"), f"{script} declares no {what}", f"put @{what} before an async def in it"
            )
            return None
        wanted = raw.get("function", one.function_name)
        if wanted != one.function_name:
            self._faults.add((*route, "function"), f"the {what} of {script} is {one.function_name!r}")
            return None
        place = Place(str(self._shown_folder / script), one.line, 1)
        for key in one.settings.keys() - raw.keys():
            self._faults.places.declare((*route, key), place)
        return {**one.settings, **{k: v for k, v in raw.items() if k == "timeout"}, "script": script} | {
            "function": one.function_name
        }

    def merge_data(self, data: dict[str, Any]) -> dict[str, Any]:
        """The data sets of a plan and those of its scripts, by name."""
        merged = dict(data)
        for script, declared in self._known.items():
            for handle in declared.data.values() if declared else ():
                entry = _plain_data(script, handle)
                if handle.name not in merged:
                    merged[handle.name] = entry
                    place = Place(str(self._shown_folder / script), handle.line, 1)
                    self._faults.places.declare(("data", handle.name), place)
                elif not _is_same(merged[handle.name], entry):
                    self._faults.add(
                        ("data", handle.name),
                        f"{script}, line {handle.line}, declares the data set {handle.name!r} in another way",
                        f"tell them apart: data.{handle.kind}(..., name=...)",
                    )
        return merged


def plan_of_script(script: str, shown: str, declared: Declarations) -> tuple[dict[str, Any], Places]:
    """The plain tree of a plan that consists of one script."""
    places = Places()
    places.declare((), Place(shown, 0, 0))
    tree: dict[str, Any] = {"scenarios": {}}
    options = dict(declared.options)
    if declared.thresholds:
        tree["thresholds"] = declared.thresholds
        places.declare(("thresholds",), Place(shown, declared.lines["thresholds"], 1))
    if options:
        place = Place(shown, declared.lines["options"], 1)
        http = {key: options.pop(key) for key in list(options) if key in _HTTP_OPTIONS}
        tree |= options | ({"defaults": {"http": http}} if http else {})
        for key in (*options, "defaults"):
            places.declare((key,), place)
    for name, one in declared.scenarios.items():
        tree["scenarios"][name] = {"script": script, "function": one.function_name}
        places.declare(("scenarios", name), Place(shown, one.line, 1))
    return tree, places


_HTTP_OPTIONS = ("base_url", "timeout", "headers", "tls_verify", "tls_ca")


def _plain_data(script: str, handle: DataHandle) -> dict[str, Any]:
    """A handle as an entry of ``data``; its file, relative to the script, made relative to the plan."""
    entry = dict(handle.settings)
    if "file" in entry:
        entry["file"] = posixpath.normpath(posixpath.join(posixpath.dirname(script), entry["file"]))
    return entry


def _is_same(declared: Any, entry: dict[str, Any]) -> bool:
    if not isinstance(declared, dict) or not isinstance(declared.get("file", ""), str):
        return True  # told elsewhere
    given = {"mode": "random", "on_end": "stop", **({"rows": 0} if "corpus" in declared else {}), **declared}
    if "file" in given:
        given["file"] = posixpath.normpath(given["file"])
    return given == entry
