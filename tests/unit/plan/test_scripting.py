from __future__ import annotations

import pytest

from loadr.errors import ScriptFault
from loadr.plan.scripting import (
    OPTIONS,
    Declarations,
    Executor,
    collecting,
    constant_arrival_rate,
    constant_vus,
    data,
    options,
    ramping_arrival_rate,
    scenario,
    thresholds,
)


def test_executors_keep_what_was_given_under_the_names_of_yaml():
    assert constant_vus(20, "6m") == Executor("constant-vus", {"vus": 20, "duration": "6m"})
    assert constant_arrival_rate(rate=200, duration="1m", max_vus=400) == Executor(
        "constant-arrival-rate", {"rate": 200, "duration": "1m", "max_vus": 400}
    )
    assert constant_arrival_rate(1, 2, 3, pre_allocated_vus=1, time_unit="1m", arrivals="poisson").settings == {
        "rate": 1,
        "duration": 2,
        "max_vus": 3,
        "pre_allocated_vus": 1,
        "time_unit": "1m",
        "arrivals": "poisson",
    }
    assert ramping_arrival_rate([("1m", 500), ("5m", 0)], 9, start_rate=10) == Executor(
        "ramping-arrival-rate",
        {
            "stages": [{"duration": "1m", "target": 500}, {"duration": "5m", "target": 0}],
            "max_vus": 9,
            "start_rate": 10,
        },
    )


def test_a_stage_that_is_no_pair_is_refused():
    with pytest.raises(ScriptFault, match="500 is not a stage"):
        ramping_arrival_rate([500], 9)  # type: ignore[list-item]


def test_a_scenario_is_declared_and_its_function_left_as_it_is():
    with collecting() as declared:

        @scenario(constant_vus(1, "1s"), name="shop", start_time="3s")
        async def buy(vu):
            return vu

        @scenario
        async def look(vu):
            return vu

    shop, bare = declared.scenarios.values()
    assert (shop.name, shop.function_name, shop.function, shop.settings) == (
        "shop",
        "buy",
        buy,
        {"start_time": "3s"},
    )
    assert shop.executor == constant_vus(1, "1s")
    assert (bare.name, bare.function, bare.executor) == ("look", look, None)
    assert shop.line < bare.line


def test_outside_of_an_import_declarations_go_nowhere():
    @scenario(constant_vus(1, "1s"))
    async def buy(vu):
        return vu

    thresholds({"http_reqs": "count>1"})
    options(seed=1)
    with collecting() as declared:
        pass
    assert declared == Declarations()


def test_a_plain_function_is_refused():
    with pytest.raises(ScriptFault) as caught:

        @scenario(constant_vus(1, "1s"))
        def buy(vu):
            return vu

    assert caught.value.message == "the scenario 'buy' is not an async def"
    assert caught.value.hint == "write: async def buy(vu):"


def test_a_function_that_does_not_take_the_vu_is_refused():
    with pytest.raises(ScriptFault, match="can not be called with the VU alone"):

        @scenario(constant_vus(1, "1s"))
        async def buy():
            return None

    with pytest.raises(ScriptFault, match="can not be called with the VU alone"):

        @scenario
        async def look(vu, item):
            return item


def test_what_is_no_executor_is_refused():
    with pytest.raises(ScriptFault, match="20 is not an executor"):
        scenario(20)  # type: ignore[call-overload]


def test_unknown_options_are_refused():
    with pytest.raises(ScriptFault, match=r"scenario\(\) has no option 'vus'"):
        scenario(constant_vus(1, 1), vus=3)
    with pytest.raises(ScriptFault, match=r"options\(\) has no option 'base'"):
        options(base="http://x")


def test_two_scenarios_of_one_name_are_refused():
    with collecting():

        @scenario(constant_vus(1, 1))
        async def buy(vu):
            return vu

        with pytest.raises(ScriptFault, match="two scenarios are named 'buy'"):

            @scenario(constant_vus(1, 1), name="buy")
            async def other(vu):
                return vu


def test_one_function_may_be_two_scenarios():
    with collecting() as declared:

        @scenario(constant_vus(1, 1), name="day")
        @scenario(constant_vus(2, 1), name="night")
        async def buy(vu):
            return vu

    assert [one.function for one in declared.scenarios.values()] == [buy, buy]


def test_data_is_named_after_its_file():
    with collecting() as declared:
        users = data.csv("big users-1.csv", mode="unique", on_end="recycle")
        items = data.csv("shop/items.csv", name="stock")
    assert declared.data == {"big_users_1": users, "stock": items}
    assert users.settings == {"file": "big users-1.csv", "mode": "unique", "on_end": "recycle"}
    assert items.settings == {"file": "shop/items.csv", "mode": "random", "on_end": "stop"}
    assert items.line == users.line + 1


def test_the_same_data_declared_twice_is_one_and_in_two_ways_is_refused():
    with collecting() as declared:
        first = data.csv("users.csv")
        assert data.csv("users.csv") is first
        with pytest.raises(ScriptFault, match="two data sets are named 'users'"):
            data.csv("users.csv", mode="unique")
    assert len(declared.data) == 1


def test_rows_exist_once_the_engine_has_bound_them():
    users = data.csv("users.csv")
    with pytest.raises(ScriptFault, match="the data set 'users' has no rows here"):
        users.next(None)
    users.bind(lambda vu: {"name": f"user of {vu}"})
    assert users.next("vu 3") == {"name": "user of vu 3"}


def test_thresholds_and_options_are_gathered():
    with collecting() as declared:
        thresholds({"http_reqs": "count>1"})
        thresholds({"checks": ["rate>0.9"]})
        options(base_url="http://x")
        options(seed=3)
    assert declared.thresholds == {"http_reqs": "count>1", "checks": ["rate>0.9"]}
    assert declared.options == {"base_url": "http://x", "seed": 3}
    assert set(declared.lines) == {"thresholds", "options"}
    assert {"base_url", "seed"} <= set(OPTIONS)


def test_a_scenario_is_found_by_function_by_name_or_as_the_only_one():
    with collecting() as declared:

        @scenario(constant_vus(1, 1), name="shop")
        async def buy(vu):
            return vu

        assert declared.scenario(None).function is buy

        @scenario
        async def look(vu):
            return vu

    assert declared.scenario("buy").function is buy
    assert declared.scenario("shop").function is buy
    assert declared.scenario("look").function is look
    with pytest.raises(ScriptFault, match="more than one scenario") as several:
        declared.scenario(None)
    assert several.value.hint == "name one with function: buy, look"
    with pytest.raises(ScriptFault, match="no scenario function 'sell'"):
        declared.scenario("sell")
    with pytest.raises(ScriptFault, match="the script declares no scenario"):
        Declarations().scenario(None)
