"""An authority in a folder: what it signs works over real TLS, and nothing that is there is overwritten."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from loadr.coordination import messages as m
from loadr.errors import ArgumentInvalid, PeerRefused
from loadr.transport.authority import LOOPBACK, init_certificates
from loadr.transport.grpc_client import GrpcDialer
from loadr.transport.grpc_server import GrpcServer
from loadr.transport.link import ControllerLink
from loadr.transport.tls import ClientTls, ServerTls


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def sans(path: Path) -> list[str]:
    names = read(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in names]


def test_names_stand_in_the_certificates_and_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    made = init_certificates(folder, hosts=[*LOOPBACK, "controller.example", "10.0.0.7"], agents=["a1", "a2"])
    assert [path.name for path in made.written] == ["ca.pem", "controller.pem", "a1.pem", "a2.pem"]
    assert sans(folder / "controller.pem") == [*LOOPBACK, "controller.example", "10.0.0.7"]
    assert sans(folder / "a1.pem") == ["a1"]
    for name in ("ca", "controller", "a1", "a2"):
        assert (folder / f"{name}.key").stat().st_mode & 0o777 == 0o600
    purposes = read(folder / "a1.pem").extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_agents_are_added_and_what_is_there_is_kept(tmp_path: Path) -> None:
    init_certificates(tmp_path, hosts=LOOPBACK, agents=["a1"])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    made = init_certificates(tmp_path, hosts=LOOPBACK, agents=["a1", "a2"])
    assert [path.name for path in made.written] == ["a2.pem"]
    assert [path.name for path in made.kept] == ["ca.pem", "controller.pem", "a1.pem"]
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    read(tmp_path / "a2.pem").verify_directly_issued_by(read(tmp_path / "ca.pem"))


@pytest.mark.parametrize("name", ["", "../x", "a b", "ca", "controller", "-x", "x" * 65])
def test_a_name_that_can_not_be_a_file_and_a_san_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArgumentInvalid, match="can not be the name"):
        init_certificates(tmp_path / "c", hosts=LOOPBACK, agents=[name])
    assert not (tmp_path / "c").exists()


def test_half_of_a_pair_is_named_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("x")
    with pytest.raises(ArgumentInvalid, match=r"ca\.pem is there without ca\.key"):
        init_certificates(tmp_path, hosts=LOOPBACK, agents=[])
    (tmp_path / "ca.key").write_text("x")
    with pytest.raises(ArgumentInvalid, match="no authority that can be used"):
        init_certificates(tmp_path, hosts=LOOPBACK, agents=[])


def test_a_host_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentInvalid, match="neither a host name nor an address"):
        init_certificates(tmp_path / "c", hosts=["no good"], agents=[])


def test_its_certificates_carry_a_session_and_a_controllers_can_not_stand_in_for_an_agents(
    tmp_path: Path,
) -> None:
    init_certificates(tmp_path, hosts=LOOPBACK, agents=["a1"])
    ca = tmp_path / "ca.pem"
    seen: list[tuple[str, ...]] = []

    async def serve(link: ControllerLink) -> None:
        async for message in link.messages():
            seen.append(link.identities)
            assert isinstance(message, m.AgentBeat)
            link.send(m.ControllerBeat(1, 1, message.number, 1))

    async def main() -> None:
        tls = ServerTls(tmp_path / "controller.pem", tmp_path / "controller.key", ca)
        server = GrpcServer("127.0.0.1:0", tls=tls, insecure=False, on_link=serve)
        host, port = await server.start()
        address = f"{host}:{port}"
        try:
            own = ClientTls(ca, tmp_path / "a1.pem", tmp_path / "a1.key")
            link = await GrpcDialer(address, tls=own, insecure=False).dial(3.0)
            link.send(m.AgentBeat(1, 1))
            assert isinstance(await anext(link.messages()), m.ControllerBeat)
            await link.close("done")
            stolen = ClientTls(ca, tmp_path / "controller.pem", tmp_path / "controller.key")
            with pytest.raises(PeerRefused, match="turned our certificate down"):
                await GrpcDialer(address, tls=stolen, insecure=False).dial(3.0)
        finally:
            await server.stop()

    async def bounded() -> None:
        async with asyncio.timeout(20):
            await main()

    asyncio.run(bounded())
    assert seen == [("a1",)]
