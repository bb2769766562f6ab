"""Setup and teardown of plans and scripts: what is read, and every fault with its place."""

from __future__ import annotations

import pytest

from loadr.plan.around_reader import names_of
from loadr.plan.model import Around

HTTP = "defaults: { http: { base_url: 'http://x' } }\ndata: { users: { file: users.csv } }\n"
LOOK = "scenarios:\n  a: { executor: constant-vus, vus: 1, duration: 1s, flow: [ request: { get: '%s' } ] }\n"
LOGIN = "flow: [ request: { post: /login, extract: { token: { jsonpath: '$.token' } } } ]"
SCRIPT = """
from loadr import constant_vus, scenario, setup, teardown

@setup(timeout="5s")
async def prepare(vu): ...

@scenario(constant_vus(1, "1s"))
async def a(vu): ...

@teardown
async def clean(vu, data): ...
"""


def test_what_setup_extracts_is_known_to_scenarios_and_to_teardown(desk):
    text = (
        HTTP
        + f"setup: {{ timeout: 5s, {LOGIN} }}\n"
        + "teardown: { flow: [ request: { delete: '/s/${setup.token}' } ] }\n"
        + LOOK % "/${setup.token}"
    )
    plan = desk.load(text).plan
    assert plan.setup.extracts == ("token",) and plan.setup.timeout_ns == 5 * 10**9
    assert plan.teardown.timeout_ns == 60 * 10**9 and plan.teardown.extracts == ()
    assert type(plan).from_json(plan.canonical_json()) == plan


@pytest.mark.parametrize(
    ("around", "url", "expected"),
    [
        (f"setup: {{ {LOGIN} }}\n", "/${setup.tokn}", "setup extracts no 'tokn' -> did you mean 'token'?"),
        (f"setup: {{ {LOGIN} }}\n", "/${setup}", "'setup' is not a value by itself -> write setup.NAME"),
        (
            "",
            "/${setup.token}",
            "setup.token is not known here -> extract it in setup: { flow",
        ),
        ("setup: { }\n", "/", "setup has a flow or a script, and this one has neither"),
        (f"setup: {{ script: a.py, {LOGIN} }}\n", "/", "setup has a flow or a script, and this one has both"),
        (
            f"setup: {{ function: f, {LOGIN} }}\n",
            "/",
            "function names a function of a script, and there",
        ),
        (f"setup: {{ timeout: 0s, {LOGIN} }}\n", "/", "setup.timeout: "),
        (f"setup: {{ timeot: 1s, {LOGIN} }}\n", "/", "unknown key 'timeot'"),
        ("setup: 7\n", "/", "setup: "),
        ("setup: { flow: [] }\n", "/", "the flow is empty"),
        (
            "setup: { flow: [ request: { get: '/${users.name}' } ] }\n",
            "/",
            "'users' has rows for iterations, and this is none -> use it in a scenario, or write the value here",
        ),
        ("teardown: { flow: [ request: { get: '/${setup.a}' } ] }\n", "/", "setup.a is not known here"),
    ],
)
def test_each_fault_is_told(desk, around, url, expected):
    faults = desk.faults(HTTP + around + LOOK % url)
    assert any(expected in fault for fault in faults), faults


def test_a_relative_url_needs_a_base_here_too(desk):
    faults = desk.faults(f"setup: {{ {LOGIN} }}\n" + LOOK % "http://x/")
    assert len(faults) == 1 and "the url is relative" in faults[0]


def test_a_script_declares_both_and_its_decorators_count(desk):
    plan = desk.load(SCRIPT, "book.py").plan
    assert (plan.setup.script, plan.setup.function, plan.setup.timeout_ns) == ("book.py", "prepare", 5 * 10**9)
    assert (plan.teardown.function, plan.teardown.extracts) == ("clean", ())


def test_the_setup_of_a_script_that_a_plan_names_counts_and_may_be_named(desk):
    desk.write("book.py", SCRIPT)
    scenarios = "scenarios: { a: { script: book.py } }\n"
    assert desk.load(scenarios).plan.setup.function == "prepare"
    named = desk.load("setup: { script: book.py, timeout: 9s }\n" + scenarios).plan.setup
    assert (named.function, named.timeout_ns) == ("prepare", 9 * 10**9)


def test_two_scripts_with_a_setup_are_a_fault_until_one_is_named(desk):
    desk.write("one.py", SCRIPT)
    desk.write("two.py", SCRIPT)
    scenarios = "scenarios: { b: { script: one.py, function: a }, c: { script: two.py, function: a } }\n"
    faults = desk.faults(scenarios)
    assert "one.py and two.py both declare a setup" in faults[0]
    both = "setup: { script: two.py }\nteardown: { script: one.py }\n"
    assert desk.load(both + scenarios).plan.setup.script == "two.py"


@pytest.mark.parametrize(
    ("around", "expected"),
    [
        ("setup: { script: plain.py }", "plain.py declares no setup -> put @setup before an async def in it"),
        ("setup: { script: book.py, function: other }", "the setup of book.py is 'prepare'"),
        ("setup: { script: none.py }", "there is no file none.py"),
    ],
)
def test_a_script_without_what_is_asked_of_it(desk, around, expected):
    desk.write("book.py", SCRIPT)
    desk.write("plain.py", "from loadr import constant_vus, scenario\n")
    faults = desk.faults(HTTP + around + "\n" + LOOK % "http://x/")
    assert any(expected in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("@setup\ndef f(vu): ...", "the setup 'f' is not an async def"),
        ("@setup\nasync def f(): ...", "the setup 'f' can not be called with (vu)"),
        ("@teardown\nasync def f(vu): ...", "the teardown 'f' can not be called with (vu, data)"),
        ("@setup\nasync def f(vu): ...\n@setup\nasync def g(vu): ...", "there are two functions for setup"),
    ],
)
def test_a_function_that_can_be_no_setup_or_teardown(desk, body, expected):
    faults = desk.faults(f"from loadr import scenario, setup, teardown\n{body}\n", "book.py")
    assert expected in faults[0]


def test_any_name_may_be_right_where_a_script_returns_it():
    assert names_of(None) == () and names_of(Around(script="a.py")) is None
    assert names_of(Around(flow=(), extracts=("a",))) == ("a",)


def test_nobody_meets_in_a_setup(desk):
    faults = desk.faults(HTTP + "setup: { flow: [ rendezvous: { name: a, users: 2 } ] }\n" + LOOK % "/")
    assert "VUs meet in iterations, and this is none" in faults[0]
