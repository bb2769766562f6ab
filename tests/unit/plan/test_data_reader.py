"""Corpora in a plan: described without being here, every fault at once. (Files: test_reader and test_data.)"""

from __future__ import annotations

import pytest

from loadr.plan.model import DataSet, Plan

DIGEST = "a" * 64
SMALL = "scenarios: { a: { executor: constant-vus, vus: 1, duration: 1s, flow: [ think: 1s ] } }\n"
OPEN = "constant-arrival-rate, rate: 1, max_vus: 1"


def plan(entry: str, expression: str = "big.id", executor: str = "constant-vus, vus: 1") -> str:
    return (
        f"data: {{ big: {{ {entry} }} }}\n"
        f"scenarios: {{ a: {{ executor: {executor}, duration: 1s, flow: [ "
        f'request: {{ get: "http://x/${{{expression}}}" }} ] }} }}\n'
    )


def test_a_corpus_is_known_by_what_the_plan_says_of_it(desk):
    entry = f"corpus: users-1, sha256: '{DIGEST}', columns: [id, name], rows: 7, mode: unique, format: csv"
    loaded = desk.load(plan(entry, executor=OPEN)).plan
    assert loaded.data["big"] == DataSet(
        corpus="users-1", sha256=DIGEST, columns=("id", "name"), rows=7, mode="unique"
    )
    assert loaded.data["big"].path == "corpora/users-1"
    assert loaded.corpora == {"users-1": DIGEST}
    assert loaded.files == ()
    assert Plan.from_json(loaded.canonical_json()) == loaded


def test_expressions_are_checked_against_the_columns_of_a_corpus(desk):
    (fault,) = desk.faults(plan(f"corpus: big, sha256: '{DIGEST}', columns: [id]", "big.name"))
    assert "name" in fault and "id" in fault


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (
            "corpus: big",
            [
                "data.big.sha256: the key 'sha256' is missing -> `loadr corpus PATH` prints the whole entry",
                "data.big.columns: the key 'columns' is missing -> write the header of the file; "
                "`loadr corpus PATH` prints the whole entry",
            ],
        ),
        (
            "corpus: ../big, sha256: ABC, columns: [id, id], mode: unique",
            [
                "data.big.corpus: must be the name of a corpus: letters, digits, _ and -, and is the text",
                "data.big.sha256: must be a SHA-256: 64 characters of lower-case hex, and is the text 'ABC'",
                "data.big.columns: must be a list of names, and is a list",
                "data.big.rows: unique rows of a corpus need their number",
            ],
        ),
        (
            f"corpus: big, sha256: '{DIGEST}', columns: [id], file: users.csv, rows: -1",
            [
                "data.big.file: unknown key 'file' -> a data set is a file or a corpus, not both",
                "data.big.rows: must be at least 0, and is -1",
            ],
        ),
        (
            f"corpus: big, sha256: '{DIGEST}', columns: [id], format: parquet",
            ["data.big.format: must be one of 'csv', and is the text 'parquet'"],
        ),
    ],
)
def test_all_faults_of_a_corpus_come_at_once(desk, entry, expected):
    found = [fault for fault in desk.faults(plan(entry)) if "data.big" in fault]
    assert len(found) == len(expected)
    assert [words for words in expected if not any(words in fault for fault in found)] == []


def test_one_corpus_has_one_digest(desk):
    entries = [
        f"{name}: {{ corpus: big, sha256: '{letter * 64}', columns: [id] }}" for name, letter in ("aa", "bb")
    ]
    (fault,) = desk.faults(f"data:\n  {entries[0]}\n  {entries[1]}\n{SMALL}")
    assert fault.startswith("3:") and "the corpus 'big' has another digest above" in fault
    same = entries[1].replace("b" * 64, "a" * 64)
    assert desk.load(f"data:\n  {entries[0]}\n  {same}\n{SMALL}").plan.corpora == {"big": "a" * 64}


def test_a_file_that_stands_where_a_corpus_will_be_is_refused(desk):
    desk.write("corpora/Big", "x")
    (fault,) = desk.faults(plan(f"corpus: big, sha256: '{DIGEST}', columns: [id]") + "include: [corpora/*]\n")
    assert "corpora/Big stands where corpora/big will be on agents -> rename it" in fault
    entries = f"a: {{ file: corpora/Big }}, big: {{ corpus: big, sha256: '{DIGEST}', columns: [id] }}"
    desk.write("corpora/Big", "id\n1\n")
    (fault,) = desk.faults(f"data: {{ {entries} }}\n{SMALL}")
    assert "data.big.corpus: corpora/Big stands where corpora/big will be on agents" in fault


def test_a_script_declares_a_corpus_as_a_plan_does(desk):
    script = (
        "from loadr import constant_vus, data, scenario\n"
        f"users = data.corpus('big-1', sha256='{DIGEST}', columns=['id'], rows=3)\n"
        "@scenario(constant_vus(1, 1))\nasync def a(vu): ...\n"
    )
    loaded = desk.load(script, "script.py").plan
    assert loaded.data == {"big_1": DataSet(corpus="big-1", sha256=DIGEST, columns=("id",), rows=3)}
    assert loaded.scenarios["a"].uses == ("big_1",)
    faults = desk.faults(script.replace(DIGEST, "0"), "script.py")
    assert "data.big_1.sha256: must be a SHA-256" in faults[0]
    entry = f"data: {{ big_1: {{ corpus: big-1, sha256: '{DIGEST}', columns: [id], rows: 3 }} }}\n"
    desk.write("script.py", script)
    desk.load(entry + "scenarios: { a: { script: script.py } }\n")
    (fault,) = desk.faults(entry.replace("rows: 3", "rows: 4") + "scenarios: { a: { script: script.py } }\n")
    assert "declares the data set 'big_1' in another way -> tell them apart: data.corpus(..., name=...)" in fault
