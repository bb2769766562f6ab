"""Strangers and namesakes at the agents' port while a run goes on: they are turned away, and the run is exact."""

from __future__ import annotations

import random
import socket
from pathlib import Path

import grpc

from loadr.errors import ExitCode
from support.fleet import Fleet
from support.live import LiveRun, target_with_record, write_counted

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SESSION = "/loadr.coordination.v1.Coordination/Session"


def knock(port: int, what: bytes) -> socket.socket:
    """A stranger that sends bytes and stays."""
    stranger = socket.create_connection(("127.0.0.1", port), 5)
    stranger.settimeout(15)
    stranger.sendall(what)
    return stranger


def is_closed(stranger: socket.socket) -> bool:
    """Whatever is said to it, in the end the link is closed."""
    try:
        while stranger.recv(65536):
            pass
    except ConnectionError:
        return True
    finally:
        stranger.close()
    return True


def session_of_garbage(port: int, messages: list[bytes]) -> str:
    """A stream of real gRPC whose messages are noise; the status with which it ended."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.stream_stream(SESSION)
        try:
            for _ in call(iter(messages), timeout=15):
                pass
        except grpc.RpcError as error:
            return str(error.code())
    return "OK"


def test_namesakes_port_scans_and_noise_are_turned_away_and_a_run_is_exact(tmp_path: Path) -> None:
    noise = random.Random(4)
    with target_with_record() as target, Fleet() as fleet:
        fleet.agent("agent-0")
        fleet.agent("agent-1")
        fleet.await_agents(2)
        run = LiveRun(fleet, target, write_counted(tmp_path, target.url, rate=50, seconds=9, lease="3s"))
        namesake = fleet.agent("agent-0")
        strangers = [knock(fleet.port, b"")]
        strangers += [knock(fleet.port, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"), knock(fleet.port, PREFACE)]
        strangers += [knock(fleet.port, noise.randbytes(2000)) for _ in range(20)]
        strangers += [knock(fleet.port, PREFACE + noise.randbytes(2000)) for _ in range(20)]
        for stranger in strangers[5:10]:
            stranger.close()
        endings = [session_of_garbage(fleet.port, [noise.randbytes(noise.randrange(200))]) for _ in range(20)]
        assert namesake.popen.wait(15) == ExitCode.FLEET_COULD_NOT_START
        told = namesake.said
        assert all(map(is_closed, [*strangers[:5], *strangers[10:]])), "nobody stays for ever"
        done = run.end()
        controller = fleet.controller.said
        assert fleet.controller.popen.poll() is None
    assert "another agent with the name agent-0 is online" in told and "--name" in told
    assert set(endings) == {"StatusCode.ABORTED"}
    assert done.code == ExitCode.PASSED, done.said
    done.assert_exact()
    assert done.account["missed"] == 0
    assert [line["state"] for line in done.loadr["agents"]] == ["finished", "finished"]
    assert "Traceback" not in controller and len(controller) < 100_000, controller
