import pytest

from loadr.cli import main
from loadr.testing import target as shell


@pytest.fixture
def served(monkeypatch) -> list[shell.TargetOptions]:
    calls: list[shell.TargetOptions] = []
    monkeypatch.setattr(shell, "serve", calls.append)
    return calls


def test_without_flags_the_target_is_what_its_own_defaults_say(served) -> None:
    assert main(["target"]) == 0
    assert served == [shell.TargetOptions()]


def test_flags_reach_the_target(served) -> None:
    flags = ["--bind", "127.0.0.1:0", "--delay", "uniform:10ms,50ms", "--error-rate", "0.1", "--size", "2KB"]
    assert main(["target", *flags, "--seed", "3", "--record-arrivals", "9", "--until-stdin-ends"]) == 0
    assert served == [
        shell.TargetOptions(
            bind="127.0.0.1:0",
            delay="uniform:10ms,50ms",
            error_rate="0.1",
            size="2KB",
            seed=3,
            record_arrivals=9,
            until_stdin_ends=True,
        )
    ]


def test_a_bad_delay_is_one_clear_message(capsys) -> None:
    assert main(["target", "--bind", "127.0.0.1:0", "--delay", "soon"]) == 104
    err = capsys.readouterr().err
    assert err.startswith("loadr: ") and "hint: " in err
