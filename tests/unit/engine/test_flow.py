"""Snippets of flows → what they do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from loadr.clock import boottime_ns
from loadr.engine.feeders import Feeder
from loadr.engine.flow import CompiledFlow, FlowContext, compile_flow
from loadr.engine.iterations import FirstOfEach
from loadr.engine.recorder import ScenarioRecorder
from loadr.engine.response import Response
from loadr.engine.signals import IterationAborted
from loadr.engine.vu import Vu
from loadr.masking import NO_SECRETS, Secrets
from loadr.plan.model import HttpDefaults, Step
from support.flows import NotedHttp, Sent, answer, new_scenario, new_vu

BASE = "http://shop.test"
ITEMS = {"items": [{"id": 41, "name": "a/b"}, {"id": 42}]}


class Bench:
    """A compiled flow, a VU without a network, and what came of it."""

    def __init__(
        self,
        steps: Sequence[Mapping[str, Any]],
        *,
        defaults: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        feeders: Mapping[str, Feeder] | None = None,
        secrets: Secrets = NO_SECRETS,
        response: Any = ITEMS,
        **response_fields: Any,
    ) -> None:
        self.scenario: ScenarioRecorder = new_scenario()
        self.told: list[str] = []

        def respond(sent: Sent) -> Response:
            return answer(sent, response, **response_fields)

        self.http = NotedHttp(respond)
        self.vu: Vu = new_vu(self.http, self.scenario, env=env, feeders=feeders)
        context = FlowContext(
            self.scenario,
            HttpDefaults.model_validate({"base_url": BASE, **(defaults or {})}),
            env or {},
            feeders or {},
            FirstOfEach(self.told.append),
            secrets,
        )
        self.flow: CompiledFlow = compile_flow([Step.model_validate(step) for step in steps], context)

    def run(self, iteration: int = 0) -> list[Sent]:
        self.vu.iteration = iteration
        before = len(self.http.sent)
        asyncio.run(self.flow.run(self.vu))
        return self.http.sent[before:]

    def aborts(self) -> str:
        with pytest.raises(IterationAborted) as caught:
            self.run()
        return caught.value.reason

    def errors(self) -> dict[str, int]:
        """Failures that were counted since the last call, by kind."""
        new_series, slices = self.scenario.recorder.take(0, boottime_ns(), whole=False)
        kinds = {new.id: dict(new.tags)["error"] for new in new_series if new.metric == "http_req_errors"}
        return {kinds[id_]: n for one in slices for id_, n in one.counters if id_ in kinds}

    def check(self, name: str) -> tuple[int, int]:
        counter = self.scenario.check(name)
        return counter.passes, counter.fails


def get(url: str = "/", **more: Any) -> dict[str, Any]:
    return {"request": {"method": "GET", "url": url, **more}}


def post(**more: Any) -> dict[str, Any]:
    return {"request": {"method": "POST", "url": "/cart", **more}}


def test_a_request_without_expressions_is_one_constant() -> None:
    bench = Bench([get("/items", name="items")])
    (sent,) = bench.run()
    assert sent.line == "GET /items HTTP/1.1"
    assert sent.target.base == BASE
    assert sent.body == b""
    assert (sent.series.method, sent.series.name) == ("GET", "items")
    assert "try" not in bench.flow.source


def test_a_request_without_a_name_is_named_by_its_url_as_written() -> None:
    (sent,) = Bench([get("/items/${iteration}")]).run()
    assert sent.series.name == "/items/${iteration}"


def test_headers_of_defaults_are_replaced_by_those_of_the_step() -> None:
    (sent,) = Bench(
        [get(headers={"Accept": "text/html", "x-b": "2"})],
        defaults={"headers": {"accept": "application/json", "x-a": "1"}},
    ).run()
    assert sent.headers["accept"] == "text/html"
    assert (sent.headers["x-a"], sent.headers["x-b"]) == ("1", "2")
    assert sent.headers["host"] == "shop.test"


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("/items/${iteration}", "GET /items/9 HTTP/1.1"),
        ("/items?page=${iteration + 1}&x=1", "GET /items?page=10&x=1 HTTP/1.1"),
        ("/of/${vu.id}", "GET /of/1 HTTP/1.1"),
        ("/of/${env.SHOP}", "GET /of/north%20west HTTP/1.1"),
        ("/of/${users.name}", "GET /of/%C3%A4nn%2Fe%3F HTTP/1.1"),
        ('/of/${users["name"].upper()}', "GET /of/%C3%84NN%2FE%3F HTTP/1.1"),
        ("/of/$${literal}", "GET /of/$%7Bliteral%7D HTTP/1.1"),
        ("/l?n=${len([x for x in range if x])}".replace("range", "[1, 0, 2]"), "GET /l?n=2 HTTP/1.1"),
    ],
)
def test_values_are_encoded_into_the_url(url: str, line: str) -> None:
    feeder = Feeder(("id", "name"), lambda vu, iteration: (str(iteration), "änn/e?"))
    bench = Bench([get(url)], env={"SHOP": "north west"}, feeders={"users": feeder})
    assert bench.run(iteration=9)[0].line == line


def test_env_alone_makes_a_constant_of_the_head() -> None:
    bench = Bench([get("/of/${env.SHOP}", headers={"x": "${env.SHOP}"})], env={"SHOP": "north"})
    assert "try" not in bench.flow.source
    assert bench.run()[0].headers["x"] == "north"


def test_params_are_added_and_encoded() -> None:
    (sent,) = Bench([get("/s?a=1", params={"q": "${iteration}&b", "n": 2, "on": True})]).run(3)
    assert sent.line == "GET /s?a=1&q=3%26b&n=2&on=true HTTP/1.1"


@pytest.mark.parametrize(
    ("more", "body", "kind"),
    [
        ({"json": {"a": [1, "x"]}}, b'{"a":[1,"x"]}', "application/json"),
        ({"json": {"a": "${iteration}"}}, b'{"a":9}', "application/json"),
        ({"json": {"a": "n-${iteration}"}}, b'{"a":"n-9"}', "application/json"),
        ({"json": ["${users.name}", None]}, '["ä\\"n",null]'.encode(), "application/json"),
        ({"json": "${[1, {'b': iteration}]}"}, b'[1,{"b":9}]', "application/json"),
        (
            {"form": {"a": "x y", "b": "${users.name}"}},
            b"a=x%20y&b=%C3%A4%22n",
            "application/x-www-form-urlencoded",
        ),
        ({"body": "n=${iteration};${users.name}"}, 'n=9;ä"n'.encode(), None),
        ({}, b"", None),
    ],
)
def test_bodies_are_filled_and_measured(more: dict[str, Any], body: bytes, kind: str | None) -> None:
    feeder = Feeder(("name",), lambda vu, iteration: ('ä"n',))
    (sent,) = Bench([post(**more)], feeders={"users": feeder}).run(9)
    assert sent.body == body
    assert sent.headers["content-length"] == str(len(body))
    assert sent.headers.get("content-type") == kind


def test_the_type_of_a_body_may_be_said_by_the_step_but_not_by_the_defaults() -> None:
    defaults = {"headers": {"content-type": "text/plain"}}
    assert Bench([post(json=1)], defaults=defaults).run()[0].headers["content-type"] == "application/json"
    step = post(json=1, headers={"Content-Type": "application/x+json"})
    assert Bench([step], defaults=defaults).run()[0].headers["content-type"] == "application/x+json"


def test_a_value_of_a_header_is_filled_in() -> None:
    (sent,) = Bench([get(headers={"x-token": "t-${iteration}"})]).run(5)
    assert sent.headers["x-token"] == "t-5"


def test_a_line_break_in_a_header_is_counted_and_ends_the_iteration() -> None:
    feeder = Feeder(("name",), lambda vu, iteration: ("a\r\nx-forged: 1",))
    bench = Bench([get(headers={"x": "${users.name}"})], feeders={"users": feeder})
    assert bench.aborts() == "expression"
    assert bench.errors() == {"request_invalid": 1}
    assert bench.http.sent == []


def test_the_timeout_of_a_step_goes_with_its_request() -> None:
    assert Bench([get(timeout="300ms")]).run()[0].timeout_ns == 300_000_000
    assert Bench([get()]).run()[0].timeout_ns == 0


# --- addresses that are only known at run time ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "base", "line"),
    [
        ("http://${users.name}.test/x", "http://ann.test", "GET /x HTTP/1.1"),
        ("http://h.test:${8000 + iteration}/x", "http://h.test:8009", "GET /x HTTP/1.1"),
        ("${users.link}", "https://other.test", "GET /next?page=2 HTTP/1.1"),
        ("${users.path}/more?q=${users.path}", BASE, "GET /some/path/more?q=%2Fsome%2Fpath HTTP/1.1"),
    ],
)
def test_a_host_or_a_whole_address_may_come_from_a_value(url: str, base: str, line: str) -> None:
    values = {"name": "ann", "link": "https://other.test/next?page=2", "path": "/some/path"}
    feeder = Feeder(tuple(values), lambda vu, iteration: tuple(values.values()))
    steps = [get(url, headers={"x-a": "${iteration}"})]
    (sent,) = Bench(steps, feeders={"users": feeder}).run(9)
    assert (sent.target.base, sent.line, sent.headers["x-a"]) == (base, line, "9")


def test_an_address_that_can_not_be_is_counted_and_told() -> None:
    feeder = Feeder(("link",), lambda vu, iteration: ("ftp://other.test/",))
    bench = Bench([get("${users.link}")], feeders={"users": feeder})
    assert bench.aborts() == "expression"
    assert bench.errors() == {"request_invalid": 1}
    assert "ftp" in bench.told[0]


def test_a_request_without_a_host_is_refused_when_the_flow_is_compiled() -> None:
    with pytest.raises(ValueError, match="base_url"):
        Bench([get("/x")], defaults={"base_url": ""})


# --- checks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "passes"),
    [
        (200, True),
        (201, False),
        ([200, 304], True),
        ([404], False),
        ("${response.status == 200}", True),
        ("${response.duration_ms < 300}", True),
        ("${response.duration_ms < 1}", False),
        ('${response.json["items"][0]["id"] == 41}', True),
        ("${response.size > 1000}", False),
        ('${"items" in response.body and "items" in response.text}', True),
        ('${response.headers["content-type"] == "text/x"}', True),
        ('${response.headers.get("absent", "none") == "none"}', True),
        ('${response.error == ""}', True),
        ("${[s for s in [200, 201] if s == response.status]}", True),
        ("${any(response.status == r for r in [201, 200])}", True),
        ('${response.headers["absent"] == "x"}', False),  # raises
        ("${1 / 0 == 1}", False),
    ],
)
def test_a_check_counts_one_way_or_the_other(rule: Any, passes: bool) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/x\r\n\r\n"
    bench = Bench([get(check={"status" if isinstance(rule, int | list) else "it holds": rule})], head=head)
    bench.run()
    name = "status" if isinstance(rule, int | list) else "it holds"
    assert bench.check(name) == ((1, 0) if passes else (0, 1))


def test_a_request_that_failed_fails_its_checks_and_the_flow_goes_on() -> None:
    checks = {"status": 200, "json": '${response.json["a"] == 1}'}
    bench = Bench([get(check=checks), get("/next")], response=b"", status=0, error="reset")
    assert len(bench.run()) == 2
    assert bench.check("status") == bench.check("json") == (0, 1)


# --- extraction -------------------------------------------------------------------------------------------------


def test_an_extracted_value_is_known_to_later_steps_with_its_type() -> None:
    extract = {"item": {"jsonpath": "$.items[0].id"}, "name": {"jsonpath": "$..name"}}
    bench = Bench(
        [get(extract=extract), post(json={"item": "${item}", "next": "${item + 1}"}), get("/of/${name}")]
    )
    sent = bench.run()
    assert sent[1].body == b'{"item":41,"next":42}'
    assert sent[2].line == "GET /of/a%2Fb HTTP/1.1"


def test_a_value_that_is_not_there_is_counted_and_ends_the_iteration_after_the_checks() -> None:
    bench = Bench([get(check={"status": 200}, extract={"x": {"jsonpath": "$.absent"}}), get("/never")])
    assert bench.aborts() == "extract"
    assert bench.check("status") == (1, 0)
    assert bench.errors() == {"extract_failed": 1}
    assert len(bench.http.sent) == 1


@pytest.mark.parametrize("fields", [{"response": b"<html>"}, {"response": b"", "status": 0, "error": "timeout"}])
def test_nothing_is_extracted_from_what_is_no_json(fields: dict[str, Any]) -> None:
    bench = Bench([get(extract={"x": {"jsonpath": "$.a"}})], **fields)
    assert bench.aborts() == "extract"
    assert bench.errors() == {"extract_failed": 1}


# --- expressions and draws --------------------------------------------------------------------------------------


def test_an_expression_that_raises_is_counted_told_once_and_ends_the_iteration() -> None:
    bench = Bench(
        [get("/${int(users.name)}", name="page")], feeders={"users": Feeder(("name",), lambda v, k: ("x",))}
    )
    assert bench.aborts() == bench.aborts() == "expression"
    assert bench.errors() == {"expression_failed": 2}
    assert bench.told == ["request 'page': ValueError: invalid literal for int() with base 10: 'x'"]


def test_draws_depend_on_the_iteration_only() -> None:
    steps = [get("/${random.randint(1, 10 ** 9)}".replace("10 ** 9", "1000000000"))]
    one, other = Bench(steps), Bench(steps)
    lines = [one.run(k)[0].line for k in range(5)]
    assert lines == [other.run(k)[0].line for k in range(5)]
    assert len(set(lines)) == 5


def test_pauses_are_constant_or_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def note(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("loadr.engine.flow.sleep", note)
    think = [{"think": {"low_ns": "1500ms", "high_ns": "1500ms"}}, {"think": {"low_ns": "1s", "high_ns": "3s"}}]
    bench = Bench(think)
    for iteration in range(50):
        bench.run(iteration)
    assert slept[0] == 1.5
    assert all(1 <= pause <= 3 for pause in slept[1::2])
    assert len(set(slept[1::2])) == 50


def test_a_name_in_an_expression_can_not_reach_the_compiled_code() -> None:
    bench = Bench([get("/${sum([send for send in [1, 2]])}"), get("/${max([r for r in [3]])}")])
    assert [sent.line for sent in bench.run()] == ["GET /3 HTTP/1.1", "GET /3 HTTP/1.1"]


def test_an_empty_flow_runs() -> None:
    assert Bench([]).run() == []


def test_series_and_checks_are_those_of_the_recorder() -> None:
    bench = Bench([get(check={"status": 200})])
    series = bench.scenario.request("GET", "/")
    assert bench.check("status") == (0, 0)
    assert bench.run()[0].series is series
    assert bench.check("status") == (1, 0)


def test_secrets_are_values_of_the_compiled_flow_and_stand_in_no_name() -> None:
    header = {"authorization": "Bearer ${secret.KEY}"}
    request = {
        "method": "POST",
        "url": "/x?k=${secret['KEY']}",
        "json": {"k": "${secret.KEY}"},
        "headers": header,
    }
    bench = Bench([{"request": request}], secrets=Secrets({"KEY": "zq0zq1z hunter2"}))
    (sent,) = bench.run()
    assert b"authorization: Bearer zq0zq1z hunter2" in sent.head and b"k=zq0zq1z%20hunter2" in sent.head
    assert sent.body == b'{"k":"zq0zq1z hunter2"}'
    assert sent.series.name == "/x?k=${secret['KEY']}"
    assert "hunter2" not in repr(bench.flow)


def test_what_setup_gave_is_read_when_the_flow_runs_and_a_flow_may_return_what_it_extracts() -> None:
    bench = Bench([get('/i/${setup.item}/${setup["item"]}/${setup.rooms[1]}')])
    bench.vu.setup = {"item": "a/b", "rooms": (4, 5)}
    (sent,) = bench.run()
    assert sent.line.startswith("GET /i/a%2Fb/a%2Fb/5 ")
    step = Step.model_validate(get(extract={"first": {"jsonpath": "$.items[0].id"}}))
    context = FlowContext(bench.scenario, HttpDefaults(base_url=BASE), {}, {}, FirstOfEach(bench.told.append))
    flow = compile_flow([step], context, returns=["first"])
    assert asyncio.run(flow.run(bench.vu)) == {"first": 41}


def test_a_rendezvous_is_one_of_the_vu() -> None:
    came: list[tuple[str, int, int]] = []

    class Doors:
        async def arrive(self, name: str, users: int, timeout_ns: int) -> bool:
            came.append((name, users, timeout_ns))
            return len(came) == 1

    bench = Bench([{"rendezvous": {"name": "door", "users": 3, "timeout": "1500ms"}}])
    bench.vu._meetings = Doors()  # type: ignore[assignment]
    bench.run()
    bench.run()
    assert came == [("door", 3, 1_500_000_000)] * 2
    assert bench.check("rendezvous door") == (1, 1)
