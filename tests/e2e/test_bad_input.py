"""Bad input: one clear message each, the right exit code, no traceback, nothing lost."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from loadr.coordination.messages import PROTOCOL_MAX, PROTOCOL_MIN
from loadr.testing.process import TargetProcess
from support.certificates import write_certificates
from support.fleet import Fleet, Process, run_loadr
from support.plans import assert_balanced, read_summary, write_mixed, write_steady

GOOD = """
defaults: { http: { base_url: "http://127.0.0.1:9" } }
scenarios:
  one:
    executor: constant-arrival-rate
    rate: 10
    duration: 1s
    max_vus: 5
    flow: [ { request: { get: / } } ]
"""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def assert_one_clear_message(said: str, *words: str) -> None:
    assert "Traceback" not in said
    for word in words:
        assert word in said, f"{word!r} is not in:\n{said}"


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (GOOD.replace("rate: 10", "rat: 10"), ("plan.yaml:6:5", "unknown key", "rate")),
        (GOOD.replace("rate: 10", "rate: fast"), ("plan.yaml:6:11", "rate")),
        (GOOD.replace("duration: 1s", "duration: 1 parsec"), ("plan.yaml:7:15", "duration")),
        (GOOD + "data: { users: { file: nobody.csv } }\n", ("plan.yaml:10:", "nobody.csv")),
        (GOOD + "data: { users: { file: empty.csv } }\n", ("empty.csv", "empty")),
        (GOOD.replace("{ request", "{ request: ["), ("plan.yaml:",)),
    ],
    ids=["unknown-key", "wrong-type", "impossible-duration", "missing-file", "empty-csv", "not-yaml"],
)
def test_a_bad_plan_is_refused_with_its_place(tmp_path: Path, plan: str, words: tuple[str, ...]) -> None:
    (tmp_path / "plan.yaml").write_text(plan)
    (tmp_path / "empty.csv").write_text("")
    for command in ("validate", "run"):
        done = run_loadr(command, "plan.yaml", cwd=tmp_path)
        assert done.returncode == 104, done.stdout + done.stderr
        assert_one_clear_message(done.stdout + done.stderr, *words)


def test_a_script_with_a_syntax_error_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("from loadr import scenario\n\nasync def one(vu:\n    pass\n")
    done = run_loadr("run", "broken.py", cwd=tmp_path)
    assert done.returncode == 104, done.stdout + done.stderr
    assert_one_clear_message(done.stdout + done.stderr, "broken.py:3")


def test_a_plan_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = run_loadr("run", "nothing.yaml", cwd=tmp_path)
    assert done.returncode == 104
    assert_one_clear_message(done.stderr, "nothing.yaml")


def test_an_unreachable_controller_is_named_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(GOOD)
    port = free_port()
    done = run_loadr("run", "plan.yaml", "--controller", f"127.0.0.1:{port}", cwd=tmp_path)
    assert done.returncode == 122, done.stdout + done.stderr
    assert_one_clear_message(done.stderr, f"127.0.0.1:{port}", "loadr controller")


def test_a_controller_without_agents_says_so(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(GOOD)
    with Fleet() as fleet:
        done = run_loadr("run", "plan.yaml", "--controller", fleet.api, cwd=tmp_path)
    assert done.returncode == 122, done.stdout + done.stderr
    assert_one_clear_message(done.stderr + done.stdout, "agent")


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for command in (
            ("controller", "--bind", address, "--api", "127.0.0.1:0"),
            ("controller", "--bind", "127.0.0.1:0", "--api", address),
            ("target", "--bind", address),
        ):
            done = run_loadr(*command)
            assert done.returncode == 104, (command, done.stdout + done.stderr)
            assert_one_clear_message(done.stderr, address, "in use")


def test_plaintext_off_loopback_must_be_asked_for() -> None:
    done = run_loadr("controller", "--bind", "0.0.0.0:0", "--api", "127.0.0.1:0")
    assert done.returncode == 104
    assert_one_clear_message(done.stderr, "--insecure", "--tls-cert")
    done = run_loadr("agent", "--join", "192.0.2.1:7625")
    assert done.returncode == 104
    assert_one_clear_message(done.stderr, "--insecure", "--tls-ca")


def test_an_agent_with_a_certificate_of_a_stranger_is_told_why(tmp_path: Path) -> None:
    ours = write_certificates(tmp_path / "ours", agents=("agent-1",))
    theirs = write_certificates(tmp_path / "theirs", agents=("agent-1",))
    flags = (
        *("--tls-cert", str(ours.controller_cert), "--tls-key", str(ours.controller_key)),
        *("--tls-client-ca", str(ours.ca)),
    )
    with Fleet(*flags) as fleet:
        join = ("agent", "--join", f"127.0.0.1:{fleet.port}", "--name", "agent-1", "--workers", "1")
        stranger = run_loadr(
            *join,
            *("--tls-ca", str(theirs.ca)),
            *("--tls-cert", str(theirs.agent_cert("agent-1")), "--tls-key", str(theirs.agent_key("agent-1"))),
        )
        assert stranger.returncode == 122, stranger.stdout + stranger.stderr
        assert_one_clear_message(stranger.stderr, "certificate", f"127.0.0.1:{fleet.port}")
        impostor = run_loadr(
            *(*join[:3], "--name", "agent-2", "--workers", "1"),
            *("--tls-ca", str(ours.ca)),
            *("--tls-cert", str(ours.agent_cert("agent-1")), "--tls-key", str(ours.agent_key("agent-1"))),
        )
        assert impostor.returncode == 122, impostor.stdout + impostor.stderr
        assert_one_clear_message(impostor.stderr, "agent-2", "agent-1")


OF_THE_FUTURE = """
import sys
from loadr.coordination import messages
messages.PROTOCOL_MIN, messages.PROTOCOL_MAX = 7, 9
from loadr.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_an_agent_of_another_version_is_refused_with_both_ranges(tmp_path: Path) -> None:
    with Fleet() as fleet:
        join = ("agent", "--join", f"127.0.0.1:{fleet.port}", "--name", "future", "--workers", "1")
        agent = Process([sys.executable, "-c", OF_THE_FUTURE, *join], tmp_path, "future")
        try:
            code = agent.popen.wait(30)
        finally:
            agent.end()
        assert fleet.controller.popen.poll() is None
    assert code == 122, agent.said
    assert_one_clear_message(agent.said, "7 to 9", f"{PROTOCOL_MIN} to {PROTOCOL_MAX}", "upgrade")


def test_a_run_over_mutual_tls_is_exact(tmp_path: Path) -> None:
    made = write_certificates(tmp_path / "tls", agents=("agent-1", "agent-2"))
    flags = (
        *("--tls-cert", str(made.controller_cert), "--tls-key", str(made.controller_key)),
        *("--tls-client-ca", str(made.ca)),
    )
    with TargetProcess() as target, Fleet(*flags) as fleet:
        for name in ("agent-1", "agent-2"):
            fleet.agent(
                name,
                *("--tls-ca", str(made.ca)),
                *("--tls-cert", str(made.agent_cert(name)), "--tls-key", str(made.agent_key(name))),
            )
        fleet.await_agents(2)
        plan = write_mixed(tmp_path, target.url, seconds=2)
        export = tmp_path / "summary.json"
        done = run_loadr("run", str(plan), "--controller", fleet.api, "--summary-export", str(export))
        total = target.counters()["total"]
    assert done.returncode == 0, done.stdout + done.stderr
    summary = read_summary(export)
    assert summary["metrics"]["http_reqs"]["count"] == total
    assert_balanced(summary)


def test_an_unreachable_target_ends_normally_and_says_that_everything_failed(tmp_path: Path) -> None:
    port = free_port()
    plan = write_steady(tmp_path, f"http://127.0.0.1:{port}", rate=20, seconds=1)
    export = tmp_path / "summary.json"
    done = run_loadr("run", str(plan), "--workers", "1", "--summary-export", str(export))
    assert done.returncode == 0, done.stdout + done.stderr
    assert_one_clear_message(done.stdout, "refused", "100")
    summary = read_summary(export)
    assert summary["metrics"]["http_req_failed"]["value"] == 1
    assert summary["metrics"]["http_reqs"]["count"] == 20
    assert_balanced(summary)
