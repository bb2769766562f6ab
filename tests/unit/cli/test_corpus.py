from __future__ import annotations

import hashlib

from loadr.cli import main
from loadr.plan.loader import load_plan

CONTENT = 'id,"full name"\n1,Ada\n2,"Hopper, Grace"\n'


def test_the_entry_that_is_printed_is_one_that_a_plan_takes(tmp_path, capsys) -> None:
    file = tmp_path / "users-2024.csv"
    file.write_text(CONTENT)
    assert main(["corpus", str(file)]) == 0
    said = capsys.readouterr()
    assert f"--corpus users-2024={file}" in said.err
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        said.out + "scenarios: { a: { executor: constant-vus, vus: 1, duration: 1s, flow: [ think: 1s ] } }\n"
    )
    data = load_plan(plan).plan.data["users_2024"]
    assert (data.corpus, data.columns, data.rows) == ("users-2024", ("id", "full name"), 2)
    assert data.sha256 == hashlib.sha256(CONTENT.encode()).hexdigest()


def test_every_row_is_checked(tmp_path, capsys) -> None:
    file = tmp_path / "users.csv"
    file.write_text(CONTENT + "3\n")
    assert main(["corpus", str(file)]) == 104
    assert "row 3 has 1 fields, the header has 2" in capsys.readouterr().err


def test_a_name_that_can_not_be_one_is_refused(tmp_path, capsys) -> None:
    file = tmp_path / "all users.csv"
    file.write_text(CONTENT)
    assert main(["corpus", str(file)]) == 104
    assert "a name is of letters" in capsys.readouterr().err
    assert main(["corpus", str(file), "--name", "users"]) == 0
