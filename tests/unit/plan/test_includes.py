"""Patterns of extra files: what they mean, what they never take, and every fault at once."""

from __future__ import annotations

import os

import pytest

from loadr.plan import files, includes
from loadr.plan.files import FileRefused, PlanFiles
from loadr.plan.includes import find, include

SMALL = "scenarios: { a: { executor: constant-vus, vus: 1, duration: 1s, flow: [ think: 1s ] } }\n"


@pytest.fixture
def tree(desk):
    for name in (
        *("a.json", "b.json", "lib/one.py", "lib/deep/two.py", "lib/deep/three.txt", "lib/__pycache__/one.pyc"),
        *(".env", ".git/config", "lib/.hidden.py"),
    ):
        desk.write(name, name)
    return desk


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.json", ["a.json"]),
        ("./a.json", ["a.json"]),
        ("*.json", ["a.json", "b.json"]),
        ("[ab].jso?", ["a.json", "b.json"]),
        ("lib/*", ["lib/one.py"]),
        ("lib/**", ["lib/deep/three.txt", "lib/deep/two.py", "lib/one.py"]),
        ("lib/**/", ["lib/deep/three.txt", "lib/deep/two.py", "lib/one.py"]),
        ("**/*.py", ["lib/deep/two.py", "lib/one.py"]),
        ("lib/**/two.py", ["lib/deep/two.py"]),
        ("*/deep/*.py", ["lib/deep/two.py"]),
        (".env", [".env"]),
        (".*", [".env"]),
        ("lib/.h*", ["lib/.hidden.py"]),
    ],
)
def test_a_pattern_means_files_below_the_folder(tree, pattern, expected):
    assert find(tree.folder, pattern) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", "a file is not named -> write its name, relative to the folder of the plan"),
        ("/etc/*", "/etc/* is an absolute path -> name it relative to the folder of the plan"),
        ("../*", "../* leaves the folder of the plan -> put the files beside the plan or below it"),
        ("lib/../*", "lib/../* leaves the folder of the plan -> put the files beside the plan or below it"),
        ("a\0*", "'a\\x00*' can not be the name of a file -> use / between folders, and plain text"),
        (".", ". is the folder of the plan itself -> write ** for all files below it"),
        ("lib", "lib matches no file -> lib is a folder; write lib/**"),
        ("c.json", "c.json matches no file -> did you mean b.json or a.json?"),
        (
            "*.proto",
            "*.proto matches no file -> patterns are relative to the folder of the plan; "
            "** matches any number of folders",
        ),
    ],
)
def test_a_pattern_that_means_nothing_is_refused_with_a_hint(tree, pattern, expected):
    with pytest.raises(FileRefused) as caught:
        find(tree.folder, pattern)
    assert f"{caught.value.message} -> {caught.value.hint}" == expected


def test_links_to_folders_are_told_and_not_followed_by_two_stars(tree):
    (tree.folder / "lib" / "again").symlink_to(tree.folder / "lib")
    assert "lib/again" in find(tree.folder, "lib/**")
    plan_files = PlanFiles(tree.folder)
    ((number, fault),) = include(["lib/**"], plan_files)
    assert (number, fault.message) == (0, "lib/again is a symbolic link to a folder")
    assert set(plan_files.paths) == {"lib/one.py", "lib/deep/two.py", "lib/deep/three.txt"}


def test_a_link_to_itself_is_told(tree):
    (tree.folder / "lib" / "loop.py").symlink_to("loop.py")
    ((_, fault),) = include(["lib/**"], PlanFiles(tree.folder))
    assert fault.message == "lib/loop.py is a symbolic link to nothing"


def test_a_name_that_is_no_text_is_told(tree):
    (tree.folder / os.fsdecode(b"\xff.json")).write_text("x")
    ((_, fault),) = include(["*.json"], PlanFiles(tree.folder))
    assert fault.message == "the file name '\\udcff.json' is not valid Unicode"


def test_all_faults_come_at_once_and_of_one_pattern_not_too_many(tree, tmp_path_factory):
    secret = tmp_path_factory.mktemp("outside") / "secret"
    secret.write_text("x")
    for number in range(includes.MAX_FAULTS + 2):
        (tree.folder / f"out{number}.txt").symlink_to(secret)
    os.mkfifo(tree.folder / "pipe.json")
    found = list(include(["*.txt", "*.json", "/x", "*.none"], PlanFiles(tree.folder)))
    assert [number for number, _ in found] == [0] * 6 + [1, 2, 3]
    assert found[5][1].message == "2 more of the files can not travel"
    assert found[6][1].message == "pipe.json is no ordinary file"


def test_a_pattern_that_looks_at_half_the_disk_is_refused(tree, monkeypatch):
    monkeypatch.setattr(includes, "MAX_NAMES", 3)
    with pytest.raises(FileRefused, match="looks at more than 3 names"):
        find(tree.folder, "**")


def test_included_files_are_files_of_the_plan(tree):
    loaded = tree.load(SMALL + "include: [lib/**/*.py, a.json]\n", include=["b.json", "a.json"])
    assert [file.path for file in loaded.plan.files] == ["a.json", "b.json", "lib/deep/two.py", "lib/one.py"]
    assert loaded.files["b.json"] == tree.folder / "b.json"
    assert loaded.plan.include == ("lib/**/*.py", "a.json", "b.json", "a.json")
    assert tree.load(SMALL + "include: a.json\n").plan.include == ("a.json",)


def test_a_script_includes_files_by_its_options(tree):
    script = (
        "from loadr import constant_vus, options, scenario\noptions(include=['*.json'])\n"
        "@scenario(constant_vus(1, 1))\nasync def a(vu): ...\n"
    )
    loaded = tree.load(script, "script.py")
    assert [file.path for file in loaded.plan.files] == ["a.json", "b.json", "script.py"]


def test_each_pattern_has_its_place_in_the_plan_or_on_the_command_line(tree):
    tree.write("A.JSON", "x")
    faults = tree.faults(SMALL + "include:\n  - '*.[jJ]*'\n  - ../x\n", include=["/abs", "*.none"])
    assert faults == [
        "3:5: include[0]: a.json and A.JSON differ in case only -> rename one of them",
        "4:5: include[1]: ../x leaves the folder of the plan -> put the files beside the plan or below it",
        "command line: --include: /abs is an absolute path -> name it relative to the folder of the plan",
        "command line: --include: *.none matches no file -> patterns are relative to the folder of the plan; "
        "** matches any number of folders",
    ]


def test_include_is_a_list_of_texts(tree):
    assert tree.faults(SMALL + "include: 5\n") == [
        '2:10: include: must be a list of texts, and is 5 -> write ["lib/**/*.py"]'
    ]


def test_the_quota_is_told_once_with_the_largest_files(tree, monkeypatch):
    monkeypatch.setattr(files, "MAX_TOTAL_BYTES", 1024**2)
    for number in range(20):
        tree.write(f"bodies/{number}.bin", b"x" * 100_000)
    (fault,) = tree.faults(SMALL + "include: [bodies/*]\n")
    assert "the files of the plan have 2,000,000 bytes; the quota is 1 MiB; the largest: bodies/0.bin" in fault
    assert "corpus" in fault
