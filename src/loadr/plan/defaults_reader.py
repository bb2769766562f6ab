"""``defaults:`` of a plan: the mapping as written → `HttpDefaults`, every fault told.

``base_url`` may hold ``${env.KEY}``, which is put in here; a slash at its end is dropped. Headers may hold
``${…}`` of what every scenario knows.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from typing import Any

from loadr.plan.addresses import AddressInvalid, check_address
from loadr.plan.explain import build, is_mapping, keys_of, refuse_unknown
from loadr.plan.expressions import Expression, ExpressionInvalid, parse_template
from loadr.plan.faults import FaultList, Route
from loadr.plan.files import FileRefused, PlanFiles
from loadr.plan.flow_reader import FlowReader
from loadr.plan.model import Defaults, HttpDefaults
from loadr.plan.scope import Scope, misuses

_HTTP: Route = ("defaults", "http")
_EXAMPLE = 'write base_url: "https://shop.example"'


def read_http_defaults(
    raw: Any, env: Mapping[str, str], secrets: Collection[str] | None, files: PlanFiles, faults: FaultList
) -> HttpDefaults:
    """The defaults; those of the model where faults were found."""
    if not is_mapping(raw, ("defaults",), faults, f"write http: and below it {', '.join(keys_of(HttpDefaults))}"):
        return HttpDefaults()
    http = refuse_unknown(raw, keys_of(Defaults), ("defaults",), faults).get("http", {})
    if not is_mapping(http, _HTTP, faults, _EXAMPLE):
        return HttpDefaults()
    values = refuse_unknown(http, keys_of(HttpDefaults), _HTTP, faults)
    if isinstance(values.get("base_url"), str):
        values["base_url"] = _read_base_url(values["base_url"], env, faults)
    if isinstance(values.get("headers"), dict):
        FlowReader(Scope(env=env, secrets=secrets), faults).check_headers(values["headers"], (*_HTTP, "headers"))
    if isinstance(values.get("tls_ca"), str):
        values["tls_ca"] = _read_tls_ca(values["tls_ca"], files, faults)
    read = build(HttpDefaults, values, _HTTP, faults)
    if read is not None and read.timeout_ns == 0:
        faults.add((*_HTTP, "timeout"), "must be longer than 0s")
    return read or HttpDefaults()


def _read_base_url(text: str, env: Mapping[str, str], faults: FaultList) -> str:
    route = (*_HTTP, "base_url")
    try:
        template = parse_template(text)
    except ExpressionInvalid as error:
        faults.add(route, error.message, error.hint)
        return ""
    if wrong := misuses(template, Scope(env=env)):
        for misuse in wrong:
            faults.add(route, misuse.message, misuse.hint)
        return ""
    url = ""
    for part in template.parts:
        key = _env_key(part) if isinstance(part, Expression) else None
        if isinstance(part, Expression) and key is None:
            faults.add(
                route, f"base_url is the same for all: ${{{part.source}}} can not be used", "use ${env.KEY}"
            )
            return ""
        url += env[key] if key is not None else str(part)
    try:
        check_address(url)
    except AddressInvalid as error:
        faults.add(route, error.message, error.hint)
    if "?" in url or "#" in url:
        faults.add(route, "base_url has a query or a fragment", "put it into the urls of the requests")
    return url.rstrip("/")


def _env_key(expression: Expression) -> str | None:
    """KEY of an expression that is nothing but ``env.KEY`` or ``env["KEY"]``."""
    match expression.node.body:
        case ast.Attribute(value=ast.Name(id="env"), attr=key):
            return key
        case ast.Subscript(value=ast.Name(id="env"), slice=ast.Constant(value=str(key))):
            return key
        case _:
            return None


def _read_tls_ca(name: str, files: PlanFiles, faults: FaultList) -> str | None:
    route = (*_HTTP, "tls_ca")
    try:
        relative, path = files.locate(name)
        files.add(relative, path)
    except FileRefused as error:
        faults.add(route, error.message, error.hint)
        return None
    if b"-----BEGIN CERTIFICATE-----" not in path.read_bytes():
        faults.add(
            route, f"{relative} holds no certificate", "a PEM file begins with -----BEGIN CERTIFICATE-----"
        )
    return relative
