"""Why a dial failed, in one line.

gRPC tells little more than "failed to connect to all addresses". So after a failure the same address is tried
once more with plain sockets and the standard library's TLS, which name the reason. Takes the address and the TLS
files, gives the exception to raise: `Unreachable` (try again later) or `PeerRefused` (somebody has to change
something).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile

from loadr.errors import PeerRefused, Unreachable
from loadr.transport.address import Address
from loadr.transport.tls import ClientTls, Identity

STEP_S = 1.5  # for each of: connecting, the handshake, what the peer says after it

_START_HINT = "start one with: loadr controller"

# X509_V_ERR_* of OpenSSL's x509_vfy.h
_EXPIRED, _NOT_YET_VALID, _WRONG_NAME, _WRONG_IP = 10, 9, 62, 64


class _TurnedDown(ConnectionError):
    """The peer ended the connection over the certificate that we showed, or did not show."""


def trusted_authorities() -> bytes:
    """PEM of the authorities that this machine trusts, as Python's ssl finds them."""
    context = ssl.create_default_context()
    return "".join(ssl.DER_cert_to_PEM_cert(der) for der in context.get_ca_certs(binary_form=True)).encode()


async def explain_failure(address: Address, tls: ClientTls | None) -> Unreachable | PeerRefused:
    """What to raise for a dial to ``address`` that failed. Takes at most three times `STEP_S`."""
    try:
        async with asyncio.timeout(STEP_S):
            _, writer = await asyncio.open_connection(address.host, address.port)
    except TimeoutError:
        return Unreachable(f"{address} does not answer", hint="is the address right, and no firewall in between?")
    except socket.gaierror as error:
        return Unreachable(f"the name {address.host!r} can not be resolved: {error.strerror}", hint=_START_HINT)
    except ConnectionRefusedError:
        return Unreachable(f"nobody listens at {address}", hint=_START_HINT)
    except OSError as error:
        return Unreachable(f"{address} can not be reached: {error.strerror or error}", hint=_START_HINT)
    writer.close()
    return await (_explain_tls(address, tls) if tls is not None else _explain_plaintext(address))


async def _explain_plaintext(address: Address) -> Unreachable | PeerRefused:
    if isinstance(await _shake_hands(address, _trust_anybody()), _TurnedDown | None):
        return PeerRefused(
            f"the controller at {address} speaks TLS, and we do not",
            hint="give --tls-ca FILE (and --tls-cert, --tls-key if it asks for a certificate)",
        )
    return _no_controller(address)


async def _explain_tls(address: Address, tls: ClientTls) -> Unreachable | PeerRefused:
    ca, identity = tls.read()
    context = ssl.create_default_context(cadata=None if ca is None else ca.decode("ascii", "ignore"))
    if identity is not None:
        _load_identity(context, identity)
    match await _shake_hands(address, context):
        case ssl.SSLCertVerificationError() as failure:
            return _explain_certificate(address, failure)
        case _TurnedDown() if identity is None:
            return PeerRefused(
                f"the controller at {address} asks for a certificate, and we showed none",
                hint="give --tls-cert and --tls-key",
            )
        case _TurnedDown():
            return PeerRefused(
                f"the controller at {address} turned our certificate down",
                hint="is it signed by the authority of the controller's --tls-client-ca?",
            )
        case ssl.SSLError() as failure if not isinstance(failure, ssl.SSLEOFError):
            return PeerRefused(
                f"what answers at {address} does not speak TLS ({failure.reason})",
                hint="start the controller with --tls-cert and --tls-key, or leave the --tls flags out here",
            )
    return _no_controller(address)


def _explain_certificate(address: Address, failure: ssl.SSLCertVerificationError) -> PeerRefused:
    match failure.verify_code:
        case code if code == _EXPIRED:
            return PeerRefused(
                f"the certificate of the controller at {address} has expired", hint="renew it there"
            )
        case code if code == _NOT_YET_VALID:
            return PeerRefused(
                f"the certificate of the controller at {address} is not valid yet",
                hint="compare the clocks of the two machines",
            )
        case code if code in (_WRONG_NAME, _WRONG_IP):
            return PeerRefused(
                f"the certificate of the controller at {address} is not for the name {address.host!r}",
                hint="dial a name that stands in the certificate, or issue one for this name",
            )
    return PeerRefused(
        f"the controller at {address} has a certificate that our CA did not sign",
        hint="give --tls-ca the authority that signed it",
    )


def _no_controller(address: Address) -> Unreachable:
    return Unreachable(
        f"something listens at {address}, but it does not answer as a loadr controller does",
        hint="is it the controller's --bind address (not its --api address)?",
    )


async def _shake_hands(address: Address, context: ssl.SSLContext) -> OSError | None:
    """The failure of a TLS handshake with ``address``; None if there was none.

    Under TLS 1.3 the peer turns a client's certificate down only after the client's handshake is over. gRPC then
    closes without an alert, while a session that it accepts begins with its own SETTINGS frame: hence the read.
    """
    context.set_alpn_protocols(["h2"])
    try:
        async with asyncio.timeout(STEP_S):
            reader, writer = await asyncio.open_connection(
                address.host, address.port, ssl=context, server_hostname=address.host
            )
    except TimeoutError:
        return ConnectionAbortedError("no handshake")
    except OSError as error:
        return _TurnedDown() if _is_alert(error) else error
    try:
        async with asyncio.timeout(STEP_S):
            return None if await reader.read(1) else _TurnedDown()
    except TimeoutError:
        return None
    except OSError:
        return _TurnedDown()
    finally:
        writer.close()


def _is_alert(error: OSError) -> bool:
    """Whether the peer spoke TLS, and said no: OpenSSL calls it ``TLSV13_ALERT_…`` or ``SSLV3_ALERT_…``."""
    return "_ALERT_" in (getattr(error, "reason", None) or "")


def _trust_anybody() -> ssl.SSLContext:
    """To see whether TLS is spoken at all; nothing is sent over it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _load_identity(context: ssl.SSLContext, identity: Identity) -> None:
    """`ssl` reads keys from files only; this one is gone again at once."""
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(identity.key + b"\n" + identity.cert)
        file.flush()
        context.load_cert_chain(file.name)
