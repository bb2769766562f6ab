from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadr.plan.addresses import AddressInvalid, check_address


@pytest.mark.parametrize(
    "url", ["http://x", "https://shop.example:8443/v1?a=b#c", "http://[::1]:80/", "HTTP://X"]
)
def test_addresses_with_a_host_are_fine(url):
    assert check_address(url) is None


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "'' has no scheme"),
        ("shop.example/x", "'shop.example/x' has no scheme"),
        ("localhost:80", "'localhost:80' has no scheme"),
        ("ws://x", "the scheme 'ws' is not supported"),
        ("http:///x", "'http:///x' names no host"),
        ("http://a b/", "'http://a b/' holds blanks"),
        ("http://x:0", "'http://x:0' has the port 0"),
        ("http://x:y", "'http://x:y' is not an address: "),
        ("http://[x", "'http://[x' is not an address: "),
        ("https://me:secret@x", "the address holds credentials"),
    ],
)
def test_what_requests_can_not_be_sent_to_is_refused(url, message):
    with pytest.raises(AddressInvalid) as caught:
        check_address(url)
    assert caught.value.message.startswith(message)
    assert caught.value.hint


@given(st.text() | st.text().map("http://{}".format))
def test_any_text_is_accepted_or_refused_in_words(url):
    try:
        check_address(url)
    except AddressInvalid as error:
        assert error.message
    else:
        assert "://" in url
