from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import socket
import ssl
from pathlib import Path

import pytest

from loadr.clock import boottime_ns
from loadr.engine.opener import Address, Opener, Opening
from loadr.engine.requests import Target
from loadr.engine.tls import client_context
from loadr.units import NS_PER_MS, NS_PER_S
from support.certificates import write_certificates
from support.scripted import Peer, Scripted, answer, run, until


async def open_once(
    host: str, port: int, *, limit_ns: int = 10 * NS_PER_S, tls: ssl.SSLContext | None = None
) -> Opening:
    opener = Opener(asyncio.get_running_loop(), boottime_ns)
    opening = await opener.open(Target.of(tls is not None, host, port), boottime_ns() + limit_ns, tls)
    await opener.close()
    return opening


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_connection_comes_with_the_time_that_it_took() -> None:
    async def scenario() -> None:
        async with Scripted.answering(answer()) as target:
            opening = await open_once("127.0.0.1", target.port)
            assert opening.connection is not None
            assert opening.connecting_ns > 0
            assert (opening.tls_ns, opening.failure) == (0, "")

    run(scenario())


def test_the_next_address_is_tried_when_one_refuses_and_remembered() -> None:
    async def scenario() -> None:
        async with Scripted.answering(answer()) as target:
            opener = Opener(asyncio.get_running_loop(), boottime_ns)
            refuses = (socket.AF_INET, socket.SOCK_STREAM, 6, ("127.0.0.1", free_port()))
            answers = (socket.AF_INET, socket.SOCK_STREAM, 6, ("127.0.0.1", target.port))
            opener._addresses["two.example", 80] = [refuses, answers]
            opening = await opener.open(Target.of(False, "two.example", 80), boottime_ns() + NS_PER_S, None)
            assert opening.connection is not None
            assert opener._addresses["two.example", 80] == [answers, refuses]
            await opener.close()

    run(scenario())


def test_a_name_is_looked_up_once_however_many_ask_at_once() -> None:
    class Counting(Opener):
        look_ups = 0

        async def _look_up(self, key: tuple[str, int]) -> list[Address]:
            self.look_ups += 1
            return await super()._look_up(key)

    async def scenario() -> None:
        async with Scripted.answering(answer()) as target:
            opener = Counting(asyncio.get_running_loop(), boottime_ns)
            where = Target.of(False, "localhost", target.port)
            openings = [opener.open(where, boottime_ns() + 10 * NS_PER_S, None) for _ in range(20)]
            assert all(opening.connection is not None for opening in await asyncio.gather(*openings))
            assert (await opener.open(where, boottime_ns() + NS_PER_S, None)).connection is not None
            assert len(opener.connections) == 21
            assert opener.look_ups == 1
            await opener.close()

    run(scenario())


def test_who_gives_up_waiting_for_a_name_does_not_take_it_from_others() -> None:
    async def scenario() -> None:
        name_server_answers = asyncio.Event()

        class Slow(Opener):
            async def _look_up(self, key: tuple[str, int]) -> list[Address]:
                await name_server_answers.wait()
                return await super()._look_up(key)

        async with Scripted.answering(answer()) as target:
            opener = Slow(asyncio.get_running_loop(), boottime_ns)
            where = Target.of(False, "localhost", target.port)
            first, second = (
                asyncio.create_task(opener.open(where, boottime_ns() + 10 * NS_PER_S, None)) for _ in range(2)
            )
            await until(lambda: opener._resolving)
            first.cancel()
            await asyncio.wait({first})
            name_server_answers.set()
            assert (await second).connection is not None
            await opener.close()

    run(scenario())


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("127.0.0.1", "connect_refused"),
        ("nosuch.invalid", "dns"),
        ("a..b", "dns"),
    ],
)
def test_a_target_that_can_not_be_reached_is_a_failure_of_its_kind(host: str, kind: str) -> None:
    opening = run(open_once(host, free_port()))
    assert (opening.connection, opening.failure) == (None, kind)
    assert opening.failure_detail


def test_a_connection_that_is_not_answered_in_time_is_a_timeout() -> None:
    async def scenario() -> None:
        with socket.socket() as full, contextlib.ExitStack() as fillers:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for _ in range(4):  # the queue of connections is full: further ones get no answer
                filler = fillers.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(full.getsockname())
            opening = await open_once("127.0.0.1", full.getsockname()[1], limit_ns=200 * NS_PER_MS)
            assert (opening.failure, opening.failure_detail) == ("connect_timeout", "timed out")

    run(scenario())


def test_running_out_of_descriptors_is_a_failure_of_this_machine() -> None:
    async def scenario() -> Opening:
        async with Scripted.answering(answer()) as target:
            opener = Opener(asyncio.get_running_loop(), boottime_ns)
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            in_use = max(int(fd.name) for fd in Path("/proc/self/fd").iterdir())
            resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 1, hard))
            taken: list[int] = []
            try:
                with contextlib.suppress(OSError):
                    while True:
                        taken.append(os.dup(0))
                return await opener.open(
                    Target.of(False, "127.0.0.1", target.port), boottime_ns() + NS_PER_S, None
                )
            finally:
                for fd in taken:
                    os.close(fd)
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert run(scenario()).failure == "no_descriptors"


def test_running_out_of_local_ports_is_a_failure_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoPorts(socket.socket):
        def connect(self, address: object) -> None:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))

    monkeypatch.setattr(socket, "socket", NoPorts)
    assert run(open_once("127.0.0.1", 9)).failure == "no_ports"


def test_a_trusted_certificate_opens_and_an_untrusted_or_foreign_one_does_not(tmp_path: Path) -> None:
    certificates = write_certificates(tmp_path / "ours")
    others = write_certificates(tmp_path / "others")
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(*certificates.authority.issue("elsewhere.example", ["localhost"]))

    async def scenario() -> None:
        async with Scripted.answering(answer(), tls=served) as target:
            trusting = client_context(ca_file=certificates.ca)
            opening = await open_once("localhost", target.port, tls=trusting)
            assert opening.failure == ""
            assert opening.connecting_ns > 0
            assert opening.tls_ns > 0
            opening = await open_once("127.0.0.1", target.port, tls=trusting)  # not a name of the certificate
            assert (opening.connection, opening.failure) == (None, "tls_certificate")
            opening = await open_once("localhost", target.port, tls=client_context(ca_file=others.ca))
            assert opening.failure == "tls_certificate"
            opening = await open_once("127.0.0.1", target.port, tls=client_context(verify=False))
            assert opening.failure == ""

    run(scenario())


def test_a_target_that_speaks_no_tls_or_hangs_up_or_is_silent_fails_the_handshake() -> None:
    async def scenario() -> None:
        async def hang_up(peer: Peer) -> None:
            await peer.reader.read(1)

        async def be_silent(peer: Peer) -> None:
            while await peer.reader.read(1 << 16):
                pass

        async def talk_plainly(peer: Peer) -> None:
            await peer.reader.read(1)
            await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await be_silent(peer)

        for handler in (hang_up, talk_plainly, be_silent):
            async with Scripted(handler) as target:
                opening = await open_once(
                    "127.0.0.1", target.port, limit_ns=300 * NS_PER_MS, tls=client_context(verify=False)
                )
                assert (opening.connection, opening.failure) == (None, "tls_handshake"), handler

    run(scenario())


def test_no_descriptor_stays_behind_whatever_fails() -> None:
    async def scenario() -> None:
        async def be_silent(peer: Peer) -> None:
            await peer.reader.read()

        async with Scripted(be_silent) as target:
            await open_once("127.0.0.1", target.port)
            before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
            for _ in range(5):
                await open_once("127.0.0.1", free_port())
                await open_once(
                    "127.0.0.1", target.port, limit_ns=20 * NS_PER_MS, tls=client_context(verify=False)
                )
                connections = target.connections
                cancelled = asyncio.create_task(
                    open_once("127.0.0.1", target.port, tls=client_context(verify=False))
                )
                await until(lambda: target.connections > connections)  # noqa: B023 - called at once
                cancelled.cancel()
                await asyncio.gather(cancelled, return_exceptions=True)
            await until(lambda: not set(os.listdir("/proc/self/fd")) - before)  # noqa: PTH208

    run(scenario())
