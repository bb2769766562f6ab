"""Names of files that may travel, and those that may not."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadr.plan.names import find_fault


@pytest.mark.parametrize(
    "paths",
    [
        [],
        ["plan.yaml"],
        ["data/users.csv", "data/items.csv", "scripts/buy.py"],
        ["größe.csv", "データ/一.csv", ".hidden", "a b.csv", "...x"],
        ["console.csv", "nullable.csv"],
    ],
)
def test_ordinary_names_may_travel(paths: list[str]) -> None:
    assert find_fault(paths) is None


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/etc/passwd", "is absolute"),
        ("C:/users.csv", "is absolute"),
        ("c:users.csv", "is absolute"),
        ("../users.csv", "leads out"),
        ("data/../../users.csv", "leads out"),
        ("..", "leads out"),
        ("data\\users.csv", "backslash"),
        ("users\0.csv", "can not be seen"),
        ("users\n.csv", "can not be seen"),
        ("users\u202e.csv", "can not be seen"),
        ("", "an empty part"),
        ("data//users.csv", "an empty part"),
        ("data/", "an empty part"),
        (".", "ends in a dot"),
        ("data/./users.csv", "ends in a dot"),
        ("users.csv.", "ends in a dot"),
        ("users.csv ", "a space"),
        ("nul", "reserved"),
        ("data/AUX.csv", "reserved"),
        ("x" * 256, "more than 255 bytes"),
        ("é" * 128, "more than 255 bytes"),
        ("/".join(["x" * 200] * 6), "at most 1024"),
        ("/".join("x" * 17), "17 folders deep"),
        ("\ud800", "not valid Unicode"),
    ],
)
def test_a_dangerous_name_is_refused(path: str, words: str) -> None:
    fault = find_fault(["good.csv", path])
    assert fault is not None and words in fault


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("users.csv", "users.csv"),
        ("users.csv", "USERS.csv"),
        ("data/x", "Data/X"),
        ("caf\u00e9", "cafe\u0301"),
        ("stra\u00dfe", "STRASSE"),
    ],
)
def test_names_that_a_file_system_may_take_for_one_collide(one: str, other: str) -> None:
    assert "collide" in (find_fault([one, "between.csv", other]) or "")


@pytest.mark.parametrize("paths", [["data", "data/users.csv"], ["data/users.csv", "DATA"], ["a/b/c", "a/b"]])
def test_a_file_can_not_be_a_folder_too(paths: list[str]) -> None:
    assert "also a folder" in (find_fault(paths) or "")


parts = st.one_of(st.sampled_from(["..", ".", "", "a", "A", "b.csv", "nul"]), st.text(max_size=4))


@given(st.lists(st.lists(parts, min_size=1, max_size=4).map("/".join), max_size=5))
@example(["a/../../b"])
@example(["/a"])
def test_whatever_is_accepted_stays_inside_and_apart(paths: list[str]) -> None:
    if find_fault(paths) is not None:
        return
    assert len({path.casefold() for path in paths}) == len(paths)
    for path in paths:
        assert not PurePosixPath(path).is_absolute()
        assert not {"", ".", ".."} & set(path.split("/"))
        assert not set("\\\0\r\n") & set(path)
