"""The process `loadr controller`, as a real one."""

from __future__ import annotations

import hashlib
import signal
from pathlib import Path

import pytest

from loadr.api.client import ControllerClient
from loadr.errors import ExitCode
from support.fleet import END_LIMIT_S, Fleet, run_loadr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_leaves_when_it_is_told_to(number: signal.Signals) -> None:
    with Fleet() as fleet:
        assert ControllerClient(fleet.api).status()["agents"] == []
        fleet.controller.popen.send_signal(number)
        assert fleet.controller.popen.wait(END_LIMIT_S) == ExitCode.PASSED
        lines = fleet.controller.said.splitlines()
    assert lines[0] == f"loadr controller: agents join at 127.0.0.1:{fleet.port}"
    assert lines[1] == f"loadr controller: API at http://{fleet.api}"
    assert "agents end their load when their lease ends" in lines[2] and len(lines) == 3


def test_agents_are_told_that_it_goes_away() -> None:
    with Fleet() as fleet:
        agent = fleet.agent("web")
        fleet.await_agents(1)
        fleet.controller.end()
        agent.await_words("trying again until it answers|goes away|broke")
        assert agent.popen.poll() is None, "it waits for a controller to come back"


def test_uploads_stay_in_the_data_folder(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("name\nada\n")
    data = tmp_path / "data"
    with Fleet("--data-dir", str(data)) as fleet:
        client = ControllerClient(fleet.api)
        digest = hashlib.sha256(b"name\nada\n").hexdigest()
        assert not client.has_file(digest)
        client.put_file("users.csv", digest, tmp_path / "users.csv")
        assert client.has_file(digest)
    assert [path.read_bytes() for path in data.rglob("*") if path.is_file()] == [b"name\nada\n"]


def test_what_the_flags_get_wrong_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("no certificate")
    (tmp_path / "c.key").write_text("no key")
    certificate = ("--tls-cert", str(tmp_path / "c.pem"), "--tls-key", str(tmp_path / "c.key"))
    done = run_loadr("controller", "--bind", "127.0.0.1:0", "--api", "127.0.0.1:0", *certificate)
    assert done.returncode == ExitCode.INVALID, done.stderr
    assert "c.pem" in done.stderr and "Traceback" not in done.stderr
    assert "agents join" not in done.stderr
