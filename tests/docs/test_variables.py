"""`LOADR_*` variables mirror every flag of every command."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import click
import pytest

from loadr.cli.app import COMMANDS, cli

TEXTS = {
    **dict.fromkeys(("agents", "expect_agents", "workers", "vus", "seed", "record_arrivals", "uses"), "3"),
    **dict.fromkeys(("env", "tag", "label", "agents_with", "corpus"), "KEY=VALUE"),
    **dict.fromkeys(("controller", "bind", "api", "join"), "127.0.0.1:4242"),
    **dict.fromkeys(("tls_cert", "tls_key", "tls_client_ca", "tls_ca"), "file.pem"),
    **dict.fromkeys(("api_tls_cert", "api_tls_key", "api_ca"), "file.pem"),
    **dict.fromkeys(("token_file", "api_token_file", "secret_file"), "file.pem"),
    **dict.fromkeys(("data_dir", "work_dir"), "folder"),
    **dict.fromkeys(("duration", "wait", "expires"), "2s"),
    "scenario": "browse",
    "allowed_loss": "1%",
    "format": "json",
    **dict.fromkeys(("name", "agent", "host"), "web"),
    "secret": "PASSWORD",
    "include": "*.json",
    "write": "join-token",
    "summary_export": "summary.json",
    "report": "report.html",
    "delay": "5ms",
    "error_rate": "0.5",
    "size": "2KB",
}


def command_named(name: str) -> click.Command:
    command = getattr(importlib.import_module(COMMANDS[name][0]), name)
    assert isinstance(command, click.Command)
    return command


def inner_commands(*names: str, command: click.Command) -> list[tuple[tuple[str, ...], click.Command]]:
    """Those that a person types in the end, each with its words: ``certs init`` is one, ``certs`` is none."""
    if not isinstance(command, click.Group):
        return [(names, command)]
    return [
        leaf for name, inner in command.commands.items() for leaf in inner_commands(*names, name, command=inner)
    ]


OPTIONS = [
    (names, command, option)
    for name in COMMANDS
    for names, command in inner_commands(name, command=command_named(name))
    for option in command.params
    if isinstance(option, click.Option) and option.name
]


def parsed(names: tuple[str, ...], command: click.Command, arguments: list[str]) -> dict[str, Any]:
    """The parameters of a command as it would be called."""
    outer = cli.make_context("loadr", [*names, *arguments], **cli.context_settings)
    for name in names[:-1]:
        outer = command_named(name).make_context(name, [*names[1:], *arguments], parent=outer)
    return command.make_context(names[-1], arguments, parent=outer).params


@pytest.mark.parametrize(
    ("names", "command", "option"),
    OPTIONS,
    ids=[f"{' '.join(names)}-{option.name}" for names, _, option in OPTIONS],
)
def test_a_variable_does_what_its_flag_does(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    names: tuple[str, ...],
    command: click.Command,
    option: click.Option,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.pem").touch()
    assert option.name is not None
    for other in command.params:
        monkeypatch.setattr(other, "required", False)
    flag, variable = option.opts[-1], f"LOADR_{'_'.join(names)}_{option.name}".upper()
    given = [flag] if option.is_flag else [flag, TEXTS[option.name]]
    by_flag = parsed(names, command, given)[option.name]
    assert by_flag != parsed(names, command, []).get(option.name)
    monkeypatch.setenv(variable, "1" if option.is_flag else TEXTS[option.name])
    assert parsed(names, command, [])[option.name] == by_flag
