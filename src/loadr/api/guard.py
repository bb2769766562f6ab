"""Who may talk to the API: programs on this machine or with a token, and no page of a browser that was led here.

The API starts load and takes code. On loopback it may stand without a token; but a page on the Web can make a
browser send requests to 127.0.0.1, under a name of its own (DNS rebinding) or across origins. The first carries
a foreign ``Host``, the second a foreign ``Origin``: both are turned away before anything is read. Off loopback
the name is the certificate's business, and every request bears a token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadr.api.answers import error_answer
from loadr.clock import unix_ms
from loadr.coordination.admission import find_token
from loadr.transport.address import Address

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from loadr.transport.tokens import TokenReader


class Guard:
    """ASGI middleware. ``tokens`` None: no token is asked for. ``loopback_only``: it has no other name."""

    def __init__(self, app: ASGIApp, *, tokens: TokenReader | None = None, loopback_only: bool = True) -> None:
        self._app = app
        self._tokens = tokens
        self._loopback_only = loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1").lower()
        origin = headers.get(b"origin")
        answer = None
        if self._loopback_only and not _is_loopback(host):
            answer = error_answer(
                421,
                f"{host or 'no name'!r} is not this controller",
                "use 127.0.0.1, localhost or [::1] as its name",
            )
        elif origin is not None and origin.decode("latin-1").lower() != f"{scope['scheme']}://{host}":
            answer = error_answer(403, "a page of another site may not command this controller")
        elif (unfit := self._unfit(headers.get(b"authorization", b"").decode("latin-1"))) is not None:
            answer = error_answer(401, *unfit)
            answer.headers["www-authenticate"] = "Bearer"
        await (answer or self._app)(scope, receive, send)

    def _unfit(self, authorization: str) -> tuple[str, str] | None:
        """Why this request may not be served, with a hint; None if it may."""
        if self._tokens is None:
            return None
        kind, _, presented = authorization.partition(" ")
        if kind.lower() != "bearer" or not presented:
            return "this controller asks for a token", "give one with --api-token-file"
        token = find_token(self._tokens.tokens, presented.strip())
        if token is None:
            return (
                "the token is not known here",
                "is it of the store that the controller has as --api-token-file?",
            )
        if unix_ms() >= token.expires_unix_ms:
            return f"the token {token.token_id} has expired", "make a new one: loadr token create FILE"
        if token.uses is not None:
            return f"the token {token.token_id} is for agents: its uses are counted", "make one without --uses"
        return None


def _is_loopback(host: str) -> bool:
    name, colon, port = host.rpartition(":")
    if not (colon and port.isdigit()):
        name = host
    return Address(name.removeprefix("[").removesuffix("]"), 0).loopback
