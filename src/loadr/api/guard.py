"""Who may talk to the API: programs on this machine, and no page of a browser that was led here.

The API starts load and takes code, and it listens on loopback without a password. A page on the Web can make a
browser send requests to 127.0.0.1, under a name of its own (DNS rebinding) or across origins. The first carries a
foreign ``Host``, the second a foreign ``Origin``: both are turned away before anything is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadr.api.answers import error_answer
from loadr.transport.address import Address

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class LoopbackGuard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1").lower()
        origin = headers.get(b"origin")
        if not _is_loopback(host):
            answer = error_answer(
                421,
                f"{host or 'no name'!r} is not this controller",
                "use 127.0.0.1, localhost or [::1] as its name",
            )
            await answer(scope, receive, send)
        elif origin is not None and origin.decode("latin-1").lower() != f"http://{host}":
            answer = error_answer(403, "a page of another site may not command this controller")
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _is_loopback(host: str) -> bool:
    name, colon, port = host.rpartition(":")
    if not (colon and port.isdigit()):
        name = host
    return Address(name.removeprefix("[").removesuffix("]"), 0).loopback
