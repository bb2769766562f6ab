"""Rows of a corpus: the same as those of a file that is read whole, without being in memory."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadr.engine import corpus
from loadr.engine.corpus import CorpusInvalid, open_corpus
from loadr.plan.data import read_csv


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "big.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        "id,name\n1,Ada\n2,Alan\n",
        "id,name\r\n1,Ada\r\n2,Alan",
        '\ufeffid,name\n1,"Ada, Countess"\n2,"two\nlines"\n3,"a ""quote"""\n',
        "id\n\n1\r\n\r\n2\n\n",
        'id\n"1\r\n\r\n2"\r\n3\n',
        "größe\nÄ\n",
    ],
)
def test_rows_are_those_that_are_read_when_the_file_travels(tmp_path: Path, content: str) -> None:
    path = write(tmp_path, content)
    rows, whole = open_corpus(path, "big"), read_csv(path)
    assert rows.columns == whole.columns
    assert list(rows.rows) == list(whole.rows)
    assert rows.rows[-1] == whole.rows[-1]
    assert rows.rows[:2] == whole.rows[:2]


texts = st.text(st.sampled_from('ab ,"\n\r\té'), max_size=6).filter(
    lambda text: "\r" not in text.replace("\r\n", "")
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(texts, texts), min_size=1, max_size=8), st.sampled_from(["\n", "\r\n"]), st.integers(1, 9)
)
def test_whatever_is_quoted_and_wherever_blocks_end(
    tmp_path: Path, rows: list[tuple[str, str]], ending: str, block: int
) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=ending).writerows([("id", "name"), *rows])
    path = write(tmp_path, out.getvalue())
    with pytest.MonkeyPatch.context() as small:
        small.setattr(corpus, "_BLOCK_BYTES", block)
        found = open_corpus(path, "big")
    assert [found[n] for n in range(len(found))] == rows


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "big has no rows below a header"),
        ("id,name\n", "big has no rows below a header"),
        ("id,name\n1\n", "big: row 1 has 1 fields, the header has 2"),
        ("id,name\n1,2,3\n", "big: row 1 has 3 fields, the header has 2"),
        (b"id,name\n1,\xff\n", "big: row 1 is not CSV"),
        ('id,name\n1,"a"b\n', "big: row 1 is not CSV"),
        ("id,name\n1,a\rb\n", "big: row 1 is not CSV"),
        ('id,name\n1,"' + "x" * 1_100_000, "is a quote left open"),
    ],
)
def test_what_is_no_csv_is_told_with_its_row(tmp_path: Path, content: str | bytes, words: str) -> None:
    with pytest.raises(CorpusInvalid, match=words):
        open_corpus(write(tmp_path, content), "big")[0]


def test_a_row_that_is_not_there_is_an_index_error(tmp_path: Path) -> None:
    rows = open_corpus(write(tmp_path, "id\n1\n"), "big")
    for index in (1, -2):
        with pytest.raises(IndexError):
            rows[index]


def test_a_file_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(CorpusInvalid, match="big can not be read: No such file"):
        open_corpus(tmp_path / "gone", "big")
