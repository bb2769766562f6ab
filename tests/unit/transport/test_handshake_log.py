"""Lines of gRPC become a line of ours, or nothing; what others write to stderr gets through."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from loadr.transport.handshake_log import OTHER, Refusals, explain

PREFIX = (
    b"I1125 21:09:22.377191   11429 ssl_transport_security.cc:2563] Handshake failed with error SSL_ERROR_SSL:"
    b" error:100000c0:SSL routines:OPENSSL_internal:"
)
SAID = {
    b"PEER_DID_NOT_RETURN_A_CERTIFICATE: Invalid certificate verification context": "it showed no certificate",
    b"CERTIFICATE_VERIFY_FAILED: certificate has expired": "has expired",
    b"CERTIFICATE_VERIFY_FAILED: unable to get local issuer certificate": "not signed by",
    b"CERTIFICATE_VERIFY_FAILED: certificate is not yet valid": "is not valid yet",
    b"CERTIFICATE_VERIFY_FAILED: unsupported certificate purpose": "is not one for agents",
    b"BAD_SIGNATURE: certificate signature failure": "not signed by",
    b"HTTP_REQUEST: Invalid certificate verification context": "does not speak TLS",
    b"TLSV1_ALERT_UNKNOWN_CA: Invalid certificate verification context": "turned our certificate down",
    b"SOMETHING_NEW": OTHER,
}


@pytest.mark.parametrize("line", SAID, ids=bytes.decode)
def test_each_failure_has_words(line: bytes) -> None:
    words = explain(PREFIX + line)
    assert words is not None and SAID[line] in words


def test_other_lines_have_none() -> None:
    assert explain(b"I1125 21:09:22.377191   11429 server.cc:1] Something else") is None


def test_the_first_is_said_at_once_and_the_others_are_counted() -> None:
    said: list[str] = []

    async def main() -> None:
        refusals = Refusals(said.append, asyncio.get_running_loop(), quiet_s=0.01)
        for why in ("a", "b", "a", "a"):
            refusals.add(why)
        assert said == ["a connection was refused: a", "a connection was refused: b"]
        async with asyncio.timeout(10):
            while len(said) < 3:  # noqa: ASYNC110 - a timer of the loop has no event
                await asyncio.sleep(0.001)
        refusals.add("a")

    asyncio.run(main())
    assert said[2:] == ["2 more within 0.01 s: a", "a connection was refused: a"]


SCRIPT = """
import asyncio, os, sys
from loadr.transport.handshake_log import HandshakeLog

async def main():
    said = asyncio.Event()
    def say(text):
        print("ours:", text, file=sys.stderr, flush=True)
        said.set()
    log = HandshakeLog(say)
    log.open()
    os.write(2, b"from C\\nWARNING: All log messages before absl::InitializeLog() is called are written\\n")
    os.write(2, b"I1125 21:09:22.1   1 server.cc:1] chatter\\n" + bytes.fromhex(sys.argv[1]) + b"\\n")
    await asyncio.wait_for(said.wait(), 10 if len(sys.argv) < 3 else 0.1)
    print("from Python", file=sys.stderr, flush=True)
    log.close()
    os.write(2, b"afterwards\\n")

asyncio.run(main())
"""


def run_script(**env: str) -> tuple[int, list[str]]:
    line = PREFIX + next(iter(SAID))
    clean = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
    command = [sys.executable, "-c", SCRIPT, line.hex(), *env]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env={**clean, **env})
    return done.returncode, done.stderr.splitlines()


def test_a_process_says_it_in_our_words_and_everything_else_gets_through() -> None:
    code, lines = run_script()
    assert code == 0
    assert lines == [
        "from C",
        "ours: a connection was refused: it showed no certificate",
        "from Python",
        "afterwards",
    ]


def test_who_wants_grpcs_own_log_gets_it() -> None:
    code, lines = run_script(GRPC_VERBOSITY="DEBUG")
    assert code == 1, "it waits for words of ours, which do not come"
    assert any("Handshake failed" in line for line in lines)
