"""TLS contexts for connections to the target.

Takes whether to verify and a CA file; gives an `ssl.SSLContext`. A context is dear (it loads the system's trust
store), so a worker makes one for each setting and shares it among its VUs.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from loadr.errors import ArgumentInvalid


def client_context(*, verify: bool = True, ca_file: Path | None = None) -> ssl.SSLContext:
    """TLS 1.2 or later, HTTP/1.1 by ALPN. ``ca_file`` (PEM) replaces the system's trust store.

    Without ``verify`` any certificate of any name is accepted. Raises `ArgumentInvalid` if the file can not be
    used.
    """
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise ArgumentInvalid(
            f"the CA file {ca_file} can not be used: {error.strerror or error}",
            hint="tls_ca names a PEM file with the certificates to trust, relative to the plan's folder",
        ) from None
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
