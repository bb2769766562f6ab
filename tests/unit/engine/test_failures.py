from __future__ import annotations

import errno
import socket
import ssl

import pytest

from loadr.engine import failures
from loadr.engine.failures import SENTENCES, classify_loss, classify_opening


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "connect_refused"),
        (OSError(errno.ENETUNREACH, "no route"), "connect_unreachable"),
        (OSError(errno.EHOSTUNREACH, "no route"), "connect_unreachable"),
        (OSError(errno.ETIMEDOUT, "timed out"), "connect_timeout"),
        (OSError(errno.EADDRNOTAVAIL, "no ports"), "no_ports"),
        (OSError(errno.EMFILE, "no descriptors"), "no_descriptors"),
        (OSError(errno.ENFILE, "no descriptors"), "no_descriptors"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "reset"),
        (socket.gaierror(socket.EAI_NONAME, "unknown"), "dns"),
        (ssl.SSLCertVerificationError("not trusted"), "tls_certificate"),
        (ssl.SSLError("wrong version"), "tls_handshake"),
        (OSError("something else"), "connect_failed"),
    ],
)
def test_what_stops_a_connection_from_opening_has_a_kind(error: OSError, kind: str) -> None:
    assert classify_opening(error) == kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (None, "closed_early"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "reset"),
        (BrokenPipeError(errno.EPIPE, "broken"), "reset"),
        (TimeoutError(errno.ETIMEDOUT, "timed out"), "timeout"),
        (ssl.SSLError("bad record"), "protocol_error"),
    ],
)
def test_what_ends_an_open_connection_has_a_kind(error: BaseException | None, kind: str) -> None:
    assert classify_loss(error) == kind


def test_every_kind_has_one_plain_sentence() -> None:
    kinds = {value for name, value in vars(failures).items() if name.isupper() and isinstance(value, str)}
    assert kinds == set(SENTENCES)
    assert all(sentence.endswith(".") for sentence in SENTENCES.values())
