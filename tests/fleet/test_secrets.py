"""Secrets reach the target, and nothing else: no log, report, file, answer of the API or environment."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from support.certificates import write_certificates
from support.fleet import LOADR, Fleet

VALUE = "s3cr3t-hunter2-value"
PLAN = """
name: secret
defaults:
  http: {{ base_url: "{url}", timeout: 5s, headers: {{ authorization: "Bearer ${{secret.API_KEY}}" }} }}
scenarios:
  flow:
    executor: constant-vus
    vus: 1
    duration: 1s
    flow:
      - request: {{ post: /flow, json: {{ key: "${{secret.API_KEY}}" }}, name: flow, check: {{ status: 200 }} }}
      - think: 50ms
      - request: {{ get: "/never?n=${{int(secret.API_KEY)}}", name: never }}
  script:
    script: script.py
    executor: constant-vus
    vus: 1
    duration: 1s
"""
SCRIPT = """
import asyncio, os, sys
from loadr import check, scenario


@scenario
async def script(vu):
    key = vu.secret["API_KEY"]
    assert "API_KEY" not in " ".join(os.environ)
    print("printed", key, vu.secret)
    print("printed", key, file=sys.stderr)
    page = await vu.http.get(f"/script?key={key}")
    check(page, f"checked {key}", page.status == 200)
    await vu.think(0.05)
    asyncio.get_running_loop().call_soon(fail, key)
    raise RuntimeError(f"raised {key}")


def fail(key):
    raise RuntimeError(f"left behind {key}")
"""


class Target(ThreadingHTTPServer):
    """Keeps what it was sent."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        target = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
                target.seen.append(f"{self.path} {self.headers['authorization']} {body}")
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            do_GET = do_POST = answer

            def log_message(self, *_: object) -> None: ...

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def target() -> Iterator[Target]:
    server = Target()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join(10)
    server.server_close()


def write_plan(folder: Path, url: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "plan.yaml").write_text(PLAN.format(url=url))
    (folder / "script.py").write_text(SCRIPT)


def run_with_secret(
    folder: Path, *flags: str, secret: str | None = VALUE, **env: str
) -> subprocess.CompletedProcess[str]:
    outputs = ("--summary-export", "out.json", "--report", "out.html", "--secret", "API_KEY")
    variables = {**os.environ, **env, "NO_COLOR": "1"}
    if secret is not None:
        variables["LOADR_SECRET_API_KEY"] = secret
    return subprocess.run(
        [*LOADR, "run", "plan.yaml", *outputs, *flags],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=variables,
    )


def assert_it_was_used(target: Target) -> None:
    flows = [seen for seen in target.seen if seen.startswith("/flow")]
    assert flows and all(f"Bearer {VALUE}" in seen and json.dumps(VALUE) in seen for seen in flows)
    assert any(seen.startswith(f"/script?key={VALUE}") for seen in target.seen)


def assert_nowhere(*folders: Path, texts: tuple[str, ...] = ()) -> None:
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert files
    assert [str(path) for path in files if VALUE.encode() in path.read_bytes()] == []
    assert not [text for text in texts if VALUE in text]


def test_a_secret_of_a_local_fleet_stands_in_no_output_and_no_file(tmp_path: Path, target: Target) -> None:
    work, temporary = tmp_path / "work", tmp_path / "tmp"
    temporary.mkdir()
    write_plan(work, target.url)
    for flags in ((), ("--agents", "2")):
        done = run_with_secret(work, *flags, TMPDIR=str(temporary))
        assert done.returncode in (0, 107), done.stdout + done.stderr
        summary = json.loads((work / "out.json").read_text())
        names = {request["name"] for request in summary["loadr"]["requests"]}
        assert any(name.endswith("/script?key=***") for name in names), names
        assert "printed ***" in done.stderr or flags, done.stderr
        assert_nowhere(work, texts=(done.stdout, done.stderr))
    assert_it_was_used(target)


def test_a_secret_that_travels_to_a_fleet_over_mutual_tls_stands_in_no_log_and_no_folder(
    tmp_path: Path, target: Target
) -> None:
    made = write_certificates(tmp_path / "certs", agents=("a1", "a2"))
    write_plan(tmp_path / "work", target.url)
    data, works = tmp_path / "data", [tmp_path / "w1", tmp_path / "w2"]
    flags = ("--tls-cert", str(made.controller_cert), "--tls-key", str(made.controller_key))
    with Fleet(*flags, "--tls-client-ca", str(made.ca), "--data-dir", str(data)) as fleet:
        for name, work in zip(("a1", "a2"), works, strict=True):
            own = ("--tls-cert", str(made.agent_cert(name)), "--tls-key", str(made.agent_key(name)))
            fleet.agent(name, "--tls-ca", str(made.ca), *own, "--work-dir", str(work))
        fleet.await_agents(2)
        done = run_with_secret(tmp_path / "work", "--controller", fleet.api)
        assert done.returncode in (0, 107), done.stdout + done.stderr
        said = [process.said for process in fleet.processes]
        assert any(("printed ***" in text and "raised" not in text) or "***" in text for text in said)
        answers = [_get(fleet.api, path) for path in ("/v1/status", "/v1/runs")]
        run_id = json.loads(answers[1])["runs"][0]
        answers += [_get(fleet.api, f"/v1/runs/{run_id}{end}") for end in ("", "/summary")]
        assert_nowhere(tmp_path / "work", data, *works, texts=(done.stdout, done.stderr, *said, *answers))
        environments = [Path(f"/proc/{process.popen.pid}/environ").read_bytes() for process in fleet.processes]
        assert not [one for one in environments if VALUE.encode() in one]
    assert_it_was_used(target)


def _get(api: str, path: str) -> str:
    with urllib.request.urlopen(f"http://{api}{path}", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def test_a_secret_that_was_not_given_is_told_before_anything_starts(tmp_path: Path, target: Target) -> None:
    write_plan(tmp_path / "work", target.url)
    done = run_with_secret(tmp_path / "work", secret=None)
    assert done.returncode == 104 and "LOADR_SECRET_API_KEY" in done.stderr
    assert not target.seen
