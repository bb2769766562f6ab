from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from loadr.engine.tls import client_context
from loadr.errors import ArgumentInvalid


def test_certificates_and_names_are_verified_unless_the_plan_says_otherwise() -> None:
    strict, trusting = client_context(), client_context(verify=False)
    assert (strict.verify_mode, strict.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert (trusting.verify_mode, trusting.check_hostname) == (ssl.CERT_NONE, False)
    assert strict.minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_file_that_can_not_be_used_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ArgumentInvalid, match=r"ca\.pem can not be used") as caught:
        client_context(ca_file=path)
    assert "tls_ca" in caught.value.hint
