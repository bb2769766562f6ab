"""``loadr status | pause | resume | scale | rate | stop | kill``: a live run in an operator's hands.

Takes the address of a controller's API and a run (the one that is going on, if none is named); says what happens,
and when all agents do it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loadr.cli.access import api_options
from loadr.cli.values import address
from loadr.errors import ArgumentInvalid

if TYPE_CHECKING:
    from loadr.api.client import ControllerClient


def _api(command: Callable[..., int]) -> Callable[..., int]:
    """Adds the flags of the API; the command gets a ``client`` instead of them."""

    @wraps(command)
    def call(*, api: str, api_ca: Path | None, api_token_file: Path | None, **rest: Any) -> int:
        from loadr.api.client import ApiAccess, ControllerClient

        return command(client=ControllerClient(api, ApiAccess(api_ca, api_token_file)), **rest)

    place = click.option(
        "--api",
        type=address,
        metavar="HOST:PORT",
        default="127.0.0.1:8089",
        show_default=True,
        help="The controller's API.",
    )
    return place(api_options(call))


_scenario = click.option("--scenario", default="", metavar="NAME", help="Only this one.  [default: all]")
_run = click.argument("run", default="current")


def _named(client: ControllerClient, run: str) -> str:
    """The run that is meant. Raises `ArgumentInvalid` if none is going on."""
    if run != "current":
        return run
    current = str(client.status().get("current", ""))
    if not current:
        raise ArgumentInvalid(
            f"no run is going on at the controller at {client.address}",
            hint="start one with: loadr run PLAN --controller HOST:PORT",
        )
    return current


def _change(
    client: ControllerClient, run: str, words: str, kind: str, scenario: str = "", value: str = ""
) -> int:
    run_id = _named(client, run)
    at_s, in_s = client.change(run_id, kind, scenario, value)
    click.echo(f"run {run_id}: {words} on all agents at {at_s:.2f} s of the run, {in_s:.2f} s from now")
    return 0


@click.command()
@click.argument("run", default="")
@_api
@click.option("--format", type=click.Choice(["text", "json"]), default="text", show_default=True)
def status(run: str, client: ControllerClient, format: str) -> int:
    """Show a controller's agents and runs, or one run."""
    import msgspec

    from loadr.report.layout import table

    if run:
        from loadr.cli.progress import state_line, view_line

        view = client.view(_named(client, run))
        if format == "json":
            click.echo(msgspec.json.format(msgspec.json.encode(view)))
        else:
            click.echo(state_line(view))
            click.echo(view_line(view))
        return 0
    answer = client.status()
    if format == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(answer)))
        return 0
    click.echo(f"controller at {client.address}, loadr {answer['version']}")
    agents: list[dict[str, Any]] = answer["agents"]
    rows = [
        [
            str(agent["name"]),
            str(agent["state"]),
            str(agent["workers"]),
            f"{agent['cpu_percent']:.0f}%",
            " ".join(f"{key}={value}" for key, value in agent["labels"].items()),
        ]
        for agent in agents
    ]
    if rows:
        click.echo("\n".join(table(("agent", "state", "workers", "cpu", "labels"), rows, 80)))
    else:
        click.echo("no agent has joined; start one: loadr agent --join HOST:PORT")
    current = answer.get("current") or "none"
    click.echo(f"run that is going on: {current}; known: {len(answer['runs'])}")
    return 0


@click.command()
@_run
@_api
def pause(run: str, client: ControllerClient) -> int:
    """Pause a live run.

    Nothing starts until `loadr resume`; what was planned happens later, and nothing is left out.
    """
    return _change(client, run, "paused", "pause")


@click.command()
@_run
@_api
def resume(run: str, client: ControllerClient) -> int:
    """Go on with a paused run."""
    return _change(client, run, "resumed", "resume")


@click.command()
@click.argument("run")
@click.argument("vus", type=click.IntRange(1, 1_000_000))
@_scenario
@_api
def scale(run: str, vus: int, scenario: str, client: ControllerClient) -> int:
    """Change the number of VUs of a live run.

    RUN is its id, or `current`. In open models VUS is the cap.
    """
    return _change(client, run, f"{vus} VUs", "scale", scenario, str(vus))


_RATE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(/s|%|x)?")


@click.command()
@click.argument("run")
@click.argument("rate")
@_scenario
@_api
def rate(run: str, rate: str, scenario: str, client: ControllerClient) -> int:
    """Change the rate of a live run.

    RUN is its id, or `current`. RATE is iterations per second from now to its end (250, 0.5/s), or a part of what
    the plan has left (150%).
    """
    match = _RATE.fullmatch(rate)
    if match is None:
        raise click.BadParameter(f"{rate!r} is no rate; write 250, 0.5/s or 150%")
    number, unit = match.groups()
    if unit in ("%", "x"):
        factor = number if unit == "x" else _hundredth(number)
        return _change(client, run, f"rate times {factor}", "factor", scenario, factor)
    return _change(client, run, f"{number} iterations per second", "rate", scenario, number)


def _hundredth(percent: str) -> str:
    """Exactly: "12.5" → "0.125"."""
    from decimal import Decimal

    return f"{Decimal(percent) / 100:f}"


@click.command()
@_run
@_api
def stop(run: str, client: ControllerClient) -> int:
    """End a live run; iterations may finish."""
    return _stop(client, run, graceful=True)


@click.command()
@_run
@_api
def kill(run: str, client: ControllerClient) -> int:
    """End a live run at once.

    Iterations are interrupted, and counted so.
    """
    return _stop(client, run, graceful=False)


def _stop(client: ControllerClient, run: str, *, graceful: bool) -> int:
    run_id = _named(client, run)
    client.stop(run_id, graceful=graceful)
    click.echo(f"run {run_id}: {'iterations finish, then it ends' if graceful else 'ended at once'}")
    return 0
