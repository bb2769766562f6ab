"""Which row belongs to which iteration."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadr.engine.corpus import CorpusInvalid
from loadr.engine.feeders import Row, feeders_of, read_data
from loadr.engine.fleet_values import FleetValues
from loadr.engine.stock import Shelf, Stock
from loadr.errors import PlanInvalid
from loadr.plan.data import Rows
from loadr.plan.model import Plan


def plan_of(mode: str, on_end: str = "stop", scenarios: int = 1, seed: int = 0) -> Plan:
    body = {
        "executor": "constant-arrival-rate",
        "rate": 1,
        "duration": "1s",
        "max_vus": 1,
        "flow": [],
        "uses": ["users"],
    }
    return Plan.model_validate(
        {
            "seed": seed,
            "data": {"users": {"file": "users.csv", "mode": mode, "on_end": on_end, "rows": 7}},
            "scenarios": {f"s{i}": body for i in range(scenarios)},
        }
    )


def rows(count: int) -> Rows:
    return Rows(("name", "city"), [(f"n{i}", f"c{i}") for i in range(count)])


@given(scenarios=st.integers(1, 4), count=st.integers(1, 40))
def test_no_unique_row_is_given_twice_and_none_is_left_out(scenarios: int, count: int) -> None:
    plan = plan_of("unique", scenarios=scenarios)
    given_rows: list[str] = []
    for place in range(scenarios):
        feeder = feeders_of(plan, f"s{place}", {"users": rows(count)})["users"]
        given_rows += [feeder.pick(0, k)[0] for k in range(-(-(count - place) // scenarios))]
    assert sorted(given_rows) == sorted(f"n{i}" for i in range(count))


def test_rows_that_recycle_begin_again() -> None:
    feeder = feeders_of(plan_of("unique", "recycle"), "s0", {"users": rows(3)})["users"]
    assert [feeder.pick(0, k)[0] for k in range(7)] == ["n0", "n1", "n2", "n0", "n1", "n2", "n0"]


def test_random_rows_depend_on_the_iteration_only_and_are_spread_evenly() -> None:
    feeder = feeders_of(plan_of("random", seed=3), "s0", {"users": rows(10)})["users"]
    again = feeders_of(plan_of("random", seed=3), "s0", {"users": rows(10)})["users"]
    drawn = [feeder.pick(0, k) for k in range(5_000)]
    assert drawn == [again.pick(0, k) for k in range(5_000)]
    counts = Counter(row[0] for row in drawn)
    assert sum((counts[f"n{i}"] - 500) ** 2 / 500 for i in range(10)) < 27.9  # 0.1 % of chi², 9 degrees
    other_seed = feeders_of(plan_of("random", seed=4), "s0", {"users": rows(10)})["users"]
    assert drawn != [other_seed.pick(0, k) for k in range(5_000)]


def test_random_rows_of_closed_models_differ_from_vu_to_vu() -> None:
    feeder = feeders_of(plan_of("random"), "s0", {"users": rows(1_000)})["users"]
    assert [feeder.pick(1, k) for k in range(5)] != [feeder.pick(2, k) for k in range(5)]


def test_a_row_is_read_by_name_in_either_way() -> None:
    feeder = feeders_of(plan_of("unique"), "s0", {"users": rows(2)})["users"]
    row = feeder(0, 1)
    assert row["name"] == row.name == "n1"
    assert row == {"name": "n1", "city": "c1"}
    with pytest.raises(AttributeError, match="no column 'age'; it has name, city"):
        _ = row.age


def test_a_column_named_like_a_method_is_read_in_brackets() -> None:
    assert Row({"items": "7"})["items"] == "7"


def test_only_files_that_are_used_are_read_and_each_once(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("name\nann\n")
    base = plan_of("random", scenarios=2).model_dump()
    data = base["data"]["users"]
    base["data"] = {"users": data, "same": data, "unused": {**data, "file": "absent.csv"}}
    for scenario in base["scenarios"].values():
        scenario["uses"] = ("users", "same")
    read = read_data(Plan.model_construct(**Plan.model_validate(base).__dict__), tmp_path)
    assert read.keys() == {"users", "same"}
    assert read["users"] is read["same"]


def test_a_broken_file_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("name,city\nann\n")
    with pytest.raises(PlanInvalid) as caught:
        read_data(plan_of("random"), tmp_path)
    assert caught.value.faults[0].line == 2


def corpus_plan(**changes: object) -> Plan:
    base = plan_of("random", scenarios=2).model_dump()
    corpus = {"corpus": "big", "sha256": "a" * 64, "columns": ("name", "city"), **changes}
    base["data"] = {"users": corpus, "same": corpus}
    for scenario in base["scenarios"].values():
        scenario["uses"] = ("users", "same")
    return Plan.model_validate(base)


def test_a_corpus_is_read_in_its_place_once(tmp_path: Path) -> None:
    (tmp_path / "corpora").mkdir()
    (tmp_path / "corpora" / "big").write_text("name,city\nann,ulm\nbob,rom\n")
    read = read_data(corpus_plan(rows=2), tmp_path)
    assert read["users"] is read["same"]
    assert feeders_of(corpus_plan(), "s0", read)["users"].columns == ("name", "city")
    assert read["users"][1] == ("bob", "rom")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rows": 3}, "corpora/big has 2 rows, and the plan says 3"),
        ({"columns": ("name",)}, "corpora/big has the columns name, city, and the plan says name"),
    ],
)
def test_a_corpus_is_held_to_what_the_plan_says(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    (tmp_path / "corpora").mkdir()
    (tmp_path / "corpora" / "big").write_text("name,city\nann,ulm\nbob,rom\n")
    with pytest.raises(CorpusInvalid, match=words):
        read_data(corpus_plan(**changes), tmp_path)


def test_a_granted_row_is_that_of_the_vu_and_wraps() -> None:
    shelf = Shelf(Stock("users", FleetValues(), lambda: 0))
    shelf.current = {1: 2, 2: 8}
    feeder = feeders_of(plan_of("unique", "recycle"), "s0", {"users": rows(7)}, {"users": shelf})["users"]
    assert [feeder.pick(vu, 99)[0] for vu in (1, 2)] == ["n2", "n1"]
