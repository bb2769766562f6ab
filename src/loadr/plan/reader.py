"""The plain tree of a plan → a frozen `Plan`, or every fault of it.

Each part (a step, a scenario, a data set, a threshold) is built by itself, so that a fault in one hides no fault
in another; what only shows between parts (unique rows under both kinds of executors, a relative url without
``base_url``) is checked last.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from loadr.plan.around_reader import AroundReader, names_of
from loadr.plan.data_reader import DataReader
from loadr.plan.defaults_reader import read_http_defaults
from loadr.plan.explain import build, is_mapping, keys_of, refuse_unknown, show
from loadr.plan.faults import FaultList, Place, Route
from loadr.plan.files import FileRefused, PlanFiles
from loadr.plan.includes import include
from loadr.plan.model import ConstantVus, Defaults, Plan, PlanFile, Scenario, Threshold
from loadr.plan.scenario_reader import ScenarioReader
from loadr.plan.scope import Scope
from loadr.plan.script_reader import ScriptReader
from loadr.plan.thresholds import ThresholdInvalid, parse_threshold
from loadr.plan.usage import unique_users
from loadr.units import NS_PER_S

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
MIN_LEASE_NS = NS_PER_S  # beats come five times per lease
# Stands in for scenarios that have faults, so that the other keys of the plan are checked all the same.
_PLACEHOLDER = ConstantVus(executor="constant-vus", vus=1, duration_ns=1, script="placeholder.py")


class PlanReader:
    """Reads one plan; `read` is called once. ``shown_folder`` is the plan's folder as the user named it."""

    def __init__(self, files: PlanFiles, scripts: ScriptReader, faults: FaultList, shown_folder: Path) -> None:
        self._files = files
        self._scripts = scripts
        self._faults = faults
        self._shown_folder = shown_folder

    def read(
        self,
        tree: Any,
        *,
        name: str,
        seed: int,
        env: Mapping[str, str],
        tags: Mapping[str, str],
        included: Sequence[str] = (),
        secrets: Collection[str] | None = None,
    ) -> Plan | None:
        """The plan; None, or one of no use, if faults were told. The tree's ``name`` and ``seed`` go first;
        ``included`` are patterns of the command line."""
        if not is_mapping(tree, (), self._faults, "a plan needs at least the key scenarios"):
            return None
        values = refuse_unknown(tree, keys_of(Plan), (), self._faults)
        http = read_http_defaults(values.get("defaults", {}), env, secrets, self._files, self._faults)

        raw_scenarios = self._merge_scripts(self._mapping(values, "scenarios"))
        raw_data = self._scripts.merge_data(self._mapping(values, "data"))
        data_reader = DataReader(self._files, self._faults, self._shown_folder)
        data = {key: data_reader.read(key, raw) for key, raw in raw_data.items()}
        scope = Scope({key: one.columns if one else None for key, one in data.items()}, env, secrets)
        around = AroundReader(scope, self._scripts, self._faults)
        values["setup"] = setup = around.read("setup", values)
        values["teardown"] = around.read("teardown", values, names_of(setup))
        had_setup = setup is None and tree.get("setup") is not None  # with faults: any name may be right
        reader = ScenarioReader(replace(scope, setup=None if had_setup else names_of(setup)), self._faults)
        scenarios = {key: self._read_scenario(reader, key, raw) for key, raw in raw_scenarios.items()}
        for route in (*around.relative_urls, *reader.relative_urls) if not _names_base_url(values) else ():
            hint = 'add defaults: { http: { base_url: "https://shop.example" } }'
            self._faults.add(route, "the url is relative and the plan has no base_url", hint)

        if values.get("scenarios", {}) != {}:
            named = {key: one or _PLACEHOLDER for key, one in scenarios.items() if _NAME.fullmatch(key)}
            values["scenarios"] = named or {"placeholder": _PLACEHOLDER}
        values["data"] = {key: one for key, one in data.items() if one is not None and _NAME.fullmatch(key)}
        values["thresholds"] = self._read_thresholds(self._mapping(values, "thresholds"))
        values["defaults"] = Defaults(http=http)
        values["include"] = self._include(values.get("include", []), included)
        values |= {"env": dict(env), "tags": dict(tags), "files": self._list_files()}
        plan = build(Plan, {"name": name, "seed": seed, **values}, (), self._faults)
        if plan is not None:
            self._check(plan)
        return plan

    def _mapping(self, values: Mapping[str, Any], key: str) -> dict[str, Any]:
        """The mapping below one key of the plan; empty if it is not there, or not a mapping, which is told."""
        inner = values.get(key, {})
        return inner if is_mapping(inner, (key,), self._faults) else {}

    # --- scenarios -------------------------------------------------------------------------------------------

    def _merge_scripts(self, scenarios: Mapping[str, Any]) -> dict[str, Any]:
        """Scenarios as written, those of scripts completed by their decorators, or left out where that failed."""
        merged: dict[str, Any] = {}
        for name, raw in scenarios.items():
            if isinstance(raw, dict) and "script" in raw and "flow" not in raw:
                complete = self._scripts.merge_scenario(name, raw, ("scenarios", name))
                if complete is not None or "executor" in raw:
                    merged[name] = complete or {**raw, "script": None, "function": None}  # told already
            else:
                merged[name] = raw
        return merged

    def _read_scenario(self, reader: ScenarioReader, name: str, raw: Any) -> Scenario | None:
        route: Route = ("scenarios", name)
        if not _NAME.fullmatch(name):
            hint = "a name is of letters, digits, _ and -, at most 64"
            self._faults.add(route, f"{name[:80]!r} can not be the name of a scenario", hint, at_key=True)
        if not is_mapping(raw, route, self._faults, "it needs executor, and flow or script"):
            return None
        return reader.read(raw, route, self._scripts.data_names(raw.get("script")))

    # --- files -----------------------------------------------------------------------------------------------

    def _include(self, raw: Any, included: Sequence[str]) -> tuple[str, ...]:
        """Add the extra files of the plan and of the command line; all patterns."""
        written = [raw] if isinstance(raw, str) else raw
        if not isinstance(written, list) or not all(isinstance(one, str) for one in written):
            self._faults.add(
                ("include",), f"must be a list of texts, and is {show(raw)}", 'write ["lib/**/*.py"]'
            )
            written = []
        for number, error in include(written, self._files):
            self._faults.add(("include", number), error.message, error.hint)
        self._faults.places.declare(("--include",), Place("command line", 0, 0))
        for _, error in include(included, self._files):
            self._faults.add(("--include",), error.message, error.hint)
        return (*written, *included)

    def _list_files(self) -> tuple[PlanFile, ...]:
        try:
            self._files.check_quota()
            return self._files.listed()
        except FileRefused as error:
            self._faults.add((), error.message, error.hint)
            return ()

    # --- thresholds ------------------------------------------------------------------------------------------

    def _read_thresholds(self, thresholds: Mapping[str, Any]) -> dict[str, tuple[Threshold, ...]]:
        read: dict[str, tuple[Threshold, ...]] = {}
        for metric, raw in thresholds.items():
            route: Route = ("thresholds", metric)
            listed = raw if isinstance(raw, list) else [raw]
            if not listed:
                self._faults.add(route, "the list of thresholds is empty", "write for example [ p(95)<400 ]")
            routes = [(*route, i) if isinstance(raw, list) else route for i in range(len(listed))]
            rules = [self._read_threshold(metric, one, at) for one, at in zip(listed, routes, strict=True)]
            read[metric] = tuple(rule for rule in rules if rule is not None)
        return read

    def _read_threshold(self, metric: str, raw: Any, route: Route) -> Threshold | None:
        if isinstance(raw, str):
            values: dict[str, Any] = {"threshold": raw}
        elif isinstance(raw, dict):
            values = refuse_unknown(raw, keys_of(Threshold), route, self._faults)
        else:
            hint = 'write "p(95)<400" or { threshold: "p(95)<400" }'
            self._faults.add(route, f"must be a threshold, and is {show(raw)}", hint)
            return None
        rule = build(Threshold, values, route, self._faults)
        if rule is not None:
            try:
                parse_threshold(metric, rule.threshold)
            except ThresholdInvalid as error:
                at = ("thresholds", metric) if error.in_metric else route
                self._faults.add(at, error.message, error.hint, at_key=error.in_metric)
        return rule

    # --- between the parts -------------------------------------------------------------------------------------

    def _check(self, plan: Plan) -> None:
        if plan.lease_ns < MIN_LEASE_NS:
            self._faults.add(("lease",), "must be at least 1s", "10s suits most fleets")
        for name, users in unique_users(plan).items():
            closed = [user for user in users if isinstance(plan.scenarios[user], ConstantVus)]
            if closed and len(closed) < len(users):
                other = next(user for user in users if user not in closed)
                self._faults.add(
                    ("scenarios", closed[0], "executor"),
                    f"{closed[0]} (closed) and {other} (open) share the unique rows of {name!r}",
                    "give each model a data set of its own: their rows are dealt out in two ways",
                )
            rows = plan.data[name].rows
            if len(users) > rows:
                what = f"{name} has {rows} row{'s' * (rows != 1)} for the {len(users)} scenarios that share it"
                self._faults.add(("data", name), what, "add rows: each scenario needs one at least")


def _names_base_url(values: Mapping[str, Any]) -> bool:
    """Whether it is written at all: if it is wrong, that is told once and not for each url."""
    match values:
        case {"defaults": {"http": {"base_url": _}}}:
            return True
        case _:
            return False
