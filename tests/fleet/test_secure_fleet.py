"""The whole of docs/guides/tls.md: certificates and tokens of our own making, all off loopback, one run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from loadr.testing.process import TargetProcess
from support.fleet import LOADR, Fleet, run_loadr
from support.plans import read_summary, write_steady


def test_a_fleet_with_certificates_tokens_and_a_guarded_api_runs_a_plan(tmp_path: Path) -> None:
    certs, tokens, api_tokens = tmp_path / "certs", tmp_path / "join-tokens", tmp_path / "api-tokens"
    assert run_loadr("certs", "init", str(certs), "--agent", "a1", "--agent", "a2").returncode == 0
    for store, token, uses in ((tokens, "join-token", ("--uses", "2")), (api_tokens, "api-token", ())):
        made = run_loadr("token", "create", str(store), "--write", str(tmp_path / token), *uses)
        assert made.returncode == 0, made.stderr
    own = ("--tls-cert", str(certs / "controller.pem"), "--tls-key", str(certs / "controller.key"))
    api = ("--api-tls-cert", str(certs / "controller.pem"), "--api-tls-key", str(certs / "controller.key"))
    guards = ("--tls-client-ca", str(certs / "ca.pem"), "--token-file", str(tokens))
    everywhere = ("--bind", "0.0.0.0:0", "--api", "0.0.0.0:0")
    with (
        TargetProcess() as target,
        Fleet(*everywhere, *own, *guards, *api, "--api-token-file", str(api_tokens)) as fleet,
    ):
        for name in ("a1", "a2"):
            cert = ("--tls-cert", str(certs / f"{name}.pem"), "--tls-key", str(certs / f"{name}.key"))
            token_file = ("--token-file", str(tmp_path / "join-token"))
            fleet.agent(name, "--tls-ca", str(certs / "ca.pem"), *cert, *token_file)
        fleet.await_agents(2)
        plan = write_steady(tmp_path, target.url, rate=50, seconds=1, path="/steady?key=${secret.KEY}")
        export = tmp_path / "summary.json"
        address = f"127.0.0.1:{fleet.api.rpartition(':')[2]}"
        run = (*LOADR, "run", str(plan), "--controller", address, "--quiet", "--summary-export", str(export))
        trusted = (*run, "--api-ca", str(certs / "ca.pem"))
        for command, words in ((run, "is not the API of a controller"), (trusted, "asks for a token")):
            refused = _run(command)
            assert refused.returncode == 122 and words in refused.stderr, refused.stderr
        done = _run((*trusted, "--api-token-file", str(tmp_path / "api-token")))
        assert done.returncode == 0, done.stdout + done.stderr
        assert read_summary(export)["metrics"]["http_reqs"]["count"] == target.counters()["total"] == 50
        said = "".join(process.said for process in fleet.processes) + done.stdout + done.stderr
        for token in ("join-token", "api-token"):
            assert (tmp_path / token).read_text().strip().partition(".")[2] not in said
        assert "hunter2-secret" not in said


def _run(command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "NO_COLOR": "1", "LOADR_SECRET_KEY": "hunter2-secret"}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=env)
