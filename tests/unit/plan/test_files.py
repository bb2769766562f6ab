from __future__ import annotations

import hashlib

import pytest

from loadr.plan import files
from loadr.plan.files import FileRefused, PlanFiles, near_names


@pytest.fixture
def plan_files(desk):
    return PlanFiles(desk.folder)


def refusal(plan_files, name):
    with pytest.raises(FileRefused) as caught:
        plan_files.locate(name)
    return f"{caught.value.message} -> {caught.value.hint}"


@pytest.mark.parametrize("name", ["users.csv", "./users.csv", "sub/../users.csv"])
def test_names_are_made_normal(plan_files, desk, name):
    assert plan_files.locate(name) == ("users.csv", desk.folder / "users.csv")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "a file is not named -> write its name, relative to the folder of the plan"),
        ("/etc/passwd", "/etc/passwd is an absolute path -> name it relative to the folder of the plan"),
        ("C:/x.csv", "C:/x.csv is an absolute path -> name it relative to the folder of the plan"),
        ("../x.csv", "../x.csv leaves the folder of the plan -> put the file beside the plan or below it"),
        (
            "a/../../x.csv",
            "a/../../x.csv leaves the folder of the plan -> put the file beside the plan or below it",
        ),
        ("..", ".. leaves the folder of the plan -> put the file beside the plan or below it"),
        ("a\\b.csv", "'a\\\\b.csv' can not be the name of a file -> use / between folders, and plain text"),
        ("a\0.csv", "'a\\x00.csv' can not be the name of a file -> use / between folders, and plain text"),
        ("\ud800.csv", "'\\ud800.csv' can not be the name of a file -> use / between folders, and plain text"),
        ("sub", "sub is a folder -> name a file in it"),
        ("user.csv", "there is no file user.csv -> did you mean users.csv?"),
        ("zzzzzzz.csv", "there is no file zzzzzzz.csv -> in its folder: users.csv"),
        ("x.pem", "there is no file x.pem -> its folder has no .pem file"),
        ("none/x.csv", "there is no file none/x.csv -> the folder none does not exist"),
        ("x" * 300, f"{'x' * 300} can not be read: File name too long -> "),
    ],
)
def test_a_name_that_can_not_be_taken_is_refused_with_a_hint(plan_files, desk, name, expected):
    (desk.folder / "sub").mkdir()
    assert refusal(plan_files, name) == expected


def test_files_are_listed_by_name_with_size_and_digest(plan_files, desk):
    desk.write("a/b.csv", "x")
    for name in ("users.csv", "a/b.csv", "users.csv"):
        plan_files.add(*plan_files.locate(name))
    assert [file.path for file in plan_files.listed] == ["a/b.csv", "users.csv"]
    assert plan_files.listed[0].size_bytes == 1
    assert plan_files.listed[0].sha256 == hashlib.sha256(b"x").hexdigest()
    assert plan_files.paths == {"users.csv": desk.folder / "users.csv", "a/b.csv": desk.folder / "a/b.csv"}


def test_names_that_differ_in_case_only_are_refused(plan_files, desk):
    desk.write("Users.csv", "x")
    plan_files.add(*plan_files.locate("users.csv"))
    with pytest.raises(FileRefused, match=r"Users\.csv and users\.csv differ in case only"):
        plan_files.add(*plan_files.locate("Users.csv"))


def test_more_than_the_quota_is_refused_by_name(plan_files, desk, monkeypatch):
    monkeypatch.setattr(files, "MAX_TOTAL_BYTES", 2 * 1024 * 1024)
    for name in ("a.csv", "b.csv"):
        desk.write(name, b"x" * 1_200_000)
    plan_files.add(*plan_files.locate("a.csv"))
    with pytest.raises(FileRefused) as caught:
        plan_files.add(*plan_files.locate("b.csv"))
    assert caught.value.message == (
        "with b.csv (1,200,000 bytes) the files of the plan are over the quota of 2 MiB"
    )


def test_a_file_that_vanished_is_refused(plan_files, desk):
    with pytest.raises(FileRefused, match=r"gone\.csv can not be read"):
        plan_files.add("gone.csv", desk.folder / "gone.csv")


def test_near_names_are_nearest_first(desk):
    for name in ("users.csv", "userz.csv", "zebra.txt"):
        desk.write(name, "")
    assert near_names(desk.folder / "users.cvs") == "did you mean users.csv or userz.csv?"
