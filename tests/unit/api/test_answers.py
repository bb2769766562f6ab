"""Errors of the API: each kind of fault has its status, its words and a hint."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from loadr.api.answers import answer_exception, json_answer
from loadr.errors import (
    ArgumentInvalid,
    Fault,
    FleetFault,
    InternalFault,
    PeerFault,
    PlanInvalid,
    ScriptFault,
    Unreachable,
)

REQUEST = Request({"type": "http", "method": "GET", "path": "/v1/x", "headers": [], "query_string": b""})


def answer(error: Exception) -> tuple[int, dict[str, Any]]:
    response = asyncio.run(answer_exception(REQUEST, error))
    return response.status_code, msgspec.json.decode(bytes(response.body))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ArgumentInvalid("m", hint="h"), 400),
        (ScriptFault("m", hint="h"), 400),
        (PeerFault("m", hint="h"), 400),
        (FleetFault("m", hint="h"), 409),
        (Unreachable("m", hint="h"), 409),
        (InternalFault("m", hint="h"), 500),
    ],
)
def test_a_fault_keeps_its_words(error: Exception, status: int) -> None:
    assert answer(error) == (status, {"error": "m", "hint": "h"})


def test_an_invalid_plan_lists_all_its_faults() -> None:
    status, body = answer(PlanInvalid([Fault("p.yaml", 3, 5, "scenarios.s", "wrong")]))
    assert status == 400
    assert body["faults"] == ["p.yaml:3:5: scenarios.s: wrong"]


def test_what_the_router_says_is_json() -> None:
    assert answer(HTTPException(404))[1]["error"] == "there is no /v1/x"
    assert answer(HTTPException(405, "Method Not Allowed")) == (
        405,
        {"error": "GET /v1/x: Method Not Allowed", "hint": ""},
    )


def test_a_bug_says_what_kind_it_is_and_nothing_of_its_values() -> None:
    status, body = answer(ValueError("secret"))
    assert status == 500 and "ValueError" in body["error"] and "secret" not in str(body)


def test_values_are_json() -> None:
    response = json_answer({"a": [1, None]}, 202)
    assert (response.status_code, response.media_type) == (202, "application/json")
    assert bytes(response.body) == b'{"a":[1,null]}'
