"""HTTP/1.1 as the demo target speaks it, over real sockets; one process for all tests of this file."""

from __future__ import annotations

import errno
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadr.testing.process import TargetProcess

LIMIT_S = 10.0


@pytest.fixture(scope="module")
def process() -> Iterator[TargetProcess]:
    with TargetProcess() as target:
        yield target


@pytest.fixture
def target(process: TargetProcess) -> TargetProcess:
    process.reset()
    return process


class Client:
    """One connection; ``answer`` reads one whole answer."""

    def __init__(self, target: TargetProcess) -> None:
        self.socket = socket.create_connection((target.host, target.port), LIMIT_S)
        self._buffer = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: str | bytes) -> None:
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        self.send(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")
        return self.answer()

    def _receive(self) -> None:
        data = self.socket.recv(1 << 20)
        if not data:
            raise EOFError
        self._buffer += data

    def answer(self, head: bool = False) -> tuple[int, dict[str, str], bytes]:
        while b"\r\n\r\n" not in self._buffer:
            self._receive()
        start, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        status, *lines = start.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        length = 0 if head else int(headers.get("content-length", 0))
        while len(self._buffer) < length:
            self._receive()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return int(status.split()[1]), headers, body

    def is_ended(self) -> bool:
        """Whether the target closes without another byte."""
        return self._buffer == b"" and self.socket.recv(1) == b""


def await_counters(target: TargetProcess, path: tuple[str, ...], value: int) -> dict[str, Any]:
    """The counters once the number at ``path`` is ``value``."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        counters = seen = target.counters()
        for key in path:
            seen = seen.get(key, 0)
        if seen == value:
            return counters
        assert time.monotonic() < deadline, (path, seen, value)


def test_a_connection_is_kept_for_many_requests(target: TargetProcess) -> None:
    with Client(target) as client:
        for _ in range(100):
            status, headers, body = client.get("/json")
            assert status == 200
            assert "connection" not in headers
            assert json.loads(body)["message"] == "hello"
        counters = target.counters()
    assert counters["total"] == 100
    assert counters["by_path"] == {"GET /json": 100}
    assert counters["by_status"] == {"200": 100}
    assert counters["connections"]["opened"] == 1
    assert sum(counters["per_second"].values()) == 100


def test_bytes_are_counted_as_they_were_on_the_wire(target: TargetProcess) -> None:
    request = b"GET /bytes/100000 HTTP/1.1\r\nhost: x\r\n\r\n"
    with Client(target) as client:
        client.send(request)
        _, headers, body = client.answer()
        head = len("HTTP/1.1 200 OK\r\n\r\n") + sum(len(f"{name}: {text}\r\n") for name, text in headers.items())
        counters = target.counters()
    assert counters["bytes"] == {"received": len(request), "sent": head + len(body)}


def test_connection_close_is_obeyed(target: TargetProcess) -> None:
    with Client(target) as client:
        client.send("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert client.answer()[1]["connection"] == "close"
        assert client.is_ended()
    with Client(target) as client:
        client.send("GET / HTTP/1.0\r\n\r\n")
        assert client.answer()[0] == 200
        assert client.is_ended()
    await_counters(target, ("connections", "closed"), 2)


def test_pipelined_requests_are_answered_in_order_whatever_their_delays(target: TargetProcess) -> None:
    delays = [60, 0, 30, 0, 10]
    with Client(target) as client:
        client.send("".join(f"GET /{n}?delay={ms}ms HTTP/1.1\r\nhost: x\r\n\r\n" for n, ms in enumerate(delays)))
        started = time.monotonic()
        paths = [json.loads(client.answer()[2])["path"] for _ in delays]
        assert time.monotonic() - started >= 0.055
    assert paths == ["/0", "/1", "/2", "/3", "/4"]


def test_ten_thousand_pipelined_requests_are_all_answered(target: TargetProcess) -> None:
    with Client(target) as client:
        client.send("GET /?delay=1ms HTTP/1.1\r\nhost: x\r\n\r\n" * 10_000)
        assert {client.answer()[0] for _ in range(10_000)} == {200}
    assert target.counters()["total"] == 10_000


def test_a_request_that_comes_byte_by_byte_is_one_request(target: TargetProcess) -> None:
    body = b'{"a": 1}'
    with Client(target) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"POST /echo?x=1 HTTP/1.1\r\nHost: x\r\nX-Tag: t\r\ncontent-length: 8\r\n\r\n" + body:
            client.send(bytes([byte]))
        echo = json.loads(client.answer()[2])
    assert echo == {
        "method": "POST",
        "path": "/echo",
        "url": "/echo?x=1",
        "headers": {"host": "x", "x-tag": "t", "content-length": "8"},
        "body": body.decode(),
    }
    assert target.counters()["by_path"] == {"POST /echo": 1}


def test_chunked_bodies_are_read(target: TargetProcess) -> None:
    with Client(target) as client:
        client.send(
            "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
            "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
        )
        assert json.loads(client.answer()[2])["body"] == "hello world"
        assert client.get("/echo")[0] == 200


def test_head_is_answered_without_a_body(target: TargetProcess) -> None:
    with Client(target) as client:
        client.send("HEAD /bytes/1000 HTTP/1.1\r\nhost: x\r\n\r\n")
        assert client.answer(head=True)[1]["content-length"] == "1000"
        assert client.get("/")[0] == 200


def test_an_upgrade_is_not_taken_up_and_the_connection_goes_on(target: TargetProcess) -> None:
    with Client(target) as client:
        client.send(
            "GET /a HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
            "GET /b HTTP/1.1\r\nhost: x\r\n\r\n"
        )
        assert [json.loads(client.answer()[2])["path"] for _ in range(2)] == ["/a", "/b"]


def test_an_error_rate_of_one_fails_every_request(target: TargetProcess) -> None:
    with Client(target) as client:
        assert {client.get("/?error=1")[0] for _ in range(20)} == {500}
        assert {client.get("/")[0] for _ in range(20)} == {200}
    assert target.counters()["by_status"] == {"200": 20, "500": 20}


def test_a_body_over_16_mib_is_refused(target: TargetProcess) -> None:
    with Client(target) as client:
        client.send(f"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {17 << 20}\r\n\r\n")
        client.send(b"x" * (17 << 20))
        status, headers, _ = client.answer()
        assert (status, headers["connection"]) == (413, "close")
        assert client.is_ended()
    assert target.counters()["total"] == 1


def test_a_body_of_16_mib_is_taken(target: TargetProcess) -> None:
    with Client(target) as client:
        client.send(f"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {16 << 20}\r\n\r\n")
        client.send(b"x" * (16 << 20))
        assert client.answer()[0] == 200


@pytest.mark.parametrize("part", ["GET /{} HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nx: {}\r\n\r\n"])
def test_a_head_over_64_kib_is_refused(target: TargetProcess, part: str) -> None:
    with Client(target) as client:
        client.send(part.format("x" * 70_000))
        assert client.answer()[0] == 431
        assert client.is_ended()
    counters = target.counters()
    assert (counters["total"], counters["malformed"]) == (0, 1)


def test_a_head_that_never_ends_is_refused(target: TargetProcess) -> None:
    with Client(target) as client:
        client.send("GET / HTTP/1.1\r\nx: ")
        for _ in range(100):
            client.send(b"x" * 10_000)
        assert client.answer()[0] == 431
    counters = target.counters()
    assert (counters["total"], counters["malformed"]) == (0, 1)


def test_what_is_not_http_is_refused_after_what_came_before_it(target: TargetProcess) -> None:
    with Client(target) as client:
        client.send("GET /?delay=20ms HTTP/1.1\r\nhost: x\r\n\r\nnonsense\r\n\r\n")
        assert [client.answer()[0], client.answer()[0]] == [200, 400]
        assert client.is_ended()
    counters = target.counters()
    assert (counters["total"], counters["malformed"]) == (1, 1)


def test_a_reset_arrives_as_a_reset(target: TargetProcess) -> None:
    with Client(target) as client:
        client.send("GET /fault/reset HTTP/1.1\r\nhost: x\r\n\r\n")
        with pytest.raises(ConnectionResetError) as caught:
            client.socket.recv(1)
    assert caught.value.errno == errno.ECONNRESET
    counters = target.counters()
    assert counters["by_path"] == {"GET /fault/reset": 1}
    assert counters["by_status"] == {}


def test_a_truncated_answer_ends_before_its_length(target: TargetProcess) -> None:
    with Client(target) as client, pytest.raises(EOFError):
        client.get("/fault/truncate")


def test_garbage_is_not_http(target: TargetProcess) -> None:
    with Client(target) as client:
        client.send("GET /fault/garbage HTTP/1.1\r\nhost: x\r\n\r\n")
        assert client.socket.recv(100) == b"this is not HTTP\r\n\r\n"
        assert client.is_ended()


def test_a_hang_is_never_answered_and_counted_when_the_client_leaves(target: TargetProcess) -> None:
    with Client(target) as client:
        client.send("GET /fault/hang?delay=1ms HTTP/1.1\r\nhost: x\r\n\r\n")
        client.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.socket.recv(1)
    counters = await_counters(target, ("unanswered",), 1)
    assert counters["total"] == 1
    assert counters["by_status"] == {}


def test_a_client_that_does_not_wait_is_unanswered(target: TargetProcess) -> None:
    with Client(target) as client:
        client.send("GET /?delay=1h HTTP/1.1\r\nhost: x\r\n\r\n")
        await_counters(target, ("total",), 1)
    await_counters(target, ("unanswered",), 1)


def test_a_stall_holds_all_answers_and_counts_arrivals(target: TargetProcess) -> None:
    with Client(target) as early, Client(target) as late:
        early.send("GET /early?delay=50ms HTTP/1.1\r\nhost: x\r\n\r\n")
        await_counters(target, ("total",), 1)
        target.stall(0.5)
        started = time.monotonic()
        late.send("GET /late HTTP/1.1\r\nhost: x\r\n\r\n" * 2)
        await_counters(target, ("total",), 3)
        assert time.monotonic() - started < 0.4, "counted while it stalls"
        assert target.counters()["by_status"] == {}
        assert [early.answer()[0], late.answer()[0], late.answer()[0]] == [200] * 3
        assert time.monotonic() - started >= 0.45
        assert late.get("/after")[0] == 200


def test_control_connections_are_not_counted(target: TargetProcess) -> None:
    for _ in range(3):
        counters = target.counters()
    assert counters["total"] == 0
    assert counters["connections"]["opened"] == 0
    assert counters["bytes"] == {"received": 0, "sent": 0}
    with Client(target) as client:
        assert client.get("/control/none")[0] == 400
        assert client.get("/control/counters")[0] == 200
    assert target.counters()["total"] == 0


def test_a_client_that_reads_nothing_does_not_fill_the_memory(target: TargetProcess) -> None:
    """Each request asks for 16 MiB; the target reads on only as its answers are taken."""
    with Client(target) as client:
        client.send("GET /bytes/16777216 HTTP/1.1\r\nhost: x\r\n\r\n" * 1000)
        await_counters(target, ("connections", "opened"), 1)
        status = Path(f"/proc/{target.pid}/status").read_text()
        resident_kib = int(status.partition("VmRSS:")[2].split()[0])
        assert resident_kib < 300 * 1024
