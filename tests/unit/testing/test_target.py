"""The server as a whole: in a loop, and as a command."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from loadr.errors import ArgumentInvalid, ExitCode
from loadr.testing.process import TargetProcess
from loadr.testing.target import READY, Target, TargetOptions, main

LIMIT_S = 10


async def get(port: int, path: str = "/") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    body = await asyncio.wait_for(reader.read(), LIMIT_S)
    writer.close()
    await writer.wait_closed()
    return body


def test_a_target_serves_within_a_loop_and_counts() -> None:
    async def story() -> None:
        target = Target(record_arrivals=10)
        port = await target.start()
        assert (await get(port, "/json")).startswith(b"HTTP/1.1 200 OK\r\n")
        counters = target.counters()
        assert (counters.total, dict(counters.by_path), len(counters.arrivals_ns)) == (1, {"GET /json": 1}, 1)
        await target.close()
        with pytest.raises(ConnectionRefusedError):
            await get(port)

    asyncio.run(story())


def test_closing_ends_connections_that_are_open() -> None:
    async def story() -> None:
        target = Target()
        reader, writer = await asyncio.open_connection("127.0.0.1", await target.start())
        writer.write(b"GET /fault/hang HTTP/1.1\r\nhost: x\r\n\r\n")
        while target.counters().total == 0:  # noqa: ASYNC110 - the target has no event for it; limited below
            await asyncio.sleep(0)
        await target.close()
        try:
            assert await asyncio.wait_for(reader.read(), LIMIT_S) == b""
        except ConnectionResetError:
            pass
        writer.close()
        assert target.counters().unanswered == 1

    asyncio.run(asyncio.wait_for(story(), LIMIT_S))


def test_a_port_in_use_is_a_clear_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ArgumentInvalid) as caught:
            asyncio.run(Target().start("127.0.0.1", port))
    assert caught.value.message == f"127.0.0.1:{port} is in use by another program"
    assert "--bind" in caught.value.hint


def test_an_address_of_another_machine_is_a_clear_fault() -> None:
    with pytest.raises(ArgumentInvalid, match=r"can not listen on 192\.0\.2\.1:1234: "):
        asyncio.run(Target().start("192.0.2.1", 1234))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (TargetOptions(delay="soon"), "not a duration"),
        (TargetOptions(error_rate="5%"), "between 0 and 1"),
        (TargetOptions(size="much"), "not a size"),
        (TargetOptions(bind="8080"), "'8080' is not an address"),
        (TargetOptions(bind="x:99999"), "'x:99999' is not an address"),
        (TargetOptions(tls_cert=Path("a.pem")), "one of --tls-cert and --tls-key is missing"),
        (
            TargetOptions(tls_cert=Path("a.pem"), tls_key=Path("b.pem")),
            "a.pem and b.pem can not be used: No such",
        ),
    ],
)
def test_flags_that_can_not_be_used_are_clear_faults(options: TargetOptions, words: str) -> None:
    with pytest.raises(ArgumentInvalid, match=words):
        options.behaviour()
        options.address()
        options.tls()


def test_hosts_may_be_ipv6() -> None:
    assert TargetOptions(bind="[::1]:80").address() == ("::1", 80)
    assert TargetOptions(bind="localhost:0").address() == ("localhost", 0)


def test_the_command_ends_with_the_code_of_invalid_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--delay", "soon"]) == ExitCode.INVALID
    said = capsys.readouterr().err
    assert "'soon' is not a duration" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("ending", ["SIGTERM", "SIGINT", "stdin"])
def test_the_command_says_where_it_listens_and_what_it_counted(ending: str) -> None:
    command = [sys.executable, "-m", "loadr.testing.target", "--bind", "127.0.0.1:0", "--until-stdin-ends"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdin is not None
            ready = process.stdout.readline()
            assert ready.startswith(f"{READY} http://127.0.0.1:")
            asyncio.run(get(int(ready.rpartition(":")[2])))
            if ending == "stdin":
                process.stdin.close()
            else:
                process.send_signal(signal.Signals[ending])
            assert process.stdout.read() == "loadr target counted 1 request and answered 1 × 200\n"
            assert process.wait(LIMIT_S) == 0
        finally:
            process.kill()


def write_certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "target")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    cert_path, key_path = folder / "cert.pem", folder / "key.pem"
    cert_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return cert_path, key_path


def test_tls_is_served_with_the_given_certificate(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    with TargetProcess("--tls-cert", str(certificate), "--tls-key", str(key)) as target:
        assert target.url == f"https://127.0.0.1:{target.port}"
        trusted = ssl.create_default_context(cafile=certificate)
        with (
            socket.create_connection((target.host, target.port), LIMIT_S) as raw,
            trusted.wrap_socket(raw, server_hostname="127.0.0.1") as tls,
        ):
            tls.sendall(b"GET /json HTTP/1.1\r\nhost: x\r\n\r\n")
            assert tls.recv(4096).startswith(b"HTTP/1.1 200 OK")
        tls = trusted.wrap_socket(
            socket.create_connection((target.host, target.port), LIMIT_S), server_hostname="127.0.0.1"
        )
        tls.sendall(b"GET /fault/reset HTTP/1.1\r\nhost: x\r\n\r\n")
        with socket.socket(fileno=tls.detach()) as raw, pytest.raises(ConnectionResetError):
            raw.settimeout(LIMIT_S)
            while raw.recv(4096):  # session tickets may come first
                pass
        counters = target.counters()
    assert counters["by_path"] == {"GET /json": 1, "GET /fault/reset": 1}
