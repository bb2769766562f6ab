"""The controller's HTTP API: routes, what they take and what they answer.

    GET  /v1/status                     version, agents
    HEAD /v1/files/{sha256}             200: the file is here; 404: upload it
    PUT  /v1/files/{sha256}             the raw bytes, at most 64 MiB
    GET  /v1/runs                       {runs: ids of known runs, oldest first}
    POST /v1/runs                       {plan, expect_agents?, labels?, wait_s?, secrets?} → 201 {run_id}
    GET  /v1/runs/{id}                  the live view (`loadr.verdict.model.LiveView`)
    GET  /v1/runs/{id}/summary          the summary (`Summary`); 202 while the run is going on
    POST /v1/runs/{id}/stop             {graceful?: true} → 202
    POST /v1/runs/{id}/changes          {kind, scenario?, value?} → 200 {at_s, in_s}: pause, resume, rate …

Bodies are JSON. An error is ``{"error": …, "hint": …}``, an invalid plan also has ``faults``.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import Annotated, Literal, TypeVar

import msgspec
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from loadr.api.answers import answer_exception, error_answer, json_answer
from loadr.api.facade import MAX_FILE_BYTES, ControllerFacade
from loadr.api.guard import Guard
from loadr.errors import ArgumentInvalid, LoadrError
from loadr.masking import Secrets
from loadr.plan.model import Plan
from loadr.schedule.change import ChangeKind
from loadr.transport.tokens import TokenReader
from loadr.units import NS_PER_S

MAX_JSON_BYTES = 2 * 1024 * 1024

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Submission(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``plan``: canonical JSON of a `Plan`. ``expect_agents`` 0: as many as there are, at least one, at once.
    Only agents with all of ``labels`` count. ``wait_s``: how long so many are waited for."""

    plan: msgspec.Raw
    expect_agents: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 0
    labels: dict[str, str] = {}
    wait_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] | None = None
    secrets: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Submission(expect_agents={self.expect_agents})"


class ChangeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``scenario`` "" is all of them; ``value`` a decimal number as text: VUs, iterations a second, a factor."""

    kind: Literal["pause", "resume", "rate", "factor", "scale"]
    scenario: str = ""
    value: str = ""


class StopRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    graceful: bool = True


T = TypeVar("T")


class _TooLarge(Exception):
    """A body is over its limit."""


def create_app(
    controller: ControllerFacade, *, tokens: TokenReader | None = None, loopback_only: bool = True
) -> Starlette:
    """The ASGI application over ``controller``; see `Guard` for who is served."""
    routes = _Routes(controller)
    return Starlette(
        routes=[
            Route("/v1/status", routes.status),
            Route("/v1/files/{digest}", routes.has_file, methods=["HEAD"]),
            Route("/v1/files/{digest}", routes.put_file, methods=["PUT"]),
            Route("/v1/runs", routes.runs, methods=["GET"]),
            Route("/v1/runs", routes.submit, methods=["POST"]),
            Route("/v1/runs/{run_id}", routes.view),
            Route("/v1/runs/{run_id}/summary", routes.summary),
            Route("/v1/runs/{run_id}/stop", routes.stop, methods=["POST"]),
            Route("/v1/runs/{run_id}/changes", routes.change, methods=["POST"]),
        ],
        middleware=[Middleware(Guard, tokens=tokens, loopback_only=loopback_only)],
        exception_handlers={kind: answer_exception for kind in (LoadrError, HTTPException, Exception)},
    )


class _Routes:
    def __init__(self, controller: ControllerFacade) -> None:
        self._controller = controller

    async def status(self, _: Request) -> Response:
        return json_answer(self._controller.status())

    async def has_file(self, request: Request) -> Response:
        return Response(status_code=200 if self._controller.has_file(_digest(request)) else 404)

    async def put_file(self, request: Request) -> Response:
        digest = _digest(request)
        try:
            data = await _read_body(request, MAX_FILE_BYTES)
        except _TooLarge:
            return error_answer(413, "the file is over 64 MiB", "make it smaller, or let the script make it")
        if await asyncio.to_thread(_sha256, data) != digest:
            return error_answer(
                400, f"the bytes are not those of {digest[:12]}…", "was the file changed just now?"
            )
        await asyncio.to_thread(self._controller.put_file, digest, data)
        return json_answer({"size_bytes": len(data)}, 201)

    async def runs(self, _: Request) -> Response:
        return json_answer({"runs": self._controller.run_ids})

    async def submit(self, request: Request) -> Response:
        submission = await _read_json(request, Submission)
        try:
            plan = Plan.from_json(bytes(submission.plan))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise ArgumentInvalid(
                f"the plan is not valid here: {place}: {first['msg']}",
                hint="do `loadr version` and the controller's /v1/status name the same version?",
            ) from None
        run_id = self._controller.submit(
            plan,
            expect_agents=submission.expect_agents,
            labels=submission.labels,
            wait_s=submission.wait_s,
            secrets=Secrets(submission.secrets),
        )
        return json_answer({"run_id": run_id}, 201)

    async def view(self, request: Request) -> Response:
        view = self._controller.view(request.path_params["run_id"])
        return json_answer(view) if view is not None else _unknown_run(request)

    async def summary(self, request: Request) -> Response:
        run_id = request.path_params["run_id"]
        summary = self._controller.summary(run_id)
        if summary is not None:
            return json_answer(summary)
        if run_id not in self._controller.run_ids:
            return _unknown_run(request)
        return json_answer({"run_id": run_id}, 202)

    async def stop(self, request: Request) -> Response:
        run_id = request.path_params["run_id"]
        stop = await _read_json(request, StopRequest)
        if run_id not in self._controller.run_ids:
            return _unknown_run(request)
        self._controller.stop(run_id, graceful=stop.graceful)
        return json_answer({"run_id": run_id}, 202)

    async def change(self, request: Request) -> Response:
        run_id = request.path_params["run_id"]
        wanted = await _read_json(request, ChangeRequest)
        if run_id not in self._controller.run_ids:
            return _unknown_run(request)
        kind = ChangeKind[wanted.kind.upper()]
        change, in_ns = self._controller.change(run_id, kind, wanted.scenario, wanted.value)
        return json_answer({"at_s": change.at_run_ns / NS_PER_S, "in_s": in_ns / NS_PER_S})


def _unknown_run(request: Request) -> Response:
    return error_answer(404, f"there is no run {request.path_params['run_id']}", "see /v1/runs")


def _digest(request: Request) -> str:
    digest: str = request.path_params["digest"]
    if not _DIGEST.fullmatch(digest):
        raise ArgumentInvalid(
            f"{digest[:80]!r} is not a SHA-256", hint="64 characters of lower-case hex are expected"
        )
    return digest


async def _read_json(request: Request, kind: type[T]) -> T:
    """Asking for the content type keeps out forms, which a page of another site may send unasked."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ArgumentInvalid("the body is not declared as JSON", hint="send content-type: application/json")
    try:
        return msgspec.json.decode(await _read_body(request, MAX_JSON_BYTES), type=kind)
    except _TooLarge:
        raise ArgumentInvalid("the body is over 2 MiB", hint="upload data as files of the plan") from None
    except msgspec.DecodeError as error:
        raise ArgumentInvalid(
            f"the body is not what is expected: {error}", hint="see the API's reference"
        ) from None


async def _read_body(request: Request, max_bytes: int) -> bytes:
    """Raises `_TooLarge` as soon as that is known."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > max_bytes:
        raise _TooLarge
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > max_bytes:
            raise _TooLarge
    return bytes(body)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
