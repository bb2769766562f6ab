"""Bytes with holes."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadr.engine import splice
from loadr.engine.splice import Place, Splicer, Unsendable

scalars = st.none() | st.booleans() | st.integers() | st.text()


def fill(source: str, **values: Any) -> bytes:
    filled = eval(source, {**splice.FUNCTIONS, **values})  # noqa: S307
    assert isinstance(filled, bytes)
    return filled


def test_bytes_without_marks_stay_a_literal() -> None:
    splicer = Splicer("")
    assert splicer.source(b"GET / HTTP/1.1\r\n") == repr(b"GET / HTTP/1.1\r\n")
    assert not splicer.has_mark(b"GET /")


def test_values_stand_where_their_marks_were() -> None:
    splicer = Splicer("")
    text = f"GET /{splicer.mark('a', Place.URL)}/{splicer.mark('b', Place.URL)}".encode()
    assert splicer.has_mark(text)
    assert fill(splicer.source(text), a=7, b="x/y z") == b"GET /7/x%2Fy%20z"


def test_a_mark_can_not_be_forged_by_text_that_is_there() -> None:
    known = "zq0zq0z and zq1zq0z"
    splicer = Splicer(known)
    text = f"{known}{splicer.mark('a', Place.BODY)}".encode()
    assert fill(splicer.source(text), a="!") == f"{known}!".encode()


@given(scalars)
def test_in_urls_everything_that_has_a_meaning_is_encoded(value: object) -> None:
    encoded = splice.in_url(value)
    assert unquote_to_bytes(encoded) == splice.as_text(value).encode()
    assert not set(encoded) & set(b"/?#&=+ \r\n%") - set(b"%")


@given(st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5))
def test_a_json_value_keeps_its_type(value: object) -> None:
    splicer = Splicer("")
    text = json.dumps({"before": "x", "value": splicer.mark("a", Place.JSON), "after": ["y"]}).encode()
    assert json.loads(fill(splicer.source(text), a=value)) == {"before": "x", "value": value, "after": ["y"]}


@given(scalars, scalars)
def test_values_inside_a_json_text_can_not_break_out_of_it(one: object, other: object) -> None:
    splicer = Splicer("")
    marked = splicer.mark("a", Place.JSON_TEXT) + splicer.mark("b", Place.JSON_TEXT)
    text = json.dumps({"value": marked}).encode()
    assert json.loads(fill(splicer.source(text), a=one, b=other)) == {
        "value": splice.as_text(one) + splice.as_text(other)
    }


@pytest.mark.parametrize("value", ["a\r\nx-forged: 1", "a\nb", "a\0b"])
def test_a_line_break_in_a_header_is_refused(value: str) -> None:
    with pytest.raises(Unsendable, match="line break"):
        splice.in_header(value)


def test_text_is_written_as_plans_write_it() -> None:
    assert [splice.as_text(value) for value in (True, False, 1, 1.5, "x")] == ["true", "false", "1", "1.5", "x"]


def test_a_late_head_is_made_like_any_other() -> None:
    target, head = splice.late_head("POST", "http://a.test:81/x y", "", {"x-a": "1"}, {"q": True}, 3)
    assert target.base == "http://a.test:81"
    assert head.startswith(b"POST /x%20y?q=true HTTP/1.1\r\nhost: a.test:81\r\n")
    assert head.endswith(b"x-a: 1\r\ncontent-length: 3\r\n\r\n")


def test_a_late_head_that_can_not_be_says_why() -> None:
    with pytest.raises(Unsendable, match="not an http"):
        splice.late_head("GET", "ftp://a.test/", "", {}, {}, 0)
