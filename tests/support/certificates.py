"""Certificates for tests: an authority, a controller's certificate for loopback, and one for each agent.

Real files in a folder, made anew each time, with keys on P-256 (quick to make).
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass
class Authority:
    """Signs certificates; ``ca`` is its own, as a file."""

    folder: Path
    name: str = "loadr test CA"
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca = self.folder / "ca.pem"
        builder = _builder(self.name, self.name, self.key.public_key(), valid_days=(-1, 30))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.ca.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def issue(
        self, name: str, sans: Sequence[str] | None = None, *, valid_days: tuple[int, int] = (-1, 30)
    ) -> tuple[Path, Path]:
        """(certificate, key) as files ``name.pem`` and ``name.key``; ``sans`` None: the name; empty: none."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(name, self.name, key.public_key(), valid_days=valid_days)
        names = [_general_name(san) for san in ((name,) if sans is None else sans)]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        cert_path, key_path = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        cert_path.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM))
        key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return cert_path, key_path


@dataclass(frozen=True)
class Certificates:
    """Files of one fleet."""

    authority: Authority
    controller_cert: Path
    controller_key: Path

    @property
    def ca(self) -> Path:
        return self.authority.ca

    def agent_cert(self, name: str) -> Path:
        return self.authority.folder / f"{name}.pem"

    def agent_key(self, name: str) -> Path:
        return self.authority.folder / f"{name}.key"


def write_certificates(folder: Path, agents: Sequence[str] = ()) -> Certificates:
    """An authority, a controller's certificate for loopback, and one for each name in ``agents``."""
    authority = Authority(folder)
    cert, key = authority.issue("controller", LOOPBACK)
    for name in agents:
        authority.issue(name)
    return Certificates(authority, cert, key)


def _builder(
    subject: str, issuer: str, public_key: ec.EllipticCurvePublicKey, *, valid_days: tuple[int, int]
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + valid_days[0] * DAY)
        .not_valid_after(now + valid_days[1] * DAY)
    )


def _general_name(san: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(san))
    except ValueError:
        return x509.DNSName(san)
