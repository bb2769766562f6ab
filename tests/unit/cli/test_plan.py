from pathlib import Path

from loadr.cli import main


def test_the_plan_of_a_fleet_is_shown(capsys, plan_file: Path) -> None:
    assert main(["plan", str(plan_file), "--agents", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "checkout: 1.00s, seed 7, 2 agents"
    assert [line.split()[0] for line in lines[-2:]] == ["agent-1", "agent-2"]


def test_flags_change_the_plan_as_in_a_run(capsys, plan_file: Path) -> None:
    assert main(["plan", str(plan_file), "--vus", "9", "--seed", "3", "--duration", "4s"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("checkout: 4.00s, seed 3, 1 agent\n")
    assert "browse  constant-vus, 9 VUs" in out


def test_a_broken_plan_is_told_with_its_place(capsys, plan_file: Path) -> None:
    plan_file.write_text("scenarios: {}\n")
    assert main(["plan", str(plan_file)]) == 104
    assert str(plan_file) in capsys.readouterr().err
