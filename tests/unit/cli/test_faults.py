import io

import click
import pytest

from loadr.cli.faults import report_fault
from loadr.errors import ArgumentInvalid, ExitCode, Fault, FleetFault, InternalFault, PlanInvalid, Unreachable


def told(fault: BaseException) -> tuple[int, str]:
    out = io.StringIO()
    return report_fault(fault, out), out.getvalue()


def test_a_fault_says_what_happened_and_what_to_do_next() -> None:
    code, text = told(ArgumentInvalid("--report x: this is a folder", hint="name a file in it"))
    assert (code, text) == (104, "loadr: --report x: this is a folder\n  hint: name a file in it\n")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (FleetFault("no agent joined"), 122),
        (Unreachable("nobody answers at 127.0.0.1:1"), 122),
        (click.Abort(), 105),
        (KeyboardInterrupt(), 105),
        (click.UsageError("no such flag"), 104),
        (FileNotFoundError(2, "No such file or directory", "x.csv"), 104),
        (click.exceptions.Exit(3), 3),
    ],
)
def test_every_fault_has_its_exit_code_and_no_traceback(fault: BaseException, code: int) -> None:
    found, text = told(fault)
    assert found == code and "Traceback" not in text


def test_all_faults_of_a_plan_are_told_with_place_path_and_hint() -> None:
    faults = [
        Fault("plan.yaml", 3, 5, "scenarios.a.vus", "must be at least 1", "write vus: 1"),
        Fault("plan.yaml", 0, 0, "", "no scenario"),
    ]
    code, text = told(PlanInvalid(faults))
    assert code == ExitCode.INVALID
    assert text.splitlines() == [
        "plan.yaml:3:5: scenarios.a.vus: must be at least 1",
        "  hint: write vus: 1",
        "plan.yaml: no scenario",
        "loadr: the plan has 2 faults",
    ]


@pytest.mark.parametrize("fault", [InternalFault("slots overlap"), ZeroDivisionError("division\nby zero")])
def test_a_bug_is_one_line_and_how_to_report_it(monkeypatch, fault: Exception) -> None:
    monkeypatch.delenv("LOADR_DEBUG", raising=False)
    code, text = told(fault)
    assert code == ExitCode.INTERNAL
    assert text.startswith(f"loadr: this is a bug in loadr: {type(fault).__name__}: ")
    assert len(text.splitlines()) == 2 and "LOADR_DEBUG=1" in text


@pytest.mark.parametrize("fault", [ZeroDivisionError("x"), FleetFault("y")])
def test_a_traceback_is_shown_when_asked_for(monkeypatch, fault: Exception) -> None:
    monkeypatch.setenv("LOADR_DEBUG", "1")
    assert type(fault).__name__ in told(fault)[1].splitlines()[-1]
