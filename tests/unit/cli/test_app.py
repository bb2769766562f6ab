import os
import subprocess
import sys

import click
import pytest

from loadr.cli.app import COMMANDS, cli, main
from loadr.errors import ExitCode

HEAVY = ("numpy", "grpc", "pydantic", "msgspec", "rich", "asyncio", "ruamel", "uvloop")


def modules_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has imported after ``code``."""
    script = f"import sys\n{code}\nprint('|'.join({{m.split('.')[0] for m in sys.modules}}), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    return set(done.stderr.strip().split("|"))


def test_help_imports_nothing_heavy() -> None:
    loaded = modules_after("from loadr.cli import main\nassert main(['--help']) == 0")
    assert "click" in loaded
    assert not loaded & set(HEAVY)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_help_of_a_command_imports_no_engine(name: str) -> None:
    loaded = modules_after(f"from loadr.cli import main\nassert main([{name!r}, '--help']) == 0")
    assert not loaded & {"numpy", "grpc", "pydantic", "rich", "ruamel", "uvloop"}


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_list_of_commands_says_what_each_says_of_itself(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None and command.name == name
    assert (command.help or "").splitlines()[0] == COMMANDS[name][1]


def test_help_lists_every_command(capsys) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in COMMANDS)


def test_without_a_command_help_is_shown_as_a_mistake(capsys) -> None:
    assert main([]) == ExitCode.INVALID
    assert "Commands:" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["dance"], ["run"], ["run", "--dance"], ["plan", "x", "--agents", "none"]])
def test_a_wrong_call_exits_104_with_one_message_and_the_way_to_help(capsys, arguments) -> None:
    assert main(arguments) == ExitCode.INVALID
    err = capsys.readouterr().err
    assert err.startswith("loadr: ") and "--help" in err and "Traceback" not in err


def test_every_flag_can_come_from_a_variable(capsys, monkeypatch, plan_file) -> None:
    monkeypatch.setenv("LOADR_VALIDATE_FORMAT", "yaml")
    assert main(["validate", str(plan_file)]) == ExitCode.INVALID
    assert "'yaml' is not one of" in capsys.readouterr().err


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_variable_of_a_flag_has_its_name(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    for option in command.params:
        if isinstance(option, click.Option):
            assert f"--{str(option.name).replace('_', '-')}" in option.opts


def test_python_m_loadr_is_loadr() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadr", "version"], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.startswith("loadr ")


def test_a_name_that_the_terminal_can_not_show_breaks_nothing(tmp_path) -> None:
    plan = tmp_path / "plan.yaml"
    flow = '[ { request: { get: "http://127.0.0.1:1/" } } ]'
    plan.write_text(
        f"name: snow☃\nscenarios: {{ a: {{ executor: constant-vus, vus: 1, duration: 1s, flow: {flow} }} }}\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "loadr", "validate", str(plan)],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "latin-1"},
        timeout=30,
        check=True,
    )
    assert b"snow\\u2603: 1 scenario" in done.stdout


def test_a_reader_that_leaves_early_costs_no_traceback() -> None:
    script = f"{sys.executable} -c \"import sys; from loadr.cli import main; sys.exit(main(['version']))\" | true"
    done = subprocess.run(script, shell=True, capture_output=True, text=True, timeout=30, check=False)
    assert done.stderr == ""
