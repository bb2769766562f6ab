from __future__ import annotations

import hashlib
import os

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
    listed = plan_files.listed()
    assert [file.path for file in listed] == ["a/b.csv", "users.csv"]
    assert listed[0].size_bytes == 1
    assert listed[0].sha256 == hashlib.sha256(b"x").hexdigest()
    assert plan_files.paths == {"users.csv": desk.folder / "users.csv", "a/b.csv": desk.folder / "a/b.csv"}


def test_names_that_differ_in_case_only_are_refused(plan_files, desk):
    desk.write("Users.csv", "x")
    plan_files.add(*plan_files.locate("users.csv"))
    with pytest.raises(FileRefused, match=r"Users\.csv and users\.csv differ in case only"):
        plan_files.add(*plan_files.locate("Users.csv"))


def test_more_than_the_quota_is_refused_with_the_quota_and_the_largest(plan_files, desk, monkeypatch):
    monkeypatch.setattr(files, "MAX_TOTAL_BYTES", 2 * 1024 * 1024)
    for name, size in (("a.csv", 1_200_000), ("b.csv", 1_300_000), ("c.csv", 3_000_000)):
        desk.write(name, b"x" * size)
    with pytest.raises(FileRefused, match=r"c\.csv has 3,000,000 bytes; the quota of all files is 2 MiB"):
        plan_files.add(*plan_files.locate("c.csv"))
    for name in ("a.csv", "b.csv"):
        plan_files.add(*plan_files.locate(name))
    with pytest.raises(FileRefused) as caught:
        plan_files.check_quota()
    assert caught.value.message == (
        "the files of the plan have 2,500,000 bytes; the quota is 2 MiB; "
        "the largest: b.csv (1,300,000 bytes), a.csv (1,200,000 bytes)"
    )
    assert "corpus" in caught.value.hint


def test_too_many_files_are_refused(plan_files, desk, monkeypatch):
    monkeypatch.setattr(files, "MAX_FILES", 1)
    for name in ("a.csv", "b.csv"):
        desk.write(name, "")
        plan_files.add(*plan_files.locate(name))
    with pytest.raises(FileRefused, match="the plan has 2 files; at most 1 can travel"):
        plan_files.check_quota()


def test_a_symbolic_link_may_stay_in_the_folder_and_not_leave_it(tmp_path_factory, plan_files, desk):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.csv").write_text("x")
    (desk.folder / "inside.csv").symlink_to("users.csv")
    (desk.folder / "out.csv").symlink_to(outside / "secret.csv")
    (desk.folder / "away").symlink_to(outside)
    (desk.folder / "nothing.csv").symlink_to("gone.csv")
    (desk.folder / "loop.csv").symlink_to("loop.csv")
    plan_files.add(*plan_files.locate("inside.csv"))
    assert plan_files.listed()[0].size_bytes == len((desk.folder / "users.csv").read_bytes())
    for name in ("out.csv", "away/secret.csv"):
        with pytest.raises(FileRefused, match="leads out of the folder of the plan by a symbolic link"):
            plan_files.add(*plan_files.locate(name))
    for name in ("nothing.csv", "loop.csv"):
        with pytest.raises(FileRefused, match="is a symbolic link to nothing"):
            plan_files.add(name, desk.folder / name)


def test_what_is_no_file_is_refused_without_being_opened(plan_files, desk):
    os.mkfifo(desk.folder / "pipe")
    with pytest.raises(FileRefused, match="pipe is no ordinary file"):
        plan_files.add("pipe", desk.folder / "pipe")


def test_a_file_that_vanished_is_refused(plan_files, desk):
    with pytest.raises(FileRefused, match=r"gone\.csv can not be read"):
        plan_files.add("gone.csv", desk.folder / "gone.csv")


def test_near_names_are_nearest_first(desk):
    for name in ("users.csv", "userz.csv", "zebra.txt"):
        desk.write(name, "")
    assert near_names(desk.folder / "users.cvs") == "did you mean users.csv or userz.csv?"
