"""Who an agent is, by its certificate: a wrong one is refused over real TLS, in one clear line on both sides."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from loadr.controller import Controller
from loadr.coordination import messages as m
from loadr.plan.model import Plan
from loadr.transport.filestore import FileStore
from loadr.transport.grpc_client import GrpcDialer
from loadr.transport.grpc_server import GrpcServer
from loadr.transport.link import AgentLink
from loadr.transport.tls import ClientTls, ServerTls
from support.certificates import Certificates, write_certificates
from support.fleet import Fleet, run_loadr

LIMIT_S = 20


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    made = write_certificates(tmp_path_factory.mktemp("ours"), agents=("a1", "a2", "a3", "a4", "a5"))
    made.authority.issue("nameless", ())
    made.authority.issue("expired", ("a1",), valid_days=(-9, -2))
    return made


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return write_certificates(tmp_path_factory.mktemp("theirs"), agents=("a1",))


@pytest.fixture(scope="module")
def fleet(made: Certificates) -> Iterator[Fleet]:
    flags = ("--tls-cert", str(made.controller_cert), "--tls-key", str(made.controller_key))
    with Fleet(*flags, "--tls-client-ca", str(made.ca)) as fleet:
        yield fleet


def join(fleet: Fleet, made: Certificates, cert: tuple[Path, Path] | None, name: str = "a1") -> tuple[int, str]:
    """Exit code and words of an agent that dials with this certificate."""
    own = ("--tls-cert", str(cert[0]), "--tls-key", str(cert[1])) if cert else ()
    address = f"127.0.0.1:{fleet.port}"
    done = run_loadr("agent", "--join", address, "--name", name, "--workers", "1", "--tls-ca", str(made.ca), *own)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def pair(made: Certificates, name: str) -> tuple[Path, Path]:
    return made.agent_cert(name), made.agent_key(name)


def test_no_certificate(fleet: Fleet, made: Certificates) -> None:
    code, said = join(fleet, made, None)
    assert code == 122 and "asks for a certificate, and we showed none" in said
    fleet.controller.await_words("a connection was refused: it showed no certificate")


def test_a_certificate_of_an_unknown_ca(fleet: Fleet, made: Certificates, strangers: Certificates) -> None:
    code, said = join(fleet, made, pair(strangers, "a1"))
    assert code == 122 and "turned our certificate down" in said
    fleet.controller.await_words("refused: its certificate is not signed by the CA of --tls-client-ca")


def test_a_controller_of_an_unknown_ca(fleet: Fleet, made: Certificates, strangers: Certificates) -> None:
    code, said = join(fleet, strangers, pair(made, "a1"))
    assert code == 122 and "has a certificate that our CA did not sign" in said


def test_a_certificate_that_has_expired(fleet: Fleet, made: Certificates) -> None:
    code, said = join(fleet, made, pair(made, "expired"))
    assert code == 104 and "(--tls-cert) expired on" in said, "it is told before anything is dialled"
    context = ssl.create_default_context(cafile=made.ca)
    context.load_cert_chain(*pair(made, "expired"))
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", fleet.port), timeout=LIMIT_S) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped,
    ):
        try:
            assert wrapped.recv(1) == b""
        except OSError:
            pass  # a reset is an end as good as any
    fleet.controller.await_words("a connection was refused: its certificate has expired")


def test_a_certificate_of_another_agent(fleet: Fleet, made: Certificates) -> None:
    code, said = join(fleet, made, pair(made, "a2"), name="a1")
    words = "the certificate is for a2, and not for agent a1"
    assert code == 122 and f"refused this agent: {words}" in said
    fleet.controller.await_words(f"agent a1 at [^ ]+ was refused: {words}")


def test_a_certificate_that_names_nobody(fleet: Fleet, made: Certificates) -> None:
    code, said = join(fleet, made, pair(made, "nameless"))
    words = "the certificate is for nobody: it has no subject alternative name, and not for agent a1"
    assert code == 122 and f"refused this agent: {words}" in said
    fleet.controller.await_words(f"agent a1 at [^ ]+ was refused: {words}")


def test_something_that_does_not_speak_tls(fleet: Fleet) -> None:
    with socket.create_connection(("127.0.0.1", fleet.port), timeout=LIMIT_S) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        try:
            assert plain.recv(1) == b""
        except OSError:
            pass
    fleet.controller.await_words("a connection was refused: it does not speak TLS")


def test_a_hundred_refusals_are_no_hundred_lines(fleet: Fleet, made: Certificates) -> None:
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", fleet.port), timeout=LIMIT_S) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            try:
                plain.recv(1)
            except OSError:
                pass
    join(fleet, made, pair(made, "a2"), name="a9")
    fleet.controller.await_words("agent a9 at [^ ]+ was refused")  # so all that came before has been told
    assert 1 <= fleet.controller.said.count("does not speak TLS") < 8


# --- after the registration ----------------------------------------------------------------------------------


@asynccontextmanager
async def controller(made: Certificates) -> AsyncIterator[tuple[Controller, str, list[str]]]:
    said: list[str] = []
    shell = Controller(lambda level, text: said.append(text))
    tls = ServerTls(made.controller_cert, made.controller_key, made.ca)
    server = GrpcServer("127.0.0.1:0", tls=tls, insecure=False, on_link=shell.accept)
    shell.open()
    host, port = await server.start()
    try:
        yield shell, f"{host}:{port}", said
    finally:
        await shell.close()
        await server.stop()


async def register(made: Certificates, address: str, name: str) -> AgentLink:
    dialer = GrpcDialer(address, tls=ClientTls(made.ca, *pair(made, name)), insecure=False)
    link = await dialer.dial(5.0)
    link.send(m.Register(1, 1, name, name, f"{name}/1", "1.0", 1, 1, 1))
    assert isinstance(await anext(link.messages()), m.Registered)
    link.send(m.AgentBeat(1, 1))
    assert isinstance(await anext(link.messages()), m.ControllerBeat)
    return link


SERIES = (m.SeriesEntry(1, "http_reqs", 1, ()),)
INTERVALS = (m.WireInterval(0, 1, (m.WireCounter(1, 5),)),)


def test_an_agent_with_a_good_certificate_can_not_write_a_run_of_another(made: Certificates) -> None:
    body = {"executor": "constant-vus", "vus": 1, "duration": "9s", "flow": []}
    plan = Plan.model_validate({"scenarios": {"s": body}})

    async def main() -> None:
        async with asyncio.timeout(LIMIT_S), controller(made) as (shell, address, said):
            first = await register(made, address, "a1")
            run_id = shell.submit(plan, FileStore.of_folder(plan, {}), expect_agents=1)
            assert isinstance(await anext(first.messages()), m.Assignment)
            messages: dict[str, m.AgentMessage] = {
                "a2": m.Prepared(run_id, 1),
                "a3": m.Metrics(run_id, 1, 1, SERIES, INTERVALS),
                "a4": m.RunEvent(run_id, 1, 1, m.RunEventKind.FINISHED),
                "a5": m.FileRequest(run_id, "a" * 64, 0, 10),
            }
            for name, message in messages.items():
                other = await register(made, address, name)
                other.send(message)
                async for _ in other.messages():
                    pass
                words = f"agent {name} broke the protocol: agent {name} has no part in run {run_id}"
                assert any(words in text for text in said)
            metrics = shell.metrics(run_id)
            assert metrics is not None and metrics.select("http_reqs") is None
            run = shell.core.run(run_id)
            assert run is not None and list(run.agents) == ["a1"] and not first.reason

    asyncio.run(main())


def test_a_second_registration_within_a_session_can_not_change_who_it_is(made: Certificates) -> None:
    async def main() -> None:
        async with asyncio.timeout(LIMIT_S), controller(made) as (shell, address, _):
            link = await register(made, address, "a1")
            link.send(m.Register(1, 1, "a2", "a2", "a2/1", "1.0", 1, 1, 1))
            async for _message in link.messages():
                pass
            assert link.reason and list(shell.core.agents) == ["a1"]

    asyncio.run(main())
