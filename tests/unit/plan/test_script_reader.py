from __future__ import annotations

import pytest

from loadr.plan.usage import block_sets

HEAD = "from loadr import constant_arrival_rate, constant_vus, data, options, scenario, thresholds\n"
BUY = HEAD + (
    "users = data.csv('users.csv')\n"
    "@scenario(constant_vus(vus=20, duration='6m'), graceful_stop='5s')\n"
    "async def buy(vu): ...\n"
)


def test_a_script_is_a_plan(desk):
    desk.write("steps.py", "")
    loaded = desk.load(
        HEAD + "import steps\nusers = data.csv('users.csv', mode='unique')\n"
        "options(base_url='http://x/', seed=5, timeout='3s', on_agent_loss='abort', lease='8s')\n"
        "thresholds({'http_reqs': 'count>1'})\n"
        "@scenario(constant_arrival_rate(rate=200, duration='1m', max_vus=400))\nasync def buy(vu): ...\n"
        "@scenario(constant_arrival_rate(rate=1, duration='1m', max_vus=4), name='see', start_time='3s')\n"
        "async def look(vu): ...\n",
        name="shop.py",
    )
    plan = loaded.plan
    assert (plan.name, plan.seed, plan.on_agent_loss, plan.lease_ns) == ("shop", 5, "abort", 8_000_000_000)
    assert (plan.defaults.http.base_url, plan.defaults.http.timeout_ns) == ("http://x", 3_000_000_000)
    assert [rule.threshold for rule in plan.thresholds["http_reqs"]] == ["count>1"]
    buy, see = plan.scenarios.values()
    assert (buy.script, buy.function, buy.rate, buy.uses) == ("shop.py", "buy", 200.0, ("users",))
    assert (see.script, see.function, see.start_time_ns) == ("shop.py", "look", 3_000_000_000)
    assert plan.data["users"].rows == 3
    assert [file.path for file in plan.files] == ["shop.py", "steps.py", "users.csv"]
    assert set(loaded.files) == {"shop.py", "steps.py", "users.csv"}


def test_faults_of_what_a_script_declares_stand_at_its_lines(desk):
    faults = desk.faults(
        HEAD + "users = data.csv('user.csv')\noptions(seed='x', base_url='shop')\n"
        "thresholds({'http_req': 'count>1'})\n"
        "@scenario(constant_vus(vus='many', duration='soon'))\nasync def buy(vu): ...\n"
        "@scenario\nasync def look(vu): ...\n",
        name="shop.py",
    )
    assert faults == [
        "2:1: data.user.file: there is no file user.csv -> did you mean users.csv?",
        "3:1: defaults.http.base_url: 'shop' has no scheme -> begin it with http:// or https://",
        "3:1: seed: must be a whole number, and is the text 'x' -> ",
        "4:1: thresholds.http_req: unknown metric 'http_req' -> did you mean 'http_reqs'?",
        "5:1: scenarios.buy.vus: must be a whole number, and is the text 'many' -> ",
        "5:1: scenarios.buy.duration: 'soon' is not a duration; write 300ms, 2s, 1m30s, or bare seconds -> ",
        "7:1: scenarios.look.executor: the key 'executor' is missing"
        " -> supported: constant-vus, constant-arrival-rate, ramping-arrival-rate",
    ]


def test_a_script_without_scenarios_is_no_plan(desk):
    assert desk.faults("x = 1\n", name="shop.py") == [
        "the script declares no scenario -> put @scenario(...) before an async def"
    ]


def test_text_that_is_not_unicode_is_refused(desk):
    assert desk.faults(BUY + "options(name='\\ud800')\n", name="shop.py") == [
        "some text holds characters that are not Unicode -> write it as UTF-8"
    ]


def test_a_broken_script_is_one_fault(desk):
    assert desk.faults("def f(:\n", name="shop.py") == ["1:7: SyntaxError: invalid syntax -> "]


def test_a_plan_may_take_a_scenario_of_a_script_as_it_is(desk):
    desk.write("buy.py", BUY)
    scenario = desk.load("scenarios: { shop: { script: buy.py } }").plan.scenarios["shop"]
    assert (scenario.executor, scenario.vus, scenario.duration_ns) == ("constant-vus", 20, 360_000_000_000)
    assert (scenario.function, scenario.graceful_stop_ns, scenario.uses) == ("buy", 5_000_000_000, ("users",))


def test_keys_of_the_plan_go_before_those_of_the_script(desk):
    desk.write("buy.py", BUY)
    plan = desk.load("scenarios: { buy: { script: ./buy.py, vus: 3, graceful_stop: 1s } }").plan
    scenario = plan.scenarios["buy"]
    assert (scenario.vus, scenario.duration_ns, scenario.graceful_stop_ns) == (3, 360_000_000_000, 1_000_000_000)
    assert scenario.script == "buy.py"


def test_another_executor_of_the_plan_leaves_the_scripts_settings_out(desk):
    desk.write("buy.py", BUY)
    body = "script: buy.py, executor: constant-arrival-rate, rate: 5, max_vus: 9"
    scenario = desk.load(f"scenarios: {{ buy: {{ {body}, duration: 1s }} }}").plan.scenarios["buy"]
    assert (scenario.executor, scenario.rate, scenario.duration_ns) == (
        "constant-arrival-rate",
        5.0,
        1_000_000_000,
    )
    assert desk.faults(f"scenarios: {{ buy: {{ {body} }} }}") == [
        "1:14: scenarios.buy.duration: the key 'duration' is missing -> "
    ]


def test_the_function_is_the_one_named_or_the_one_of_the_scenarios_name(desk):
    desk.write(
        "shop.py",
        HEAD + "@scenario(constant_vus(1, 1), name='first')\nasync def buy(vu): ...\n"
        "@scenario(constant_vus(2, 1))\nasync def look(vu): ...\n",
    )
    plan = desk.load(
        "scenarios:\n  first: { script: shop.py }\n  look: { script: shop.py }\n  x: { script: shop.py,"
        " function: buy }"
    ).plan
    assert [scenario.function for scenario in plan.scenarios.values()] == ["buy", "look", "buy"]
    assert desk.faults("scenarios: { x: { script: shop.py }, y: { script: shop.py, function: sell } }") == [
        "1:27: scenarios.x.script: the script declares more than one scenario"
        " -> name one with function: buy, look",
        "1:70: scenarios.y.function: the script declares no scenario function 'sell'"
        " -> name one with function: buy, look",
    ]


def test_data_of_scripts_joins_that_of_the_plan(desk):
    desk.write("scripts/items.csv", "sku\nx\n")
    desk.write("scripts/buy.py", BUY.replace("users.csv", "../users.csv") + "items = data.csv('items.csv')\n")
    plan = desk.load(
        "data: { users: { file: ./users.csv } }\nscenarios: { buy: { script: scripts/buy.py } }"
    ).plan
    assert {name: data.file for name, data in plan.data.items()} == {
        "users": "users.csv",
        "items": "scripts/items.csv",
    }
    assert plan.scenarios["buy"].uses == ("users", "items")


def test_data_declared_differently_in_plan_and_script_is_a_fault(desk):
    desk.write("buy.py", BUY)
    assert desk.faults(
        "data: { users: { file: users.csv, mode: unique } }\nscenarios: { buy: { script: buy.py } }"
    )[:1] == [
        "1:16: data.users: buy.py, line 2, declares the data set 'users' in another way"
        " -> tell them apart: data.csv(..., name=...)"
    ]


def test_unique_rows_under_a_closed_executor_are_granted_in_blocks_for_scripts_too(desk):
    desk.write("buy.py", BUY.replace("'users.csv'", "'users.csv', mode='unique'"))
    plan = desk.load("scenarios: { buy: { script: buy.py } }").plan
    assert block_sets(plan) == ("users",)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("none.py", "there is no file none.py -> in its folder: broken.py, buy.py"),
        ("users.csv", "users.csv is not a Python file -> its name ends in .py"),
        ("../buy.py", "../buy.py leaves the folder of the plan -> put the file beside the plan or below it"),
        ("5", "must name a Python file, and is 5 -> "),
    ],
)
def test_a_script_that_can_not_be_taken_is_told(desk, script, expected):
    desk.write("buy.py", BUY)
    desk.write("broken.py", "def f(:\n")
    faults = desk.faults(
        f"scenarios: {{ a: {{ script: {script}, executor: constant-vus, vus: 1, duration: 1s }} }}"
    )
    assert faults == [f"1:27: scenarios.a.script: {expected}"]


def test_a_broken_script_is_looked_into_once_and_hides_no_other_fault(desk):
    desk.write("broken.py", "def f(:\n")
    assert desk.faults(
        "scenarios:\n  a: { script: broken.py, executor: constant-vus, vus: 0, duration: 1s }\n"
        "  b: { script: broken.py }\n  c: { executor: constant-vus, vus: 1, duration: 1s, flow: [] }"
    ) == [
        "2:56: scenarios.a.vus: must be at least 1, and is 0 -> ",
        "4:60: scenarios.c.flow: the flow is empty -> add a step: request or think or rendezvous",
        "broken.py:1:7: SyntaxError: invalid syntax -> ",
    ]
    assert desk.faults("scenarios: { a: { script: broken.py, function: 5 } }") == [
        "broken.py:1:7: SyntaxError: invalid syntax -> "
    ]


def test_a_function_that_is_no_text_is_told(desk):
    desk.write("buy.py", BUY)
    assert desk.faults("scenarios: { a: { script: buy.py, function: 5 } }") == [
        "1:45: scenarios.a.function: must be the name of a function, and is 5 -> "
    ]
