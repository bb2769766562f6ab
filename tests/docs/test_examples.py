"""What the pages show a reader to type works: plans load and run, scripts run, flags exist."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import click
import pytest

from docs.markdown import Block, commands, plans, scripts
from loadr.cli.app import COMMANDS
from loadr.errors import ExitCode
from loadr.plan.loader import load_plan
from loadr.testing.process import TargetProcess
from support.fleet import run_loadr
from support.plans import assert_balanced, read_summary

ADDRESS = "127.0.0.1:8080"
SECRET = re.compile(r"secret(?:\.|\[\")(\w+)")


@pytest.mark.parametrize("block", [*plans(), *scripts()], ids=str)
def test_an_example_runs_and_holds_its_own_thresholds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: Block
) -> None:
    file = tmp_path / ("plan.yaml" if block.language == "yaml" else "scenario.py")
    assert ADDRESS in block.text, "an example is to run against `loadr target` as it stands"
    export = tmp_path / "summary.json"
    flags = ["--duration", "2s", "--workers", "1", "--summary-export", str(export)]
    for secret in SECRET.findall(block.text):
        monkeypatch.setenv(f"LOADR_SECRET_{secret}", f"value of {secret}")
        flags += ["--secret", secret]
    with TargetProcess() as target:
        file.write_text(block.text.replace(f"http://{ADDRESS}", target.url))
        valid = run_loadr("validate", str(file))
        assert valid.returncode == 0, valid.stderr
        done = run_loadr("run", str(file), *flags)
        assert done.returncode == ExitCode.PASSED, done.stdout + done.stderr
        summary = read_summary(export)
        accounting = summary["loadr"]["accounting"]
        apart = accounting["setup_requests"] + accounting["teardown_requests"]
        assert summary["metrics"]["http_reqs"]["count"] + apart == target.counters()["total"] > apart
    assert_balanced(summary)
    assert summary["metrics"]["checks"]["fails"] == 0


def test_there_are_examples_of_both_kinds() -> None:
    assert plans() and scripts()


def test_the_plan_of_the_demo_is_valid() -> None:
    loaded = load_plan(Path("examples/demo/plan.yaml"), env={"TARGET": f"http://{ADDRESS}"})
    assert set(loaded.plan.scenarios) == {"browse", "buy"}


@pytest.mark.parametrize("arguments", commands(), ids=" ".join)
def test_a_command_in_the_docs_has_the_flags_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    name, *rest = arguments
    command = getattr(importlib.import_module(COMMANDS[name][0]), name)
    while isinstance(command, click.Group):
        name, *rest = rest
        command = command.commands[name]
    assert isinstance(command, click.Command)
    for path in files_to_be_there(command, rest):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    command.make_context(name, rest)


def files_to_be_there(command: click.Command, arguments: list[str]) -> list[Path]:
    """What a reader who types this has already, for the command asks for it."""
    values, _, order = command.make_parser(click.Context(command)).parse_args(list(arguments))
    out = []
    for parameter in order:
        if isinstance(parameter.type, click.Path) and parameter.type.exists:
            value = values[parameter.name or ""]
            out += [Path(one) for one in (value if isinstance(value, list) else [value]) if one]
    return out


def test_every_command_is_shown_somewhere() -> None:
    assert {arguments[0] for arguments in commands()} >= COMMANDS.keys() - {"version"}
