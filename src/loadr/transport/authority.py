"""A certificate authority in a folder, for fleets that have none: `loadr certs init`.

Takes a folder and names; writes ``ca.pem``, ``ca.key``, ``controller.pem``, ``controller.key``, and for each
agent ``NAME.pem`` and ``NAME.key``. Keys are on P-256 and readable by their owner only. What is there already is
kept.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from loadr.errors import ArgumentInvalid

LOOPBACK = ("localhost", "127.0.0.1", "::1")
CA_DAYS = 3650
LEAF_DAYS = 397
_AHEAD = datetime.timedelta(minutes=5)  # clocks of a fleet differ
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_RESERVED = ("ca", "controller")


@dataclass(slots=True)
class Made:
    """Paths of certificates that were written, and of those that were there already."""

    written: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)


def init_certificates(folder: Path, *, hosts: Sequence[str], agents: Sequence[str]) -> Made:
    """Make whatever of it is not there: the authority, the controller's certificate for ``hosts``, one per agent.

    Raises `ArgumentInvalid` for names that can not be used, and for a folder that holds half of a pair.
    """
    for name in agents:
        if not _NAME.fullmatch(name) or name in _RESERVED:
            raise ArgumentInvalid(
                f"{name!r} can not be the name of an agent's certificate",
                hint="letters, digits, '.', '_' and '-', at most 64; not 'ca' and not 'controller'",
            )
    names = [_general_name(host) for host in dict.fromkeys(hosts)]
    made = Made()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority = _Authority(folder, made)
        authority.issue("controller", names, ExtendedKeyUsageOID.SERVER_AUTH)
        for name in dict.fromkeys(agents):
            authority.issue(name, [x509.DNSName(name)], ExtendedKeyUsageOID.CLIENT_AUTH)
    except OSError as error:
        raise ArgumentInvalid(
            f"{error.filename or folder}: {error.strerror}", hint="check the path and its permissions"
        ) from None
    return made


class _Authority:
    def __init__(self, folder: Path, made: Made) -> None:
        self._folder = folder
        self._made = made
        if _is_there(folder, "ca"):
            self._certificate, self._key = _read_authority(folder)
            made.kept.append(folder / "ca.pem")
            return
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"loadr CA {os.urandom(4).hex()}")])
        builder = _builder(name, name, self._key.public_key(), CA_DAYS)
        self._certificate = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(ca=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self._write("ca", self._certificate, self._key)

    def issue(self, name: str, sans: Sequence[x509.GeneralName], purpose: x509.ObjectIdentifier) -> None:
        """``name.pem`` and ``name.key``, unless they are there."""
        if _is_there(self._folder, name):
            self._made.kept.append(self._folder / f"{name}.pem")
            return
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(subject, self._certificate.subject, key.public_key(), LEAF_DAYS)
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.SubjectAlternativeName(sans), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        self._write(name, certificate, key)

    def _write(self, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write_new(self._folder / f"{name}.key", pem, 0o600)
        _write_new(self._folder / f"{name}.pem", certificate.public_bytes(Encoding.PEM), 0o644)
        self._made.written.append(self._folder / f"{name}.pem")


def _is_there(folder: Path, name: str) -> bool:
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    if cert.exists() != key.exists():
        found, lacking = (cert, key) if cert.exists() else (key, cert)
        raise ArgumentInvalid(
            f"{found} is there without {lacking.name}", hint="put the other half back, or remove this one"
        )
    return cert.exists()


def _read_authority(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    cert, key = folder / "ca.pem", folder / "ca.key"
    try:
        certificate = x509.load_pem_x509_certificate(cert.read_bytes())
        private = load_pem_private_key(key.read_bytes(), password=None)
    except (ValueError, TypeError):
        raise ArgumentInvalid(
            f"{cert} and {key.name} are no authority that can be used", hint="begin in another folder"
        ) from None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != certificate.public_key():
        raise ArgumentInvalid(
            f"{key} is not the key of {cert.name}, or of a kind that is not made here",
            hint="begin in another folder",
        )
    if certificate.not_valid_after_utc < datetime.datetime.now(datetime.UTC):
        raise ArgumentInvalid(f"the authority {cert} has expired", hint="begin in another folder")
    return certificate, private


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _AHEAD)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    if not re.fullmatch(r"(\*\.)?[A-Za-z0-9._-]{1,253}", host):
        raise ArgumentInvalid(
            f"{host!r} is neither a host name nor an address", hint="such as --host controller.example"
        )
    return x509.DNSName(host)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
