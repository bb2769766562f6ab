"""The API's routes over real HTTP: what they take, what they answer, what they refuse."""

from __future__ import annotations

import hashlib
import http.client
import socket
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from loadr.plan.model import Plan
from loadr.schedule.change import ChangeKind
from loadr.verdict.model import LiveView, Summary
from support.api import FakeController, serving_api

PLAN = Plan.model_validate(
    {"scenarios": {"s": {"executor": "constant-vus", "vus": 1, "duration": "1.5s", "script": "buy.py"}}}
)
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def controller() -> FakeController:
    return FakeController()


@pytest.fixture
def address(controller: FakeController) -> Iterator[str]:
    with serving_api(controller) as address:
        yield address


def ask(
    address: str, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    """(status, decoded JSON, or None for an empty body)."""
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        data = answer.read()
        return answer.status, msgspec.json.decode(data) if data else None
    finally:
        connection.close()


def submission(**more: object) -> bytes:
    return msgspec.json.encode({"plan": msgspec.Raw(PLAN.canonical_json()), **more})


def test_the_status_is_told(address: str) -> None:
    assert ask(address, "GET", "/v1/status") == (
        200,
        {"version": "1", "agents": [], "runs": [], "current": ""},
    )


def test_a_file_is_kept_under_its_digest(address: str, controller: FakeController) -> None:
    data = bytes(range(256)) * 1000
    digest = hashlib.sha256(data).hexdigest()
    assert ask(address, "HEAD", f"/v1/files/{digest}") == (404, None)
    assert ask(address, "PUT", f"/v1/files/{digest}", data) == (201, {"size_bytes": 256_000})
    assert ask(address, "HEAD", f"/v1/files/{digest}") == (200, None)
    assert controller.files == {digest: data}


def test_a_file_with_another_digest_is_refused(address: str, controller: FakeController) -> None:
    status, answer = ask(address, "PUT", f"/v1/files/{'ab' * 32}", b"other")
    assert status == 400 and "are not those of abababababab" in answer["error"] and answer["hint"]
    assert controller.files == {}


@pytest.mark.parametrize("digest", ["abc", "AB" * 32, "..", "zz" * 32])
def test_what_is_no_digest_is_refused(address: str, digest: str) -> None:
    status, answer = ask(address, "PUT", f"/v1/files/{digest}", b"x")
    assert status == 400 and "is not a SHA-256" in answer["error"]


def test_a_file_over_64_mib_is_refused_before_it_is_read(address: str) -> None:
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=5) as client:
        client.sendall(
            f"PUT /v1/files/{'ab' * 32} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 67108865\r\n\r\n".encode()
        )
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_a_file_that_hides_its_size_is_cut_off_at_the_limit(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadr.api.server.MAX_FILE_BYTES", 100_000)
    connection = http.client.HTTPConnection(address, timeout=5)
    connection.request("PUT", f"/v1/files/{'ab' * 32}", iter([bytes(60_000)] * 2), encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_a_plan_is_submitted_unchanged(address: str, controller: FakeController) -> None:
    assert ask(address, "POST", "/v1/runs", submission(expect_agents=3), JSON) == (201, {"run_id": "r1"})
    assert controller.plans["r1"] == PLAN
    assert controller.plans["r1"].digest == PLAN.digest
    assert controller.expected == [3]
    assert ask(address, "GET", "/v1/runs") == (200, {"runs": ["r1"]})


def test_a_fleet_that_is_busy_is_a_conflict_in_its_own_words(address: str, controller: FakeController) -> None:
    controller.busy = True
    assert ask(address, "POST", "/v1/runs", submission(), JSON) == (
        409,
        {"error": "run r0 is going on", "hint": "wait until it ends, or stop it"},
    )


@pytest.mark.parametrize(
    ("body", "headers", "words"),
    [
        (b"{", JSON, "the body is not what is expected"),
        (b"{}", JSON, "`plan`"),
        (submission(agents=3), JSON, "unknown field `agents`"),
        (submission(expect_agents=-1), JSON, "$.expect_agents"),
        (b'{"plan": {"scenarios": {}}}', JSON, "the plan is not valid here: scenarios"),
        (b'{"plan": 5}', JSON, "the plan is not valid here"),
        (submission(), {"Content-Type": "text/plain"}, "not declared as JSON"),
        (submission() + b" " * 2**21, JSON, "over 2 MiB"),
    ],
)
def test_a_submission_that_can_not_be_used_is_refused_in_words(
    address: str, controller: FakeController, body: bytes, headers: dict[str, str], words: str
) -> None:
    status, answer = ask(address, "POST", "/v1/runs", body, headers)
    assert status == 400 and words in answer["error"] and answer["hint"]
    assert controller.plans == {}


def test_a_run_is_watched_and_stopped_and_summed_up(address: str, controller: FakeController) -> None:
    controller.looks = 100
    ask(address, "POST", "/v1/runs", submission(), JSON)
    status, view = ask(address, "GET", "/v1/runs/r1")
    assert status == 200 and msgspec.convert(view, LiveView).requests == 150
    assert ask(address, "GET", "/v1/runs/r1/summary") == (202, {"run_id": "r1"})
    assert ask(address, "POST", "/v1/runs/r1/stop", b"{}", JSON)[0] == 202
    assert ask(address, "POST", "/v1/runs/r1/stop", b'{"graceful": false}', JSON)[0] == 202
    assert controller.stops == [("r1", True), ("r1", False)]
    status, summary = ask(address, "GET", "/v1/runs/r1/summary")
    assert status == 200 and msgspec.convert(summary, Summary).verdict == "passed"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/runs/no"), ("GET", "/v1/runs/no/summary"), ("POST", "/v1/runs/no/stop")],
)
def test_a_run_that_is_not_known_is_named(address: str, method: str, path: str) -> None:
    status, answer = ask(address, method, path, b"{}", JSON)
    assert (status, answer["error"]) == (404, "there is no run no")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/nothing", 404),
        ("DELETE", "/v1/runs", 405),
        ("GET", "/v1/runs/r/stop", 405),
    ],
)
def test_every_error_is_json(address: str, method: str, path: str, status: int) -> None:
    got, answer = ask(address, method, path)
    assert got == status and answer["error"]


def test_a_bug_is_an_error_in_json_too(
    address: str, controller: FakeController, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "status", lambda: 1 / 0)
    status, answer = ask(address, "GET", "/v1/status")
    assert status == 500 and "ZeroDivisionError" in answer["error"] and "bug" in answer["hint"]


def test_a_live_run_is_changed_and_the_instant_told(address: str, controller: FakeController) -> None:
    ask(address, "POST", "/v1/runs", submission(), JSON)
    body = msgspec.json.encode({"kind": "rate", "scenario": "s", "value": "2.5"})
    assert ask(address, "POST", "/v1/runs/r1/changes", body, JSON) == (200, {"at_s": 3.5, "in_s": 0.5})
    assert controller.changes == [("r1", ChangeKind.RATE, "s", "2.5")]


def test_a_change_that_can_not_be_is_answered_in_words(address: str) -> None:
    ask(address, "POST", "/v1/runs", submission(), JSON)
    status, answer = ask(address, "POST", "/v1/runs/r1/changes", b'{"kind": "resume"}', JSON)
    assert (status, answer["error"]) == (409, "the run is not paused")
    status, answer = ask(address, "POST", "/v1/runs/r1/changes", b'{"kind": "faster"}', JSON)
    assert status == 400 and "faster" in answer["error"]
    assert ask(address, "POST", "/v1/runs/r9/changes", b'{"kind": "pause"}', JSON)[0] == 404
