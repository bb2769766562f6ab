"""What is answered where."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loadr.testing.target_behaviour import MAX_BODY_BYTES, Behaviour
from loadr.testing.target_routes import MAX_KEPT_ROUTES, Answer, Control, Ending, Routes

ROUTES = Routes(Behaviour())


def answer(url: str, method: str = "GET") -> Answer:
    return ROUTES.find(method.encode(), url.encode()).answer


def split(whole: Answer) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body, as a client reads them."""
    head, _, body = whole.first.partition(b"\r\n\r\n")
    status, *headers = head.decode().split("\r\n")
    assert status.startswith(f"HTTP/1.1 {whole.status} ")
    return whole.status, dict(line.split(": ", 1) for line in headers), body + bytes(whole.rest)


def body_of(url: str, method: str = "GET") -> Any:
    _, headers, body = split(answer(url, method))
    assert headers == {"content-type": "application/json", "content-length": str(len(body))}
    return json.loads(body)


def test_any_path_answers_a_small_json() -> None:
    assert body_of("/") == {"path": "/"}
    assert body_of("/anything/at/all?x=1") == {"path": "/anything/at/all"}


def test_items_have_ids_that_differ_from_page_to_page() -> None:
    first, third = body_of("/items"), body_of("/items?page=3")
    assert (first["page"], third["page"]) == (1, 3)
    assert [item["id"] for item in first["items"]] == list(range(1, 11))
    assert [item["id"] for item in third["items"]] == list(range(21, 31))


def test_what_is_put_into_the_cart_is_created() -> None:
    assert split(answer("/cart", "POST"))[0] == 201
    assert split(answer("/cart"))[0] == 200


@pytest.mark.parametrize(("url", "status"), [("/status/503", 503), ("/status/200", 200), ("/status/599", 599)])
def test_a_status_can_be_asked_for(url: str, status: int) -> None:
    assert split(answer(url))[0] == status


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_content_has_none(status: int) -> None:
    assert split(answer(f"/status/{status}")) == (status, {}, b"")


@pytest.mark.parametrize("count", [0, 1, 8192, 8193, 100_000, MAX_BODY_BYTES])
def test_bytes_are_exactly_as_many_as_asked_for(count: int) -> None:
    status, headers, body = split(answer(f"/bytes/{count}"))
    assert status == 200
    assert headers["content-length"] == str(count)
    assert body == b"x" * count


@pytest.mark.parametrize("size", [100, 5000, 50_000])
def test_json_is_filled_up_to_a_size_and_stays_json(size: int) -> None:
    assert len(split(answer(f"/items?size={size}"))[2]) == max(size, len(split(answer("/items"))[2]))
    assert body_of(f"/items?size={size}") == body_of("/items")


def test_head_has_the_headers_of_get_and_no_body() -> None:
    for url in ("/", "/bytes/100000", "/items?size=50KB"):
        status, headers, body = split(answer(url, "HEAD"))
        assert (status, headers) == split(answer(url))[:2]
        assert body == b""


def test_a_delay_stands_in_path_or_query() -> None:
    for url in ("/delay/250", "/x?delay=250ms"):
        delay = ROUTES.find(b"GET", url.encode()).behaviour.delay
        assert delay is not None
    assert ROUTES.find(b"GET", b"/x").behaviour.delay is None


def test_what_the_server_does_itself_holds_unless_a_query_says_otherwise() -> None:
    routes = Routes(Behaviour(error_rate=0.5))
    assert routes.find(b"GET", b"/x").behaviour.error_rate == 0.5
    assert routes.find(b"GET", b"/x?error=0").behaviour.error_rate == 0.0
    assert routes.find(b"GET", b"/x").failure.status == 500


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("/items?page=none", "not a whole number"),
        ("/bytes/99999999999", "between 0 and 16777216"),
        ("/bytes/" + "9" * 10_000, "not a whole number"),
        ("/status/100", "between 200 and 599"),
        ("/delay/x", "not a whole number"),
        ("/x?delay=soon", "not a duration"),
        ("/x?error=2", "between 0 and 1"),
        ("/fault/flood", "no fault 'flood'"),
        ("/control/shutdown", "there are GET /control/counters"),
    ],
)
def test_what_can_not_be_done_is_a_400_that_says_why(url: str, words: str) -> None:
    assert words in body_of(url)["error"]
    assert answer(url).status == 400


def test_the_control_is_not_counted_and_everything_else_is() -> None:
    assert ROUTES.find(b"GET", b"/control/counters").name == ""
    assert ROUTES.find(b"GET", b"/control/none").name == ""
    assert ROUTES.find(b"GET", b"/items?page=3").name == "GET /items"
    assert ROUTES.find(b"GET", b"/items?page=none").name == "GET /items"


def test_control_is_asked_by_its_own_methods() -> None:
    assert ROUTES.find(b"GET", b"/control/counters").control is Control.COUNTERS
    assert ROUTES.find(b"POST", b"/control/reset").control is Control.RESET
    stall = ROUTES.find(b"POST", b"/control/stall?for=2s")
    assert (stall.control, stall.stall_ns) == (Control.STALL, 2_000_000_000)
    assert ROUTES.find(b"GET", b"/control/stall?for=2s").control is None
    assert ROUTES.find(b"POST", b"/control/stall?for=2h").answer.status == 400


def test_an_answer_can_announce_the_end_of_the_connection() -> None:
    ended = answer("/").ended()
    assert split(ended)[1] == split(answer("/"))[1] | {"connection": "close"}
    assert split(ended)[2] == split(answer("/"))[2]
    assert ended.ending is Ending.CLOSE
    assert answer("/").ending is Ending.KEEP
    fault = answer("/fault/reset")
    assert fault.ended() is fault


def test_a_truncated_answer_promises_more_than_it_has() -> None:
    _, headers, body = split(answer("/fault/truncate"))
    assert len(body) < int(headers["content-length"])


def test_kept_routes_are_bounded() -> None:
    routes = Routes(Behaviour())
    for number in range(MAX_KEPT_ROUTES + 10):
        assert routes.find(b"GET", f"/x?n={number}".encode()).name == "GET /x"
    assert len(routes._kept) == 10
