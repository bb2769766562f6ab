"""The command line: every command with its arguments, flags, variables and defaults."""

from __future__ import annotations

import inspect

import click

from loadr.cli.app import COMMANDS, cli
from reference.source import table


def render() -> str:
    return "\n\n".join(_command(name) for name in COMMANDS)


def _command(name: str) -> str:
    outer = click.Context(cli, info_name="loadr", **cli.context_settings)
    command = cli.get_command(outer, name)
    assert command is not None
    inner = click.Context(command, info_name=name, parent=outer, auto_envvar_prefix=f"LOADR_{name.upper()}")
    usage = " ".join(["loadr", name, *command.collect_usage_pieces(inner)])
    options = [param for param in command.params if isinstance(param, click.Option)]
    rows = [_option(option, inner) for option in options]
    parts = [f"## loadr {name}", f"`{usage}`", inspect.cleandoc(command.help or "")]
    if rows:
        parts.append(table(("Flag", "Variable", "Default", "Meaning"), rows))
    return "\n\n".join(part for part in parts if part)


def _option(option: click.Option, context: click.Context) -> tuple[str, str, str, str]:
    metavar = "" if option.is_flag else " " + option.make_metavar(context)
    flags = ", ".join(f"`{name}{metavar}`" for name in option.opts)
    default = "" if option.is_flag or option.multiple else option.default
    shown = "required" if option.required else f"`{default}`" if isinstance(default, str) and default else ""
    words, mark, said = (option.help or "").partition("  [default: ")
    if mark:
        shown = said.rstrip("]")
    assert option.name is not None
    return flags, f"`{context.auto_envvar_prefix}_{option.name.upper()}`", shown, words
