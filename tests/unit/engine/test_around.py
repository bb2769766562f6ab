"""Setup and teardown as a worker carries them out: results, words of what went wrong, requests counted apart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from loadr.clock import boottime_ns
from loadr.engine.around import carry_out
from loadr.engine.channel import WorkerAround
from loadr.engine.faults import Fault
from loadr.engine.loading import Scripts
from loadr.engine.page import LEASE_END, new_words
from loadr.masking import Secrets
from loadr.plan.model import Plan
from loadr.testing.process import TargetProcess
from loadr.units import NS_PER_S

LOOK = {"executor": "constant-vus", "vus": 1, "duration": "1s", "flow": []}
HEAD = "from loadr import setup, teardown, data\nusers = data.csv('u.csv')\n"


def plan_of(url: str = "http://127.0.0.1:9", **more: Any) -> Plan:
    return Plan.model_validate({"defaults": {"http": {"base_url": url}}, "scenarios": {"a": LOOK}, **more})


def carry(
    plan: Plan, folder: Path = Path(), what: str = "setup", data: bytes = b"", lease_s: float = 30, **secrets: str
) -> WorkerAround:
    words = new_words()
    words[LEASE_END] = boottime_ns() + int(lease_s * NS_PER_S) if lease_s else 0
    return asyncio.run(carry_out(what, plan, Scripts(folder), str(folder), words, Secrets(secrets), data))


def by_script(folder: Path, body: str, what: str = "setup", **more: Any) -> WorkerAround:
    (folder / "s.py").write_text(HEAD + body)
    settings = {"script": "s.py", **({"timeout": more.pop("timeout")} if "timeout" in more else {})}
    return carry(plan_of(**{what: settings}), folder, what, **more)


@pytest.fixture(scope="module")
def url() -> Any:
    with TargetProcess() as target:
        yield target.url


def request(**step: Any) -> Mapping[str, Any]:
    return {"request": {"method": "GET", "url": "/items?page=1", **step}}


def test_a_flow_gives_what_it_extracts_and_its_requests_are_counted(url: str) -> None:
    steps = [request(), request(extract={"item": {"jsonpath": "$.items[0].id"}})]
    done = carry(plan_of(url, setup={"flow": steps, "extracts": ["item"]}))
    assert (done.fault, done.requests) == (Fault.NONE, 2), done.detail
    assert list(json.loads(done.result)) == ["item"]


def test_a_flow_of_teardown_reads_what_setup_gave(url: str) -> None:
    plan = plan_of(url, teardown={"flow": [request(url="/status/${setup.code}")]})
    done = carry(plan, what="teardown", data=b'{"code": 204}')
    assert (done.fault, done.requests, done.result) == (Fault.NONE, 1, b"")


def test_a_flow_that_finds_nothing_to_extract_says_so(url: str) -> None:
    step = request(name="list", extract={"item": {"jsonpath": "$.nothing"}})
    done = carry(plan_of(url, setup={"flow": [step], "extracts": ["item"]}))
    assert (done.fault, done.detail) == (Fault.SCRIPT, "request 'list' gave nothing to extract")


def test_a_script_returns_json_and_teardown_gets_it_with_the_vu(tmp_path: Path) -> None:
    done = by_script(tmp_path, "@setup\nasync def f(vu):\n    return {'id': vu.id, 'n': [1]}\n")
    assert json.loads(done.result) == {"id": 0, "n": [1]}
    body = "@teardown\nasync def f(vu, data):\n    assert data == vu.setup == {'n': (1,)}\n"
    assert by_script(tmp_path, body, "teardown", data=b'{"n": [1]}').fault == Fault.NONE
    body = "@teardown\nasync def f(vu, data):\n    assert data is None\n"
    assert by_script(tmp_path, body, "teardown").fault == Fault.NONE


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("    raise RuntimeError('no stock')", "s.py:5: RuntimeError: no stock"),
        ("    raise SystemExit(1)", "s.py:5: SystemExit: 1"),
        ("    raise TimeoutError('own')", "s.py:5: TimeoutError: own"),
        ("    return {1, 2}", "what setup returned can not be sent to the fleet: Object of type set"),
        ("    return float('nan')", "what setup returned can not be sent to the fleet: Out of range"),
        ("    return 'x' * 70_000", "has 70,002 bytes as JSON; at most 64 KiB"),
        ("    return users.next(vu)", "rows of 'u' belong to iterations; a setup or teardown has none"),
    ],
)
def test_what_goes_wrong_in_a_script_is_told_in_words(tmp_path: Path, body: str, words: str) -> None:
    done = by_script(tmp_path, f"@setup\nasync def f(vu):\n{body}\n")
    assert done.fault == Fault.SCRIPT and words in done.detail
    assert done.result == b""


def test_a_script_without_a_setup_and_secrets_in_words(tmp_path: Path) -> None:
    assert by_script(tmp_path, "").detail == "s.py declares no setup"
    body = "@setup\nasync def f(vu):\n    raise RuntimeError(vu.secret['KEY'])\n"
    assert "hunter2" not in by_script(tmp_path, body, KEY="hunter2").detail


def test_what_takes_too_long_is_cut_off(tmp_path: Path) -> None:
    body = "import asyncio\n@setup\nasync def f(vu):\n    await asyncio.sleep(60)\n"
    done = by_script(tmp_path, body, timeout="100ms")
    assert (done.fault, done.detail) == (Fault.TIMEOUT, "it took longer than 100ms")


def test_nothing_is_begun_without_a_lease(tmp_path: Path) -> None:
    body = "@setup\nasync def f(vu):\n    return 1\n"
    done = by_script(tmp_path, body, timeout="100ms", lease_s=0)
    assert (done.fault, done.result) == (Fault.TIMEOUT, b"")


def test_when_the_lease_ends_no_request_is_sent(url: str) -> None:
    steps = [{"think": {"low_ns": "200ms", "high_ns": "200ms"}}, request()]
    done = carry(plan_of(url, setup={"flow": steps}), lease_s=0.1)
    assert (done.fault, done.requests) == (Fault.SCRIPT, 0)
    assert done.detail == "the lease ended: no word from the controller"
