"""Certificates and keys from files, read and checked before anything is started: what is wrong gets a name.

Takes paths, gives PEM bytes. Files are read anew for each session (`ClientTls.read`) or when they changed
(`ServerTls.stamp`), so that rotated certificates are used without a restart.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loadr.errors import ArgumentInvalid

if TYPE_CHECKING:
    from cryptography import x509

Stamp = tuple[tuple[int, int], ...]  # (mtime_ns, inode) of each file


@dataclass(frozen=True, slots=True)
class Identity:
    """PEM text: a certificate (with its chain) and its key."""

    cert: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class ServerTls:
    """``client_ca``: only agents with a certificate of this authority are let in (mTLS); None: anybody.

    Raises `ArgumentInvalid` when a file is missing, is not PEM, has expired, or does not fit the others.
    """

    cert: Path
    key: Path
    client_ca: Path | None = None

    def __post_init__(self) -> None:
        self.read()

    def read(self) -> tuple[Identity, bytes | None]:
        """(our identity, PEM of the authority for agents)."""
        identity = _read_identity(self.cert, self.key, "--tls-cert", "--tls-key")
        return identity, None if self.client_ca is None else _read_ca(self.client_ca, "--tls-client-ca")

    def stamp(self) -> Stamp:
        """Changes when one of the files does. Raises `OSError`."""
        files = (self.cert, self.key, *(() if self.client_ca is None else (self.client_ca,)))
        return tuple((status.st_mtime_ns, status.st_ino) for status in (file.stat() for file in files))


@dataclass(frozen=True, slots=True)
class ClientTls:
    """``ca`` None: the authorities that this machine trusts. ``cert`` and ``key``: together or not at all.

    Raises `ArgumentInvalid` as `ServerTls` does.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        self.read()

    def read(self) -> tuple[bytes | None, Identity | None]:
        """(PEM of the authority, our identity)."""
        if (self.cert is None) != (self.key is None):
            raise _half_given(self.cert)
        ca = None if self.ca is None else _read_ca(self.ca, "--tls-ca")
        if self.cert is None or self.key is None:
            return ca, None
        return ca, _read_identity(self.cert, self.key, "--tls-cert", "--tls-key")


def server_tls(cert: Path | None, key: Path | None, client_ca: Path | None) -> ServerTls | None:
    """From flags; None when none was given. Raises `ArgumentInvalid`."""
    if cert is None and key is None:
        if client_ca is not None:
            raise ArgumentInvalid(
                "--tls-client-ca was given without --tls-cert and --tls-key", hint="give all three"
            )
        return None
    if cert is None or key is None:
        raise _half_given(cert)
    return ServerTls(cert, key, client_ca)


def api_tls(cert: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    """Of the API, checked; None when it was not given. Raises `ArgumentInvalid`."""
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise ArgumentInvalid("--api-tls-cert and --api-tls-key go together", hint="give both, or none")
    _read_identity(cert, key, "--api-tls-cert", "--api-tls-key")
    return cert, key


def client_tls(ca: Path | None, cert: Path | None, key: Path | None) -> ClientTls | None:
    """From flags; None when none was given. Raises `ArgumentInvalid`."""
    if ca is None and cert is None and key is None:
        return None
    return ClientTls(ca, cert, key)


def _half_given(cert: Path | None) -> ArgumentInvalid:
    given, lacking = ("--tls-key", "--tls-cert") if cert is None else ("--tls-cert", "--tls-key")
    return ArgumentInvalid(f"{given} was given without {lacking}", hint="give both, or none")


def _read_identity(cert: Path, key: Path, cert_flag: str, key_flag: str) -> Identity:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    cert_pem, key_pem = _read_file(cert, cert_flag), _read_file(key, key_flag)
    leaf = _read_certificates(cert_pem, cert, cert_flag)[0]
    _check_dates(leaf, cert, cert_flag)
    try:
        private = load_pem_private_key(key_pem, password=None)
    except TypeError:
        raise ArgumentInvalid(
            f"the key {key} ({key_flag}) is encrypted", hint="decrypt it first: openssl pkey -in KEY -out NEW"
        ) from None
    except ValueError:
        raise ArgumentInvalid(
            f"{key} ({key_flag}) holds no private key in PEM form", hint="it should say BEGIN PRIVATE KEY"
        ) from None
    if private.public_key() != leaf.public_key():
        raise ArgumentInvalid(
            f"the key {key} ({key_flag}) does not belong to the certificate {cert} ({cert_flag})",
            hint="give the pair that was made together",
        )
    return Identity(cert_pem, key_pem)


def _read_ca(path: Path, flag: str) -> bytes:
    """A bundle may hold old authorities beside new ones, so one that is valid is enough."""
    pem = _read_file(path, flag)
    certificates = _read_certificates(pem, path, flag)
    now = datetime.datetime.now(datetime.UTC)
    if all(certificate.not_valid_after_utc < now for certificate in certificates):
        _check_dates(certificates[0], path, flag)
    return pem


def _read_file(path: Path, flag: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArgumentInvalid(
            f"{path} ({flag}) can not be read: {error.strerror}", hint="check the path and its permissions"
        ) from None


def _read_certificates(pem: bytes, path: Path, flag: str) -> list[x509.Certificate]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise ArgumentInvalid(
            f"{path} ({flag}) holds no certificate in PEM form", hint="it should say BEGIN CERTIFICATE"
        ) from None


def _check_dates(certificate: x509.Certificate, path: Path, flag: str) -> None:
    now = datetime.datetime.now(datetime.UTC)
    if now > certificate.not_valid_after_utc:
        raise ArgumentInvalid(
            f"the certificate {path} ({flag}) expired on {certificate.not_valid_after_utc:%Y-%m-%d}",
            hint="renew it",
        )
    if now < certificate.not_valid_before_utc:
        raise ArgumentInvalid(
            f"the certificate {path} ({flag}) is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}",
            hint="check the clock of this machine",
        )
