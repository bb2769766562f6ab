"""What a scenario's author holds in hand."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from loadr import check
from loadr.engine.feeders import Feeder
from loadr.engine.vu import Vu
from loadr.errors import ScriptFault
from loadr.masking import Secrets
from support.flows import NotedHttp, new_scenario, new_vu


def draws_of(vu: Vu, iterations: range) -> list[float]:
    out = []
    for vu.iteration in iterations:
        out.append(vu.random.random())
        out.append(vu.random.random())
    return out


def test_vus_are_numbered_from_one() -> None:
    assert new_vu(NotedHttp(), new_scenario(), number=0).id == 1


def test_in_open_models_draws_belong_to_the_iteration_whichever_vu_carries_it() -> None:
    one, other = (new_vu(NotedHttp(), new_scenario(), number=number) for number in (3, 4))
    assert draws_of(one, range(10)) == draws_of(other, range(10))
    assert draws_of(one, range(5, 6)) == draws_of(other, range(5, 6))


def test_in_closed_models_draws_belong_to_the_vu_and_its_own_count() -> None:
    one, other, same = (
        new_vu(NotedHttp(), new_scenario(), number=number, open_model=False) for number in (3, 4, 3)
    )
    assert draws_of(one, range(10)) == draws_of(same, range(10))
    assert set(draws_of(one, range(10))).isdisjoint(draws_of(other, range(10)))


def test_draws_differ_by_seed() -> None:
    one, other = (new_vu(NotedHttp(), new_scenario(), seed=seed) for seed in (1, 2))
    assert draws_of(one, range(3)) != draws_of(other, range(3))


def test_within_an_iteration_draws_go_on() -> None:
    vu = new_vu(NotedHttp(), new_scenario())
    assert vu.random.random() != vu.random.random()


def test_the_row_of_an_iteration_is_the_same_however_often_it_is_asked_for() -> None:
    feeder = Feeder(("name",), lambda vu, iteration: (f"{vu}-{iteration}",))
    vu = new_vu(NotedHttp(), new_scenario(), feeders={"users": feeder})
    vu.iteration = 7
    assert vu.row("users") == vu.row("users") == {"name": "0-7"}
    with pytest.raises(KeyError):
        vu.row("others")


@pytest.mark.parametrize(
    ("pause", "slept_s"), [((1,), 1), (("300ms",), 0.3), ((2, 2), 2), (("1s", "1s"), 1), ((0,), 0)]
)
def test_a_pause_is_seconds_or_text(
    pause: tuple[float | str], slept_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def note(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("loadr.engine.vu.sleep", note)
    asyncio.run(new_vu(NotedHttp(), new_scenario()).think(*pause))
    assert slept == [slept_s]


def test_a_drawn_pause_lies_between_its_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def note(seconds: float) -> None:
        slept.append(seconds)

    async def main() -> None:
        vu = new_vu(NotedHttp(), new_scenario())
        for vu.iteration in range(200):
            await vu.think("1s", 3)

    monkeypatch.setattr("loadr.engine.vu.sleep", note)
    asyncio.run(main())
    assert all(1 <= pause <= 3 for pause in slept)
    assert min(slept) < 1.2
    assert max(slept) > 2.8


def test_a_check_can_be_made_on_the_vu_itself() -> None:
    scenario = new_scenario()
    check(new_vu(NotedHttp(), scenario), "it holds", True)
    assert scenario.check("it holds").passes == 1


def test_secrets_are_at_hand_by_name_and_do_not_show() -> None:
    secrets = Secrets({"KEY": "hunter2"})
    http: Any = NotedHttp()
    vu = Vu(0, http, new_scenario(), env={}, feeders={}, stream=0, open_model=True, secrets=secrets)
    assert vu.secret["KEY"] == "hunter2" and "hunter2" not in repr(vu.secret)
    with pytest.raises(KeyError):
        vu.secret["OTHER"]


def test_nobody_meets_outside_of_iterations_or_on_numbers_that_can_not_be() -> None:
    class Doors:
        async def arrive(self, name: str, users: int, timeout_ns: int) -> bool:
            return True

    vu = new_vu(NotedHttp(), new_scenario())
    with pytest.raises(ScriptFault, match="VUs meet in iterations only"):
        asyncio.run(vu.rendezvous("door", 2))
    vu._meetings = Doors()  # type: ignore[assignment]
    for wrong in ({"users": 0}, {"users": 1, "timeout": 0}, {"users": 1, "name": "x" * 257}):
        with pytest.raises(ScriptFault, match="a rendezvous needs"):
            asyncio.run(vu.rendezvous(**{"name": "door", **wrong}))  # type: ignore[arg-type]
    assert asyncio.run(vu.rendezvous("door", 2, 1.5)) is True
