"""The HTTP API: its routes, with the words of the module that serves them."""

from __future__ import annotations

import re
from typing import cast

from starlette.routing import Route

from loadr.api import server
from loadr.api.facade import ControllerFacade
from reference.source import table


def render() -> str:
    """Raises `SystemExit` if a route has no line in the module's docstring, or a line no route."""
    said = {
        (method, re.sub(r"\{\w+\}", "{}", path)): (path, words)
        for method, path, words in re.findall(r"^    ([A-Z]+) +(/\S+) +(.+)$", server.__doc__ or "", re.MULTILINE)
    }
    app = server.create_app(cast(ControllerFacade, None))
    routes = [
        (method, re.sub(r"\{\w+\}", "{}", route.path))
        for route in app.routes
        if isinstance(route, Route)
        for method in sorted(route.methods or ())
    ]
    served = [one for one in routes if one[0] != "HEAD" or ("GET", one[1]) not in routes]
    if set(served) != said.keys():
        different = ", ".join(f"{method} {path}" for method, path in sorted(set(served) ^ said.keys()))
        raise SystemExit(f"the docstring of loadr.api.server and its routes do not agree on: {different}")
    rows = [(method, f"`{said[method, path][0]}`", said[method, path][1]) for method, path in served]
    return table(("Method", "Path", "What it does"), rows)
