"""Commands that change a live run: what they ask of the API, and what they say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from loadr.cli.app import main
from loadr.masking import NO_SECRETS
from loadr.plan.model import Plan
from loadr.schedule.change import ChangeKind
from support.api import FakeController, serving_api

PLAN = Plan.model_validate(
    {"scenarios": {"s": {"executor": "constant-vus", "vus": 1, "duration": "1s", "script": "buy.py"}}}
)


@pytest.fixture
def controller() -> FakeController:
    return FakeController(looks=1000)


@pytest.fixture
def api(controller: FakeController) -> Iterator[str]:
    with serving_api(controller) as address:
        yield address


def begin(controller: FakeController) -> str:
    return controller.submit(PLAN, expect_agents=0, labels={}, wait_s=None, secrets=NO_SECRETS)


@pytest.mark.parametrize(
    ("words", "asked", "said"),
    [
        (["pause"], (ChangeKind.PAUSE, "", ""), "paused"),
        (["pause", "r1"], (ChangeKind.PAUSE, "", ""), "paused"),
        (["scale", "current", "30"], (ChangeKind.SCALE, "", "30"), "30 VUs"),
        (["rate", "r1", "250/s"], (ChangeKind.RATE, "", "250"), "250 iterations per second"),
        (["rate", "r1", "0.5", "--scenario", "s"], (ChangeKind.RATE, "s", "0.5"), "0.5 iterations"),
        (["rate", "r1", "12.5%"], (ChangeKind.FACTOR, "", "0.125"), "rate times 0.125"),
    ],
)
def test_a_change_is_asked_for_and_its_instant_told(
    controller: FakeController,
    api: str,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    asked: tuple[ChangeKind, str, str],
    said: str,
) -> None:
    begin(controller)
    assert main([*words, "--api", api]) == 0
    assert controller.changes == [("r1", *asked)]
    out = capsys.readouterr().out
    assert said in out and "at 3.50 s of the run, 0.50 s from now" in out


def test_a_change_that_is_refused_is_one_clear_line(
    controller: FakeController, api: str, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(controller)
    assert main(["resume", "--api", api]) == 122
    assert "the run is not paused" in capsys.readouterr().err


def test_without_a_run_there_is_nothing_to_change(api: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pause", "--api", api]) == 104
    assert "no run is going on" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["fast", "-3", "1e9", "5/m"])
def test_what_is_no_rate_is_refused_before_anything_is_asked(
    api: str, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert main(["rate", "current", "--api", api, "--", text]) == 104
    assert "is no rate" in capsys.readouterr().err


@pytest.mark.parametrize(("command", "graceful"), [("stop", True), ("kill", False)])
def test_a_run_is_ended(controller: FakeController, api: str, command: str, graceful: bool) -> None:
    begin(controller)
    assert main([command, "--api", api]) == 0
    assert controller.stops == [("r1", graceful)]


def test_the_status_tells_of_the_fleet_and_of_a_run(
    controller: FakeController, api: str, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(controller)
    assert main(["status", "--api", api]) == 0
    out = capsys.readouterr().out
    assert "no agent has joined" in out and "run that is going on: r1" in out
    assert main(["status", "current", "--api", api]) == 0
    assert "checkout: running" in capsys.readouterr().out
    assert main(["status", "r1", "--api", api, "--format", "json"]) == 0
    assert '"run_id": "r1"' in capsys.readouterr().out
