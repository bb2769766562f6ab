"""The source that a request step becomes. (What it does is told in `test_flow`.)"""

from __future__ import annotations

import ast
from typing import Any

from loadr.engine.feeders import Feeder
from loadr.engine.flow import FlowContext, compile_flow
from loadr.engine.iterations import FirstOfEach
from loadr.plan.model import HttpDefaults, Step
from support.flows import new_scenario


def lines_of(**request: Any) -> list[str]:
    """The compiled body of a flow of one request, without what every flow begins with."""
    defaults = HttpDefaults.model_validate({"base_url": "http://shop.test"})
    feeders = {"users": Feeder(("id", "name"), lambda vu, iteration: ("1", "ann"))}
    context = FlowContext(new_scenario(), defaults, {"SHOP": "north"}, feeders, FirstOfEach(lambda text: None))
    step = Step.model_validate({"request": {"method": "GET", "url": "/", **request}})
    source = compile_flow([step], context).source
    ast.parse(source)
    return [line.strip() for line in source.splitlines()[2:]]


def test_a_constant_request_is_one_line() -> None:
    (line,) = lines_of()
    assert line.startswith(
        "__response = await __send(__series_0, __target_0, b'GET / HTTP/1.1\\r\\nhost: shop.test"
    )
    assert line.endswith("\\r\\n\\r\\n')")


def test_a_constant_body_is_measured_when_it_is_compiled() -> None:
    (line,) = lines_of(method="POST", body="ab${env.SHOP}", timeout="1s")
    assert "content-length: 7\\r\\n\\r\\n', b'abnorth', 1000000000)" in line


def test_a_status_is_compared_and_counted_in_place() -> None:
    assert lines_of(check={"status": 200})[1:] == [
        "if __response.status == 200:",
        "__check0_0.passes += 1",
        "else:",
        "__check0_0.fails += 1",
    ]


def test_an_expression_stands_in_the_code_as_it_was_written() -> None:
    lines = lines_of(url="/${int(users.id) + iteration}", check={"fast": "${response.duration_ms < 300}"})
    assert "__row_users = __pick_users(vu.owner_key, vu.iteration)" in lines
    head = next(line for line in lines if line.startswith("__head"))
    assert "__in_url(int(__row_users[0]) + vu.iteration)" in head
    assert "__ok = __response.duration_ns / 1000000 < 300" in lines


def test_only_what_changes_is_made_anew() -> None:
    lines = lines_of(method="POST", json={"who": "${users.name}", "what": [1, 2]})
    assert "__body = __join([b'{\"who\":', __in_json(__row_users[1]), b',\"what\":[1,2]}'])" in lines
    head = next(line for line in lines if line.startswith("__head"))
    assert head.endswith("+ __content_length('POST', len(__body))")
