from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadr.engine.requests import (
    Target,
    content_length,
    encode_body,
    encode_path,
    field_lines,
    prepare,
    request_line,
    split_url,
)
from loadr.version import __version__


def test_a_plain_get_is_the_least_that_http_asks_for() -> None:
    prepared = prepare("GET", "/items?page=1", base_url="http://shop.example")
    assert prepared.head() == (
        b"GET /items?page=1 HTTP/1.1\r\n"
        b"host: shop.example\r\n"
        b"user-agent: loadr/" + __version__.encode() + b"\r\n"
        b"accept: */*\r\n\r\n"
    )


def test_a_body_is_announced_by_its_length_and_a_post_without_one_by_zero() -> None:
    prepared = prepare("POST", "http://a/")
    assert prepared.head(12).endswith(b"\r\ncontent-length: 12\r\n\r\n")
    assert prepared.head().endswith(b"\r\ncontent-length: 0\r\n\r\n")
    assert b"content-length" not in prepare("DELETE", "http://a/").head()
    assert content_length("GET", 3) == b"content-length: 3\r\n\r\n"


@pytest.mark.parametrize(
    ("url", "base", "host", "port", "tls", "path"),
    [
        ("/items", "https://a.example", "a.example", 443, True, "/items"),
        ("items", "http://a.example/v1/", "a.example", 80, False, "/v1/items"),
        ("/items", "http://a.example/v1", "a.example", 80, False, "/v1/items"),
        ("", "http://a.example:81", "a.example", 81, False, "/"),
        ("?q=1", "http://a.example/s", "a.example", 80, False, "/s?q=1"),
        ("http://b:8080/x?u=http://c/", "http://a", "b", 8080, False, "/x?u=http://c/"),
        ("/go?to=http://c/", "http://a", "a", 80, False, "/go?to=http://c/"),
        ("//b/x", "https://a", "b", 443, True, "/x"),
        ("http://[::1]:9000/x#part", "", "::1", 9000, False, "/x"),
        ("http://bücher.example/", "", "xn--bcher-kva.example", 80, False, "/"),
    ],
)
def test_urls_are_joined_to_the_base_and_split(
    url: str, base: str, host: str, port: int, tls: bool, path: str
) -> None:
    target, found = split_url(url, base)
    assert (target.host, target.port, target.tls, found) == (host, port, tls, path)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("/items", "base_url"),
        ("ftp://a/", "not an http"),
        ("http:///x", "not an http"),
        ("http://a:port/", "not a URL"),
        ("http://a:99999/", "not a URL"),
        ("http://user:pw@a/", "user name"),
        ("http://a b/", "not a host name"),
        ("http://a\r\nx: y/", "not a"),
    ],
)
def test_a_url_that_leads_nowhere_is_refused_in_words(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        split_url(url)


def test_the_same_origin_is_one_target_that_shows_its_port_only_where_it_is_unusual() -> None:
    assert split_url("http://a/x")[0] is split_url("http://a:80/y")[0] is Target.of(False, "a", 80)
    assert Target.of(True, "a", 443).base == "https://a"
    assert Target.of(True, "a", 8443).authority == "a:8443"
    assert Target.of(False, "::1", 81).base == "http://[::1]:81"


def test_params_are_encoded_and_added_to_a_query_that_is_there() -> None:
    assert request_line("GET", "/s?a=1", {"q": "x y&z", "on": True, "n": 2}) == (
        b"GET /s?a=1&q=x%20y%26z&on=true&n=2 HTTP/1.1\r\n"
    )


@pytest.mark.parametrize(
    ("path", "encoded"),
    [
        ("/a b", "/a%20b"),
        ("/ä", "/%C3%A4"),
        ("/100%25", "/100%25"),
        ('/"<>', "/%22%3C%3E"),
        ("/a#b", "/a"),
        ("x", "/x"),
        ("/x\r\nhost: evil", "/x%0D%0Ahost:%20evil"),
    ],
)
def test_a_path_is_encoded_where_it_must_be_and_left_alone_where_it_is(path: str, encoded: str) -> None:
    assert encode_path(path) == encoded


@given(st.text())
def test_no_path_can_break_out_of_its_line(path: str) -> None:
    try:
        line = request_line("GET", path)
    except UnicodeEncodeError:
        assert any(0xD800 <= ord(character) <= 0xDFFF for character in path)  # lone surrogates are no text
        return
    assert line.count(b" ") == 2
    assert line.count(b"\r") == line.count(b"\n") == 1


@pytest.mark.parametrize("value", ["a\r\nevil: 1", "a\nb", "a\rb", "a\0b"])
def test_a_header_can_not_forge_another(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        field_lines(Target.of(False, "a", 80), {"x": value})


@pytest.mark.parametrize(
    ("name", "words"), [("a b", "not a header name"), ("", "name"), ("Content-Length", "itself")]
)
def test_header_names_that_are_no_tokens_or_are_ours_are_refused(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        field_lines(Target.of(False, "a", 80), {name: "1"})


def test_headers_replace_the_default_ones_whatever_their_case() -> None:
    lines = field_lines(Target.of(False, "a", 80), {"User-Agent": "me", "HOST": "b", "X": "ü"})
    assert lines == "host: b\r\nuser-agent: me\r\naccept: */*\r\nx: ü\r\n".encode()


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="'BREW' is not a method"):
        prepare("BREW", "http://a/")


def test_bodies_come_with_their_content_type() -> None:
    assert encode_body(json={"a": [1, None]}) == (b'{"a":[1,null]}', "application/json")
    assert encode_body(form={"a": "x y", "b": 1}) == (b"a=x%20y&b=1", "application/x-www-form-urlencoded")
    assert encode_body(body="ü") == ("ü".encode(), "")
    assert encode_body(body=b"\0") == (b"\0", "")
    assert encode_body() == (b"", "")


def test_two_bodies_or_one_that_is_no_json_are_refused() -> None:
    with pytest.raises(ValueError, match="one of json, form and body"):
        encode_body(json={}, body="x")
    with pytest.raises(ValueError, match="json can not be encoded"):
        encode_body(json={"a": object()})
