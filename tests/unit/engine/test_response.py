from __future__ import annotations

import pytest

from loadr.engine.recorder import Recorder
from loadr.engine.requests import Target
from loadr.engine.response import Headers, Response

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=ISO-8859-1\r\n"
    b"Set-Cookie: a=1\r\nset-cookie: b=2\r\nFolded: one\r\n two\r\nEmpty:\r\n\r\n"
)


def response(body: bytes = b"", head: bytes = HEAD, error: str = "") -> Response:
    scenario = Recorder(["browse"]).scenario("browse")
    series = scenario.request("GET", "items")
    status = 0 if error else 200
    target = Target.of(False, "a", 81)
    return Response(status, body, 1_500_000, scenario, series, target, b"GET /x HTTP/1.1\r\n", head, error)


def test_headers_are_found_in_any_case_and_repeated_ones_are_joined() -> None:
    headers = Headers(HEAD)
    assert headers["content-TYPE"] == "text/plain; charset=ISO-8859-1"
    assert headers["Set-Cookie"] == "a=1, b=2"
    assert headers.get_all("SET-COOKIE") == ["a=1", "b=2"]
    assert headers["folded"] == "one two"
    assert headers["empty"] == ""
    assert headers.get("absent") is None
    assert headers.get_all("absent") == []
    assert "EMPTY" in headers
    assert 1 not in headers
    assert list(headers) == ["content-type", "set-cookie", "folded", "empty"]
    assert len(headers) == 4


def test_a_response_knows_what_was_asked_and_how_long_it_took() -> None:
    answer = response(b"xy")
    assert (answer.url, answer.name, answer.size, answer.duration_ms) == ("http://a:81/x", "items", 2, 1.5)
    assert answer.ok
    assert answer.scenario.name == "browse"
    assert answer.headers is answer.headers


def test_text_is_decoded_as_the_header_says_and_never_fails() -> None:
    assert response("grün".encode("latin-1")).text == "grün"
    assert response(b"gr\xffn", head=b"HTTP/1.1 200 OK\r\n\r\n").text == "gr�n"
    assert response(b"x", head=b"HTTP/1.1 200 OK\r\ncontent-type: a/b; charset=klingon\r\n\r\n").text == "x"


def test_json_is_read_from_the_body() -> None:
    assert response(b'{"items": [{"id": 1}]}').json() == {"items": [{"id": 1}]}


def test_json_that_is_none_raises_in_plain_words() -> None:
    with pytest.raises(ValueError, match=r"the response to GET items \(status 200, 5 bytes\) is not JSON"):
        response(b"<html").json()
    with pytest.raises(ValueError, match="has no body: The target reset the connection"):
        response(error="reset").json()
