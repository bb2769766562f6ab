"""The closed list of ways in which a request can fail, and which of them an exception is.

Takes exceptions of sockets, TLS and name resolution; gives one kind out of `SENTENCES`, which is the tag
``error`` of ``http_req_errors`` and `Response.error`. A request that was answered has no kind, whatever its
status.
"""

from __future__ import annotations

import errno
import socket
import ssl

DNS = "dns"
CONNECT_REFUSED = "connect_refused"
CONNECT_TIMEOUT = "connect_timeout"
CONNECT_UNREACHABLE = "connect_unreachable"
CONNECT_FAILED = "connect_failed"
TLS_CERTIFICATE = "tls_certificate"
TLS_HANDSHAKE = "tls_handshake"
RESET = "reset"
CLOSED_EARLY = "closed_early"
TIMEOUT = "timeout"
PROTOCOL_ERROR = "protocol_error"
BODY_TOO_LARGE = "body_too_large"
NO_PORTS = "no_ports"
NO_DESCRIPTORS = "no_descriptors"
INTERRUPTED = "interrupted"

SENTENCES: dict[str, str] = {
    DNS: "The host name could not be resolved.",
    CONNECT_REFUSED: "The target refused the connection: nothing listens there.",
    CONNECT_TIMEOUT: "The connection was not established within the request's timeout.",
    CONNECT_UNREACHABLE: "There is no route to the target.",
    CONNECT_FAILED: "The connection could not be established.",
    TLS_CERTIFICATE: "The target's certificate is not trusted or does not match its name.",
    TLS_HANDSHAKE: "The TLS handshake failed or did not end within the request's timeout.",
    RESET: "The target reset the connection.",
    CLOSED_EARLY: "The target closed the connection before the response was complete.",
    TIMEOUT: "The response was not complete within the request's timeout.",
    PROTOCOL_ERROR: "What the target sent is not valid HTTP/1.1.",
    BODY_TOO_LARGE: "The response's body is over the limit of 64 MiB.",
    NO_PORTS: "The generator ran out of local ports: a limit of this machine, not of the target.",
    NO_DESCRIPTORS: "The generator ran out of file descriptors: a limit of this machine, not of the target.",
    INTERRUPTED: "The request was cut off because its iteration was stopped.",
}
"""Kind → one plain sentence for reports."""

_OF_ERRNO = {
    errno.ECONNREFUSED: CONNECT_REFUSED,
    errno.ETIMEDOUT: CONNECT_TIMEOUT,
    errno.ENETUNREACH: CONNECT_UNREACHABLE,
    errno.EHOSTUNREACH: CONNECT_UNREACHABLE,
    errno.ENETDOWN: CONNECT_UNREACHABLE,
    errno.EADDRNOTAVAIL: NO_PORTS,
    errno.EMFILE: NO_DESCRIPTORS,
    errno.ENFILE: NO_DESCRIPTORS,
    errno.ECONNRESET: RESET,
    errno.EPIPE: RESET,
    errno.ECONNABORTED: CLOSED_EARLY,
}


def classify_opening(error: OSError) -> str:
    """The kind of what went wrong between asking for a connection and having one."""
    if isinstance(error, ssl.SSLCertVerificationError | ssl.CertificateError):
        return TLS_CERTIFICATE
    if isinstance(error, ssl.SSLError):
        return TLS_HANDSHAKE
    if isinstance(error, socket.gaierror):
        return DNS
    return _OF_ERRNO.get(error.errno or 0, CONNECT_FAILED)


def classify_loss(error: BaseException | None) -> str:
    """The kind of what ended a connection on which a request was waiting; ``None`` is a plain end of stream."""
    if error is None:
        return CLOSED_EARLY
    if isinstance(error, ssl.SSLError):
        return PROTOCOL_ERROR
    if isinstance(error, OSError) and error.errno == errno.ETIMEDOUT:
        return TIMEOUT  # the kernel gave up on retransmissions
    return RESET
