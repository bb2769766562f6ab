"""``setup:`` and ``teardown:`` of a plan: the mapping as written, or what a script declares → `Around`.

Both are read as flows of scenarios are, without rows of data: there is no iteration that they would belong to.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from loadr.plan.explain import build, is_mapping, keys_of, refuse_unknown
from loadr.plan.faults import FaultList, Route
from loadr.plan.flow_reader import FlowReader
from loadr.plan.model import Around
from loadr.plan.scope import Scope
from loadr.plan.script_reader import ScriptReader

_EXAMPLE = "write flow: with a list of steps, or script: with the name of a Python file"


class AroundReader:
    """``scope`` is what every scenario knows. ``relative_urls`` grows with what is read."""

    def __init__(self, scope: Scope, scripts: ScriptReader, faults: FaultList) -> None:
        self._scope = replace(scope, data={}, elsewhere=scope.data.keys(), iterations=False)
        self._scripts = scripts
        self._faults = faults
        self.relative_urls: list[Route] = []

    def read(self, what: str, values: Mapping[str, Any], setup: Collection[str] | None = ()) -> Around | None:
        """``what`` is "setup" or "teardown"; None if the plan has none, or with faults told. ``setup``: what the
        setup extracted, None if any name may be right."""
        route: Route = (what,)
        raw: Any = values.get(what)
        if what not in values:
            raw = self._declared(what)
            if raw is None:
                return None
        if not is_mapping(raw, route, self._faults, _EXAMPLE):
            return None
        before = len(self._faults)
        read = refuse_unknown(raw, keys_of(Around), route, self._faults)
        if ("flow" in raw) == ("script" in raw):
            has = "both" if "flow" in raw else "neither"
            self._faults.add(
                route, f"{what} has a flow or a script, and this one has {has}", _EXAMPLE, at_key=True
            )
            return None
        if "script" in raw:
            found = self._scripts.around(what, raw, route)
            return None if found is None else build(Around, {**read, **found}, route, self._faults)
        if "function" in raw:
            said = "function names a function of a script, and there is no script"
            self._faults.add((*route, "function"), said, "add script: or remove function:", at_key=True)
        reader = FlowReader(replace(self._scope, setup=setup), self._faults)
        read["flow"] = reader.read(raw["flow"], (*route, "flow"))
        self.relative_urls += reader.relative_urls
        extracts = tuple(
            name for step in read["flow"] if step.request is not None for name in step.request.extract
        )
        around = build(Around, {**read, "extracts": extracts}, route, self._faults)
        return around if len(self._faults) == before else None

    def _declared(self, what: str) -> dict[str, Any] | None:
        """What the one script of the plan declares that declares any."""
        found = self._scripts.with_around(what)
        if len(found) > 1:
            names = " and ".join(found)
            self._faults.add(
                (), f"{names} both declare a {what}", f"name one with {what}: {{ script: {found[0]} }}"
            )
            return None
        return {"script": found[0]} if found else None


def names_of(setup: Around | None) -> Collection[str] | None:
    """What ``setup.NAME`` may be: what its flow extracts, anything (None) if a script returns it."""
    if setup is None:
        return ()
    return None if setup.script is not None else setup.extracts
