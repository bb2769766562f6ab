"""The command `loadr` and its subcommands, each imported only when it is called.

Takes the arguments of the process, gives its exit code. ``loadr --help`` imports nothing but click: start-up
stays short however heavy a command's libraries are.
"""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Sequence

import click

from loadr.cli.faults import report_fault
from loadr.errors import ExitCode

# name → (module that holds a click command named `command`, what `loadr --help` says about it)
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("loadr.cli.run", "Run a plan, here or on a controller's agents."),
    "validate": ("loadr.cli.validate", "Show all faults of a plan at once."),
    "plan": ("loadr.cli.plan", "Show what each agent would do."),
    "controller": ("loadr.cli.serve", "Start a controller that agents join."),
    "agent": ("loadr.cli.serve", "Start an agent and join a controller."),
    "corpus": ("loadr.cli.corpus", "Print the entry of a plan for a large data file."),
    "status": ("loadr.cli.control", "Show a controller's agents and runs, or one run."),
    "pause": ("loadr.cli.control", "Pause a live run."),
    "resume": ("loadr.cli.control", "Go on with a paused run."),
    "scale": ("loadr.cli.control", "Change the number of VUs of a live run."),
    "rate": ("loadr.cli.control", "Change the rate of a live run."),
    "stop": ("loadr.cli.control", "End a live run; iterations may finish."),
    "kill": ("loadr.cli.control", "End a live run at once."),
    "certs": ("loadr.cli.certs", "Make certificates for a controller and its agents (mTLS)."),
    "token": ("loadr.cli.token", "Make tokens that let agents join, or people use the API."),
    "target": ("loadr.cli.target", "Start the demo target."),
    "version": ("loadr.cli.version", "Show the version and the protocol range."),
}


class LazyCommands(click.Group):
    """A group that knows its commands by name and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyCommands,
    context_settings={
        "auto_envvar_prefix": "LOADR",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
    epilog="Every flag has a variable: LOADR_RUN_AGENTS=3 is `loadr run --agents 3`.",
)
def cli() -> None:
    """A distributed load tester: one plan, many agents, one exact result."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Gives the exit code (`loadr.errors.ExitCode`); no exception leaves this function."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr does: no name may break an answer
    try:
        code = cli.main(
            args=None if arguments is None else list(arguments), prog_name="loadr", standalone_mode=False
        )
    except BrokenPipeError:
        _drop_stdout()
        return ExitCode.INTERNAL
    except (Exception, KeyboardInterrupt) as fault:  # noqa: BLE001 - the one place that must see everything
        return report_fault(fault)
    return code if isinstance(code, int) else ExitCode.PASSED


def _drop_stdout() -> None:
    """The reader of our output has gone (``loadr plan … | head``): the last flush must not find out again."""
    sys.stdout = open("/dev/null", "w", encoding="utf-8")  # noqa: PTH123, SIM115 - lives until the process ends
