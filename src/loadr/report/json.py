"""The summary as JSON for programs (`--summary-export`): k6's layout, and all of ours under ``loadr``.

``metrics`` and ``root_group`` are as k6's own export writes them, quirks included: a threshold's boolean is true
when it was *crossed*, and a check's id is the MD5 of its path. ``loadr`` is the whole `Summary`, from which every
other report can be made again.
"""

from __future__ import annotations

from hashlib import md5
from typing import Any

import msgspec

from loadr.verdict.model import MetricLine, Summary


def render_json(summary: Summary) -> bytes:
    """UTF-8 JSON, indented, ending with a newline."""
    export = {
        "metrics": {line.name: _metric(line, summary) for line in summary.metrics},
        "root_group": _root_group(summary),
        "loadr": summary,
    }
    return msgspec.json.format(msgspec.json.encode(export), indent=2) + b"\n"


def _metric(line: MetricLine, summary: Summary) -> dict[str, Any]:
    values: dict[str, Any] = {key: _number(value) for key, value in line.values.items()}
    crossed = {
        result.expression: not result.passed for result in summary.thresholds if result.metric == line.name
    }
    return values | {"thresholds": crossed} if crossed else values


def _number(value: float) -> float | int:
    """Counts are written as k6 writes them, without a fraction."""
    return int(value) if value.is_integer() else value


def _root_group(summary: Summary) -> dict[str, Any]:
    """Checks of one name in several scenarios are one check to k6."""
    checks: dict[str, dict[str, Any]] = {}
    for line in summary.checks:
        check = checks.setdefault(line.name, _check(line.name))
        check["passes"] += line.passes
        check["fails"] += line.fails
    return {"name": "", "path": "", "id": _k6_id(""), "groups": {}, "checks": checks}


def _check(name: str) -> dict[str, Any]:
    path = f"::{name}"
    return {"name": name, "path": path, "id": _k6_id(path), "passes": 0, "fails": 0}


def _k6_id(path: str) -> str:
    return md5(path.encode(), usedforsecurity=False).hexdigest()
