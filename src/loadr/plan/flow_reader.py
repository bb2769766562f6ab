"""The steps of a flow: the list as written in YAML → `Step` models, every fault told.

Along the way each ``${…}`` is checked against what is known at its place, so variables must be extracted by an
earlier step; which data sets are used, and which urls need a ``base_url``, is noted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from loadr.plan.addresses import AddressInvalid, check_address
from loadr.plan.explain import build, is_mapping, keys_of, refuse_unknown, show
from loadr.plan.expressions import ExpressionInvalid, Template, parse_template, static_text, whole_expression
from loadr.plan.faults import FaultList, Route
from loadr.plan.model import METHODS, Extract, RendezvousStep, RequestStep, Step, ThinkStep
from loadr.plan.scope import RESERVED, Scope, did_you_mean, misuses
from loadr.units import parse_duration_ns

STEPS = ("request", "think", "rendezvous")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
_FRAMING_HEADERS = ("content-length", "transfer-encoding", "connection")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_REQUEST_EXAMPLE = 'write request: { get: "/items" }'


class FlowReader:
    """Reads the flow of one scenario. ``uses`` and ``relative_urls`` hold once `read` was called."""

    def __init__(self, scope: Scope, faults: FaultList) -> None:
        self._scope = scope
        self._faults = faults
        self.uses: set[str] = set()  # names of data sets
        self.relative_urls: list[Route] = []

    def read(self, steps: Any, route: Route) -> tuple[Step, ...]:
        """The steps that could be read; fewer than written if faults were found."""
        if not isinstance(steps, list):
            self._faults.add(
                route, f"must be a list of steps, and is {show(steps)}", "begin each step with a dash"
            )
            return ()
        if not steps:
            self._faults.add(route, "the flow is empty", f"add a step: {' or '.join(STEPS)}")
        self._scope = replace(self._scope, later=_extracted_names(steps))
        read = [self._read_step(step, (*route, i)) for i, step in enumerate(steps)]
        return tuple(step for step in read if step is not None)

    def _read_step(self, step: Any, route: Route) -> Step | None:
        if not is_mapping(step, route, self._faults, f"a step is one of {', '.join(STEPS)}"):
            return None
        known = [key for key in step if key in STEPS]
        for key in step:
            if key not in STEPS:
                self._faults.add((*route, key), f"unknown step {key!r}", did_you_mean(key, STEPS), at_key=True)
        if len(known) != 1:
            if len(known) == len(step):
                what = "a step has one key" if known else "the step is empty"
                self._faults.add(route, what, "begin each step with a dash of its own")
            return None
        if known[0] == "think":
            think = self._read_think(step["think"], (*route, "think"))
            return Step(think=think) if think else None
        if known[0] == "rendezvous":
            met = self._read_rendezvous(step["rendezvous"], (*route, "rendezvous"))
            return Step(rendezvous=met) if met else None
        request = self._read_request(step["request"], (*route, "request"))
        return Step(request=request) if request else None

    # --- think ---------------------------------------------------------------------------------------------

    def _read_think(self, think: Any, route: Route) -> ThinkStep | None:
        if not isinstance(think, dict):
            return self._think_between(think, think, route, route)
        values = refuse_unknown(think, ["uniform", "constant"], route, self._faults)
        if len(think) != 1 or not values:
            if len(values) == len(think):
                self._faults.add(route, "needs one of uniform and constant", "write think: { uniform: [1s, 3s] }")
            return None
        if "constant" in values:
            return self._read_think(values["constant"], (*route, "constant"))
        pair, inner = values["uniform"], (*route, "uniform")
        if not isinstance(pair, list) or len(pair) != 2:
            self._faults.add(inner, "needs the shortest and the longest pause", "write uniform: [1s, 3s]")
            return None
        step = self._think_between(pair[0], pair[1], (*inner, 0), (*inner, 1))
        if step is not None and step.low_ns > step.high_ns:
            self._faults.add(inner, "the shortest pause is longer than the longest", "swap them")
        return step

    def _think_between(self, low: Any, high: Any, low_route: Route, high_route: Route) -> ThinkStep | None:
        """From the durations as written: the model parses them again."""
        before = len(self._faults)
        for route, value in {low_route: low, high_route: high}.items():
            try:
                parse_duration_ns(value)
            except ValueError as error:
                self._faults.add(route, str(error))
        return ThinkStep(low_ns=low, high_ns=high) if len(self._faults) == before else None

    def _read_rendezvous(self, raw: Any, route: Route) -> RendezvousStep | None:
        if not is_mapping(raw, route, self._faults, "write rendezvous: { name: door, users: 10, timeout: 30s }"):
            return None
        if not self._scope.iterations:
            self._faults.add(route, "VUs meet in iterations, and this is none", "put it into a scenario")
            return None
        values = refuse_unknown(raw, keys_of(RendezvousStep), route, self._faults)
        return build(RendezvousStep, values, route, self._faults)

    # --- request -------------------------------------------------------------------------------------------

    def _read_request(self, request: Any, route: Route) -> RequestStep | None:
        if not is_mapping(request, route, self._faults, _REQUEST_EXAMPLE):
            return None
        before = len(self._faults)
        methods = [key for key in request if key in METHODS]
        guesses = {
            key: f"methods are in lower case: {key.lower()}" for key in request if key.lower() in METHODS
        } | dict.fromkeys(("url", "method"), "the method is the key, the url its value: get: /items")
        known = [*keys_of(RequestStep), *METHODS]
        values = refuse_unknown(request, known, route, self._faults, guesses)
        if len(methods) != 1:
            what = (
                f"the request has two methods: {', '.join(methods)}" if methods else "the request has no method"
            )
            self._faults.add(route, what, "split it into two steps" if methods else _REQUEST_EXAMPLE)
        for method in methods:
            self._check_url(values.pop(method), (*route, method))
        bodies = [key for key in ("json", "form", "body") if key in values]
        if len(bodies) > 1:
            self._faults.add(
                (*route, bodies[1]), f"{', '.join(bodies)} exclude each other", "keep one", at_key=True
            )

        self._check_texts(values, route)
        checks = values.pop("check", {})
        self._check_checks(checks, (*route, "check"))
        extracts = self._read_extracts(values.pop("extract", {}), (*route, "extract"))
        if "json" in values and values["json"] is None:
            self._faults.add((*route, "json"), "json: null sends no body", "leave the key out, or send { }")
        step = build(
            RequestStep,
            {
                **values,
                "method": (methods or ["get"])[0].upper(),
                "url": str(request[methods[0]]) if methods else "",
                "extract": extracts,
                "check": checks if len(self._faults) == before else {},
            },
            route,
            self._faults,
        )
        if step is not None and step.timeout_ns == 0:
            self._faults.add((*route, "timeout"), "must be longer than 0s")
        return step

    def _check_url(self, url: Any, route: Route) -> None:
        template = self._template(url, route, "the url must be text")
        if template is None:
            return
        if not template.parts:
            self._faults.add(route, "the url is empty", 'write "/" or a full address')
            return
        literal = "".join(part for part in template.parts if isinstance(part, str))
        if bad := next((char for char in literal if char <= " " or char == "\x7f"), None):
            what = "a blank" if bad == " " else "a control character"
            self._faults.add(route, f"the url holds {what}", "write %20, or put the value into params")
            return
        first = template.parts[0]
        if not isinstance(first, str):
            return  # an expression may hold a whole address
        if not _SCHEME.match(first):
            self.relative_urls.append(route)
            if not first.startswith(("/", "?")):
                self._faults.add(route, "a relative url begins with /", f'write "/{first[:40]}"')
            return
        try:
            # What expressions will fill in is not known: a host that begins before them stands for the whole.
            check_address("".join(part if isinstance(part, str) else "0" for part in template.parts))
        except AddressInvalid as error:
            self._faults.add(route, error.message, error.hint)

    def _check_texts(self, values: Mapping[str, Any], route: Route) -> None:
        """The keys of a request whose texts may hold ``${…}``, and ``name``, which may not."""
        if isinstance(values.get("name"), str):
            name = self._template(values["name"], (*route, "name"))
            if name is not None and static_text(name) is None:
                hint = "name the kind of request; without a name the url as written is used"
                self._faults.add((*route, "name"), "a name is fixed text: it names a series of results", hint)
        if isinstance(values.get("headers"), dict):
            self.check_headers(values["headers"], (*route, "headers"))
        if isinstance(values.get("body"), str):
            self._template(values["body"], (*route, "body"))
        for key in ("params", "form", "json"):
            if key in values:
                self._check_tree(values[key], (*route, key))

    def check_headers(self, headers: Mapping[str, Any], route: Route) -> None:
        """Names and values of headers; values that are not text are left to the model."""
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name):
                self._faults.add((*route, name), f"{name!r} can not be the name of a header", at_key=True)
            elif name.lower() in _FRAMING_HEADERS:
                self._faults.add((*route, name), f"{name} is set by loadr itself", "remove it", at_key=True)
            template = self._template(value, (*route, name)) if isinstance(value, str) else None
            for part in template.parts if template else ():
                if isinstance(part, str) and not _HEADER_VALUE.fullmatch(part):
                    what = "the value of a header is one line of Latin-1 text"
                    self._faults.add((*route, name), what, "encode the value")
                    break

    def _check_tree(self, value: Any, route: Route) -> None:
        match value:
            case str():
                self._template(value, route)
            case float() if not math.isfinite(value):
                self._faults.add(route, f"{value} can not be written as JSON", "use a finite number, or null")
            case int() if not -(2**63) <= value < 2**64:
                self._faults.add(route, "the number needs more than 64 bits", "put it in quotes")
            case list():
                for i, item in enumerate(value):
                    self._check_tree(item, (*route, i))
            case dict():
                for key, item in value.items():
                    if "${" in key:
                        self._faults.add((*route, key), "a key can not hold ${…}", "only values can", at_key=True)
                    self._check_tree(item, (*route, key))
            case _:
                pass

    def _check_checks(self, checks: Any, route: Route) -> None:
        if not is_mapping(checks, route, self._faults, "write check: { status: 200 }"):
            return
        scope = replace(self._scope, response=True)
        for name, rule in checks.items():
            inner = (*route, name)
            if name == "status" and not isinstance(rule, str):
                codes = rule if isinstance(rule, list) else [rule]
                if not codes or any(type(code) is not int or not 100 <= code <= 599 for code in codes):
                    self._faults.add(inner, "must be a status code or a list of them", "write 200 or [200, 304]")
                continue
            if not name.strip():
                self._faults.add(inner, "the check has no name", "say what must hold", at_key=True)
            template = self._template(rule, inner, "must be an expression", scope)
            if template is not None and whole_expression(template) is None:
                self._faults.add(inner, "must be one expression", 'write "${response.duration_ms < 300}"')

    def _read_extracts(self, extracts: Any, route: Route) -> dict[str, Extract]:
        if not is_mapping(
            extracts, route, self._faults, 'write extract: { item: { jsonpath: "$.items[0].id" } }'
        ):
            return {}
        read: dict[str, Extract] = {}
        for name, raw in extracts.items():
            inner = (*route, name)
            self._check_variable(name, inner)
            if not is_mapping(raw, inner, self._faults, f'write {name}: {{ jsonpath: "$.items[0].id" }}'):
                continue
            values = refuse_unknown(raw, keys_of(Extract), inner, self._faults)
            extract = build(Extract, values, inner, self._faults)
            if extract is not None and _IDENTIFIER.fullmatch(name):
                self._check_jsonpath(extract.jsonpath, (*inner, "jsonpath"))
                read[name] = extract
        variables = {*self._scope.variables, *extracts}
        self._scope = replace(self._scope, variables=variables)
        return read

    def _check_variable(self, name: str, route: Route) -> None:
        if not _IDENTIFIER.fullmatch(name):
            hint = "use letters, digits and _, as in item_id"
            self._faults.add(route, f"{name!r} can not be the name of a variable", hint, at_key=True)
        elif name in RESERVED or name in self._scope.data:
            self._faults.add(route, f"the name {name!r} is taken", "give the variable another name", at_key=True)

    def _check_jsonpath(self, path: str, route: Route) -> None:
        from jsonpath import JSONPathError, compile

        try:
            compile(path)
        except JSONPathError as error:
            reason = str(error).split("\n")[0]
            self._faults.add(route, f"{path!r} is not a JSONPath: {reason}", "write for example $.items[0].id")
        except (RecursionError, ValueError, IndexError, KeyError, TypeError, AttributeError):
            self._faults.add(route, f"{path[:60]!r} is not a JSONPath", "write for example $.items[0].id")

    # --- text ----------------------------------------------------------------------------------------------

    def _template(
        self, text: Any, route: Route, must_be: str = "must be text", scope: Scope | None = None
    ) -> Template | None:
        """The parsed template; None if it could not be parsed, which is told."""
        if not isinstance(text, str):
            self._faults.add(route, f"{must_be}, and is {show(text)}")
            return None
        scope = scope or self._scope
        try:
            template = parse_template(text)
        except ExpressionInvalid as error:
            self._faults.add(route, error.message, error.hint)
            return None
        for misuse in misuses(template, scope):
            self._faults.add(route, misuse.message, misuse.hint)
        for expression in template.expressions:
            self.uses.update(expression.names & scope.data.keys())
        return template


def _extracted_names(steps: list[Any]) -> Collection[str]:
    """Every variable that some step of the flow extracts, read as far as the steps have the right shape."""
    names: set[str] = set()
    for step in steps:
        match step:
            case {"request": {"extract": dict(extracts)}}:
                names.update(extracts)
            case _:
                pass
    return names
