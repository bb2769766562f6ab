"""Answers of the API: JSON of msgspec's making; every error says what happened and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from loadr.errors import FleetFault, LoadrError, PeerFault, PlanInvalid, UserFault

if TYPE_CHECKING:
    from starlette.requests import Request


def json_answer(value: object, status: int = 200) -> Response:
    """``value``: anything that msgspec can encode."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def error_answer(status: int, error: str, hint: str = "", **more: object) -> Response:
    """``{"error": …, "hint": …}``."""
    return json_answer({"error": error, "hint": hint, **more}, status)


async def answer_exception(request: Request, error: Exception) -> Response:
    """Faults of users and peers are 400, those of the fleet 409 (as things stand it can not be), ours 500."""
    match error:
        case PlanInvalid():
            return error_answer(400, error.message, error.hint, faults=[str(fault) for fault in error.faults])
        case UserFault() | PeerFault():
            return error_answer(400, error.message, error.hint)
        case FleetFault():
            return error_answer(409, error.message, error.hint)
        case LoadrError():
            return error_answer(500, error.message, error.hint)
        case HTTPException(status_code=404):
            return error_answer(404, f"there is no {request.url.path}", "see /v1/status and /v1/runs")
        case HTTPException():
            return error_answer(error.status_code, f"{request.method} {request.url.path}: {error.detail}")
    what = f"{request.method} {request.url.path} failed: {type(error).__name__}"
    return error_answer(500, what, "this is a bug of loadr; the controller's log has more")
