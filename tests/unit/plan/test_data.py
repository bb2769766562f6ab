from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadr.errors import PlanInvalid
from loadr.plan.data import read_csv

BOM = b"\xef\xbb\xbf"


def faults_of(path: Path, content: bytes) -> list[str]:
    path.write_bytes(content)
    with pytest.raises(PlanInvalid) as caught:
        read_csv(path, shown_as="users.csv")
    return [f"{fault} -> {fault.hint}" for fault in caught.value.faults]


def test_rows_come_by_position_and_by_name(tmp_path):
    path = tmp_path / "users.csv"
    path.write_bytes(b'id,full name\r\n1,"Lovelace, Ada"\r\n2,"Alan ""T"""\r\n')
    rows = read_csv(path)
    assert rows.columns == ("id", "full name")
    assert len(rows) == 2
    assert rows[0] == ("1", "Lovelace, Ada")
    assert rows.as_dict(1) == {"id": "2", "full name": 'Alan "T"'}


def test_rows_are_a_sequence(tmp_path):
    path = tmp_path / "users.csv"
    path.write_bytes("id,name\n1,Zoë\n2,\n3,李\n".encode())
    rows = read_csv(path).rows
    assert (rows[-1], rows[1], rows[1:]) == (("3", "李"), ("2", ""), [("2", ""), ("3", "李")])
    for index in (3, -4):
        with pytest.raises(IndexError):
            rows[index]


def test_a_byte_order_mark_empty_lines_and_a_missing_last_line_end_are_fine(tmp_path):
    path = tmp_path / "users.csv"
    path.write_bytes(BOM + "id,name\n\n1,Zoë\n\n2,李\n\n3,x".encode())
    assert list(read_csv(path).rows) == [("1", "Zoë"), ("2", "李"), ("3", "x")]


def test_a_field_may_hold_line_ends(tmp_path):
    path = tmp_path / "users.csv"
    path.write_bytes(b'id,text\n1,"a\nb"\n2,c\n')
    assert list(read_csv(path).rows) == [("1", "a\nb"), ("2", "c")]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", ["1:1: the file is empty -> the first line names the columns, the others are rows"]),
        (b"\n\n", ["1:1: the file is empty -> the first line names the columns, the others are rows"]),
        (b"id,name\n", ["1:1: there is a header and no row -> add a row below the header"]),
        (
            b"id,,id, \n1,2,3,4\n",
            [
                "1:1: column 2 has no name -> the first line names the columns",
                "1:1: two columns are named 'id' -> rename one of them",
                "1:1: column 4 has no name -> the first line names the columns",
            ],
        ),
        (
            b"id,name\n1,a\n2\n3,b,c\n",
            [
                "3:1: this line has 1 field, the header has 2 -> quote a field that holds a comma",
                "4:1: this line has 3 fields, the header has 2 -> quote a field that holds a comma",
            ],
        ),
        (
            b'id,name\n1,"a\nb"\n\n2\n',
            ["5:1: this line has 1 field, the header has 2 -> quote a field that holds a comma"],
        ),
        (
            b"id,x\n1,2\n3,\x00\n",
            ["3:1: this line holds a NUL character -> save the file as UTF-8 text"],
        ),
        (b"id\n1\n\xff\n", ["3:1: this is not UTF-8 text -> save the file as UTF-8"]),
        (b"\xff\xfei\x00d\x00", ["1:1: this is not UTF-8 text -> save the file as UTF-8"]),
        (
            b'id\n"1\n2\n',
            ["3:1: this is not CSV: unexpected end of data -> a quote inside a quoted field is doubled"],
        ),
        (
            b'id\n"1"x\n',
            ["2:1: this is not CSV: ',' expected after '\"' -> a quote inside a quoted field is doubled"],
        ),
    ],
)
def test_each_fault_is_told_with_its_line(tmp_path, content, expected):
    assert faults_of(tmp_path / "x.csv", content) == [f"users.csv:{fault}" for fault in expected]


def test_a_file_of_faults_tells_the_first_five(tmp_path):
    assert len(faults_of(tmp_path / "x.csv", b"a,b\n" + b"1\n" * 100)) == 5


def test_a_folder_or_a_missing_file_is_told_without_a_line(tmp_path):
    for path in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(PlanInvalid) as caught:
            read_csv(path)
        (fault,) = caught.value.faults
        assert fault.line == 0
        assert fault.message.startswith("the file can not be read: ")


FIELDS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\n\0"), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.tuples(FIELDS, FIELDS), min_size=1))
def test_what_was_written_as_csv_is_read_back(tmp_path, rows):
    stream = io.StringIO()
    csv.writer(stream).writerows([("a", "b"), *rows])
    path = tmp_path / "x.csv"
    path.write_bytes(stream.getvalue().encode())
    assert list(read_csv(path).rows) == rows


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.binary(max_size=60) | st.text(alphabet='a,"\n\r 1', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused_in_words(tmp_path, content):
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    try:
        rows = read_csv(path)
    except PlanInvalid as error:
        assert 1 <= len(error.faults) <= 5
    else:
        assert all(len(row) == len(rows.columns) for row in rows.rows)
