"""Certificates and keys that can not be used are named before anything starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadr.errors import ArgumentInvalid
from loadr.transport.tls import ClientTls, ServerTls, client_tls, server_tls
from support.certificates import Authority, write_certificates


def test_a_pair_that_fits_is_read_with_its_authority(tmp_path: Path) -> None:
    made = write_certificates(tmp_path, agents=("a1",))
    identity, client_ca = ServerTls(made.controller_cert, made.controller_key, made.ca).read()
    assert identity.cert == made.controller_cert.read_bytes()
    assert identity.key == made.controller_key.read_bytes()
    assert client_ca == made.ca.read_bytes()
    ca, own = ClientTls(made.ca, made.agent_cert("a1"), made.agent_key("a1")).read()
    assert ca == made.ca.read_bytes() and own is not None
    assert ClientTls().read() == (None, None)


def test_a_missing_file_is_named_with_its_flag(tmp_path: Path) -> None:
    made = write_certificates(tmp_path)
    with pytest.raises(ArgumentInvalid, match=r"nothing\.pem \(--tls-key\) can not be read: No such file"):
        ServerTls(made.controller_cert, tmp_path / "nothing.pem")
    with pytest.raises(ArgumentInvalid, match=r"\(--tls-ca\) can not be read"):
        ClientTls(tmp_path / "nothing.pem")


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    made = write_certificates(tmp_path, agents=("a1",))
    with pytest.raises(ArgumentInvalid, match="does not belong to the certificate"):
        ServerTls(made.controller_cert, made.agent_key("a1"))


def test_files_that_are_not_pem_are_refused(tmp_path: Path) -> None:
    made = write_certificates(tmp_path)
    text = tmp_path / "text.pem"
    text.write_text("hello")
    with pytest.raises(ArgumentInvalid, match="holds no certificate in PEM form"):
        ServerTls(text, made.controller_key)
    with pytest.raises(ArgumentInvalid, match="holds no private key in PEM form"):
        ServerTls(made.controller_cert, text)
    with pytest.raises(ArgumentInvalid, match=r"\(--tls-client-ca\) holds no certificate"):
        ServerTls(made.controller_cert, made.controller_key, made.controller_key)


def test_a_certificate_out_of_its_time_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with pytest.raises(ArgumentInvalid, match=r"expired on \d{4}-"):
        ServerTls(*authority.issue("old", valid_days=(-9, -2)))
    with pytest.raises(ArgumentInvalid, match=r"is not valid before \d{4}-"):
        ServerTls(*authority.issue("new", valid_days=(2, 9)))


def test_a_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    made = write_certificates(tmp_path, agents=("a1",))
    with pytest.raises(ArgumentInvalid, match="--tls-cert was given without --tls-key"):
        client_tls(made.ca, made.agent_cert("a1"), None)
    with pytest.raises(ArgumentInvalid, match="--tls-key was given without --tls-cert"):
        server_tls(None, made.controller_key, None)
    with pytest.raises(ArgumentInvalid, match="--tls-client-ca was given without"):
        server_tls(None, None, made.ca)


def test_no_flags_mean_no_tls() -> None:
    assert server_tls(None, None, None) is None
    assert client_tls(None, None, None) is None


def test_the_stamp_changes_when_a_file_does(tmp_path: Path) -> None:
    made = write_certificates(tmp_path)
    tls = ServerTls(made.controller_cert, made.controller_key)
    before = tls.stamp()
    assert tls.stamp() == before
    os.utime(made.controller_cert, ns=(1, 1))
    assert tls.stamp() != before
