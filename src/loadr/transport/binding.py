"""Whether an address can be listened on, told before a server tries: gRPC says only that it failed, not why."""

from __future__ import annotations

import errno
import socket

from loadr.errors import ArgumentInvalid
from loadr.transport.address import Address


def bind_socket(address: Address, flag: str) -> socket.socket:
    """A TCP socket bound to ``address``, not yet listening. ``flag`` is the option that the address came from.

    Without SO_REUSEPORT, which would let two controllers share a port without a word. Raises `ArgumentInvalid`.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise ArgumentInvalid(
            f"the name {address.host!r} can not be resolved: {error.strerror}",
            hint=f"give {flag} an address of this machine",
        ) from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
    except OSError as error:
        listener.close()
        raise _explain(address, flag, error) from None
    return listener


def _explain(address: Address, flag: str, error: OSError) -> ArgumentInvalid:
    if error.errno == errno.EADDRINUSE:
        return ArgumentInvalid(
            f"the address {address} is already in use",
            hint=f"stop what listens there (another controller?), or choose another with {flag}",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return ArgumentInvalid(
            f"{address.host} is no address of this machine", hint=f"give {flag} one that is, or 0.0.0.0 for all"
        )
    if error.errno == errno.EACCES:
        return ArgumentInvalid(
            f"binding {address} is not permitted", hint=f"choose a port above 1023 with {flag}"
        )
    return ArgumentInvalid(f"{address} can not be bound: {error.strerror}", hint=f"choose another with {flag}")
