"""A `Connection` on a socket pair: the test is the target, and decides where reads are split."""

from __future__ import annotations

import asyncio
import itertools
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadr.engine.http1 import MAX_HEAD_BYTES, Connection, KnownHeads
from support.scripted import answer, run, until

REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
FAR = 2**62

PLAIN = answer(b"hello")
CHUNKED = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n3\r\n!!!\r\n0\r\ntrailer: x\r\n\r\n"
)
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"
TWO_LENGTHS = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n"
LONG_HEAD = b"HTTP/1.1 200 OK\r\nx: " + b"y" * MAX_HEAD_BYTES


class Wire:
    """A connection and the target's end of it. The clock counts its readings."""

    def __init__(self, known: KnownHeads | None = None) -> None:
        self.known: KnownHeads = {} if known is None else known
        self.ticks = itertools.count(1)
        self.lost = asyncio.Event()

    async def __aenter__(self) -> Wire:
        ours, self.target = socket.socketpair()
        loop = asyncio.get_running_loop()
        _, self.connection = await loop.create_connection(
            lambda: Connection(loop, lambda: next(self.ticks), self.known, self._note_loss), sock=ours
        )
        return self

    def _note_loss(self, connection: Connection) -> None:
        self.lost.set()

    async def __aexit__(self, *exc: object) -> None:
        self.connection.abort()
        self.target.close()
        await asyncio.sleep(0)

    async def exchange(self, *chunks: bytes, close: bool = False, head_only: bool = False) -> Connection:
        """One request, answered by these reads, and by the end of the stream if asked for."""
        connection = self.connection
        waiter = connection.start(REQUEST, head_only, FAR)
        assert waiter is not None
        for chunk in chunks:
            if connection.open:
                connection.data_received(chunk)
        if close and connection.open:
            connection.eof_received()
        if waiter.done():
            await waiter
        return connection


def outcome(connection: Connection) -> tuple[object, ...]:
    return connection.failure, connection.status, connection.body, connection.open


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (PLAIN, ("", 200, b"hello", True)),
        (CHUNKED, ("", 200, b"hello!!!", True)),
        (answer(b"", "404 Not Found"), ("", 404, b"", True)),
        (b"HTTP/1.1 204 No Content\r\n\r\n", ("", 204, b"", True)),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n", ("", 304, b"", True)),
        (answer(b"x", "200 OK", "connection: close"), ("", 200, b"x", False)),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx", ("", 200, b"x", False)),
        (CONTINUE + EARLY_HINTS + PLAIN, ("", 200, b"hello", True)),
    ],
)
def test_a_response_is_read_whole_wherever_it_is_split(response: bytes, expected: tuple[object, ...]) -> None:
    async def scenario() -> None:
        for cut in range(len(response)):
            async with Wire() as wire:
                connection = await wire.exchange(*filter(None, (response[:cut], response[cut:])))
                assert outcome(connection) == expected
                assert connection.waiter is None
                assert connection.bytes_received == len(response)
                assert connection.head.startswith(b"HTTP/1.") and connection.head.endswith(b"\r\n\r\n")
                assert connection.head.count(b"HTTP/1.") == 1
                assert connection.sent_at < connection.first_at <= connection.end_at

    run(scenario())


def test_a_connection_serves_one_response_after_the_other_of_any_shape() -> None:
    async def scenario() -> None:
        async with Wire() as wire:
            for _ in range(2):
                for response, body in ((PLAIN, b"hello"), (CHUNKED, b"hello!!!"), (CONTINUE + PLAIN, b"hello")):
                    assert outcome(await wire.exchange(response)) == ("", 200, body, True)
            assert wire.target.recv(100_000) == REQUEST * 6

    run(scenario())


def test_a_head_that_was_seen_before_is_not_parsed_again_and_gives_the_same_response() -> None:
    async def scenario() -> None:
        async with Wire() as wire:
            await wire.exchange(PLAIN)
            assert list(wire.known.values()) == [(200, 5)]
            parsed = (wire.connection.head, *outcome(wire.connection))
            wire.connection._parser = None  # whoever parses would have to make a new one
            await wire.exchange(PLAIN)
            assert (wire.connection.head, *outcome(wire.connection)) == parsed
            assert wire.connection._parser is None
            assert wire.connection.bytes_received == len(PLAIN)

    run(scenario())


def test_a_known_head_with_another_amount_of_body_behind_it_is_parsed() -> None:
    async def scenario() -> None:
        for chunks, expected in (
            ((PLAIN[:-1], PLAIN[-1:]), ("", 200, b"hello", True)),
            ((PLAIN + b"!",), ("", 200, b"hello", False)),
        ):
            async with Wire() as wire:
                await wire.exchange(PLAIN)
                assert outcome(await wire.exchange(*chunks)) == expected

    run(scenario())


@pytest.mark.parametrize("response", [CHUNKED, CONTINUE + PLAIN, b"HTTP/1.1 204 No Content\r\n\r\n"])
def test_only_heads_that_give_the_length_of_their_body_become_known(response: bytes) -> None:
    async def scenario() -> None:
        async with Wire() as wire:
            await wire.exchange(response)
            assert wire.known == {}

    run(scenario())


def test_the_answer_to_head_has_no_body_and_teaches_nothing_about_get() -> None:
    async def scenario() -> None:
        async with Wire() as wire:
            head = answer(b"hello")[:-5]
            for _ in range(2):
                assert outcome(await wire.exchange(head, head_only=True)) == ("", 200, b"", True)
            assert wire.known == {}
            assert outcome(await wire.exchange(PLAIN)) == ("", 200, b"hello", True)
            assert outcome(await wire.exchange(head, head_only=True)) == ("", 200, b"", True)
            assert outcome(await wire.exchange(PLAIN, head_only=True)) == ("", 200, b"", False)
            assert wire.connection.unsolicited

    run(scenario())


@pytest.mark.parametrize(
    "head", ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n"]
)
def test_a_response_without_a_length_ends_with_its_connection(head: str) -> None:
    async def scenario() -> None:
        async with Wire() as wire:
            connection = await wire.exchange(head.encode() + b"all ", b"of it", close=True)
            assert outcome(connection) == ("", 200, b"all of it", False)

    run(scenario())


@pytest.mark.parametrize(
    ("chunks", "kind", "detail"),
    [
        ((), "closed_early", "no byte"),
        ((PLAIN[:10],), "closed_early", "the head"),
        ((PLAIN[:-1],), "closed_early", "the body"),
        ((CHUNKED[:-5],), "closed_early", "the body"),
        ((CONTINUE,), "closed_early", "the head"),
        ((b"SSH-2.0-OpenSSH_9.6\r\n",), "protocol_error", ""),
        ((b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxy",), "protocol_error", ""),
        ((b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",), "protocol_error", ""),
        ((TWO_LENGTHS,), "protocol_error", ""),
        ((b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",), "protocol_error", ""),
        ((SWITCHING,), "protocol_error", "switch"),
        ((LONG_HEAD,), "protocol_error", "64 KiB"),
        ((LONG_HEAD + b"\r\ncontent-length: 0\r\n\r\n",), "protocol_error", "64 KiB"),
        ((CONTINUE * 4_000,), "protocol_error", "64 KiB"),
    ],
)  # fmt: skip
def test_what_is_not_a_whole_response_is_a_failure_of_one_kind(
    chunks: tuple[bytes, ...], kind: str, detail: str
) -> None:
    async def scenario() -> None:
        async with Wire() as wire:
            connection = await wire.exchange(*chunks, close=True)
            assert outcome(connection) == (kind, 0, b"", False)
            assert detail in connection.failure_detail
            assert connection.sent_at < connection.first_at <= connection.end_at

    run(scenario())


@pytest.mark.parametrize("encoding", ["content-length: 67108870", "transfer-encoding: chunked"])
def test_a_body_over_the_limit_is_given_up(encoding: str) -> None:
    async def scenario() -> None:
        async with Wire() as wire:
            piece = b"x" * (1 << 20)
            framed = b"%x\r\n%b\r\n" % (len(piece), piece) if "chunked" in encoding else piece
            connection = await wire.exchange(f"HTTP/1.1 200 OK\r\n{encoding}\r\n\r\n".encode(), *(framed,) * 65)
            assert outcome(connection) == ("body_too_large", 0, b"", False)

    run(scenario())


@pytest.mark.parametrize("extra", [b"x", PLAIN, b"\0\0"])
def test_bytes_behind_a_response_leave_it_valid_and_cost_the_connection(extra: bytes) -> None:
    async def scenario() -> None:
        async with Wire() as wire:
            connection = await wire.exchange(PLAIN + extra)
            assert outcome(connection) == ("", 200, b"hello", False)
            assert connection.unsolicited

    run(scenario())


def test_bytes_on_an_idle_connection_cost_it_and_are_remembered() -> None:
    async def scenario() -> None:
        async with Wire() as wire:
            await wire.exchange(PLAIN)
            wire.connection.data_received(PLAIN)
            assert wire.connection.unsolicited
            assert wire.connection.start(REQUEST, False, FAR) is None

    run(scenario())


def test_nothing_is_written_on_a_connection_that_the_target_has_closed() -> None:
    async def scenario() -> None:
        async with Wire() as wire:
            wire.target.close()
            await wire.lost.wait()
            assert wire.connection.start(REQUEST, False, FAR) is None
            assert not wire.connection.unsolicited

    run(scenario())


def test_a_reset_and_a_plain_end_are_told_apart() -> None:
    async def scenario() -> None:
        async with Wire() as wire:
            wire.connection.start(REQUEST, False, FAR)
            wire.connection.connection_lost(ConnectionResetError("by peer"))
            assert wire.connection.failure == "reset"

    run(scenario())


def test_expiry_and_interruption_end_a_request_that_waits() -> None:
    async def scenario() -> None:
        async with Wire() as wire:
            waiter = wire.connection.start(REQUEST, False, FAR)
            assert waiter is not None
            wire.connection.expire(1_000)
            await waiter
            assert outcome(wire.connection) == ("timeout", 0, b"", False)
            assert wire.connection.end_at == wire.connection.first_at == 1_000
        async with Wire() as wire:
            waiter = wire.connection.start(REQUEST, False, FAR)
            assert waiter is not None
            wire.connection.interrupt(1_000)
            await waiter
            assert wire.connection.failure == "interrupted"

    run(scenario())


def test_a_large_request_is_sent_whole_and_its_sending_lasts_until_the_last_byte_has_left() -> None:
    async def scenario() -> None:
        async with Wire() as wire:
            loop = asyncio.get_running_loop()
            wire.connection._send = None
            ours = wire.connection._transport
            assert ours is not None
            ours.set_write_buffer_limits(high=0)
            data = REQUEST + b"x" * 4_000_000
            waiter = wire.connection.start(data, False, FAR)
            begun_at = wire.connection.sent_at
            wire.target.setblocking(False)
            received = b""
            while len(received) < len(data):
                received += await loop.sock_recv(wire.target, 1 << 20)
            assert received == data
            await loop.sock_sendall(wire.target, PLAIN)
            assert waiter is not None
            await waiter
            assert wire.connection.sent_at > begun_at
            assert outcome(wire.connection) == ("", 200, b"hello", True)

    run(scenario())


@pytest.mark.parametrize("known", [{}, {answer(b"no", "413 Content Too Large")[:-2]: (413, 2)}])
def test_an_answer_before_the_request_was_sent_whole_costs_the_connection(known: KnownHeads) -> None:
    async def scenario() -> None:
        async with Wire(known) as wire:
            transport = wire.connection._transport
            assert transport is not None
            transport.set_write_buffer_limits(high=0)
            waiter = wire.connection.start(REQUEST + b"x" * 8_000_000, False, FAR)
            wire.target.sendall(answer(b"no", "413 Content Too Large"))
            assert waiter is not None
            await waiter
            assert outcome(wire.connection) == ("", 413, b"no", False)

    run(scenario())


def test_the_sending_of_a_request_ends_before_the_first_byte_of_its_response_at_the_latest() -> None:
    async def scenario() -> None:
        async with Wire() as wire:
            loop, connection = asyncio.get_running_loop(), wire.connection
            assert connection._transport is not None
            connection._transport.set_write_buffer_limits(high=0)
            data = REQUEST + b"x" * 8_000_000
            waiter = connection.start(data, False, FAR)
            assert waiter is not None
            wire.target.setblocking(False)
            await loop.sock_sendall(wire.target, PLAIN[:9])
            await until(lambda: connection.first_at)
            received = 0
            while received < len(data):
                received += len(await loop.sock_recv(wire.target, 1 << 20))
            await until(lambda: not connection._paused)
            await loop.sock_sendall(wire.target, PLAIN[9:])
            await waiter
            assert connection.sent_at < connection.first_at < connection.end_at
            assert outcome(connection) == ("", 200, b"hello", True)

    run(scenario())


@pytest.mark.parametrize("times", [1, 2])
def test_a_response_to_a_request_that_was_just_cancelled_is_ignored(times: int) -> None:
    async def scenario() -> None:
        async with Wire() as wire:
            for _ in range(times - 1):
                await wire.exchange(PLAIN)  # the head is known the second time
            waiter = wire.connection.start(REQUEST, False, FAR)
            assert waiter is not None
            waiter.cancel()
            wire.connection.data_received(PLAIN)
            assert wire.connection.waiter is None

    run(scenario())


FRAGMENTS = st.sampled_from(
    (
        *(PLAIN, CHUNKED, CONTINUE, b"HTTP/1.1 204 x\r\n\r\n", b"HTTP/1.0 200 x\r\n\r\n"),
        *(b"HTTP/1.1 ", b"200 OK", b"\r\n", b"\r\n\r\n", b"content-length: ", b"5", b"0\r\n\r\n"),
        *(b"transfer-encoding: chunked\r\n", b"connection: close\r\n"),
    )
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(FRAGMENTS, st.binary(max_size=20)), max_size=12).map(b"".join),
    st.lists(st.integers(0, 200), max_size=6),
    st.booleans(),
)
def test_whatever_comes_in_whatever_pieces_a_request_has_one_outcome(
    data: bytes, cuts: list[int], head_only: bool
) -> None:
    async def scenario() -> None:
        places = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
        pieces = [data[low:high] for low, high in itertools.pairwise(places)]
        async with Wire({b"HTTP/1.1 200 OK\r\n\r\n": (200, 0)}) as wire:
            connection = await wire.exchange(*pieces, close=True, head_only=head_only)
            assert connection.waiter is None
            if connection.failure:
                assert (connection.status, connection.body, connection.open) == (0, b"", False)
            else:
                assert 200 <= connection.status <= 999
            assert connection.end_at >= connection.first_at > connection.sent_at

    run(scenario())


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([PLAIN, CHUNKED, CONTINUE + EARLY_HINTS + PLAIN, answer(b"x" * 3000, "503 Busy", "a: b")]),
    st.lists(st.integers(1, 300), max_size=8),
)
def test_splits_do_not_change_a_response(response: bytes, cuts: list[int]) -> None:
    async def scenario() -> None:
        places = sorted({0, len(response), *(min(cut, len(response)) for cut in cuts)})
        async with Wire() as wire, Wire() as whole:
            split = await wire.exchange(*(response[low:high] for low, high in itertools.pairwise(places)))
            together = await whole.exchange(response)
            assert (split.head, *outcome(split)) == (together.head, *outcome(together))

    run(scenario())
