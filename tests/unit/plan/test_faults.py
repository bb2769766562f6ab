from __future__ import annotations

from loadr.errors import Fault
from loadr.plan.faults import FaultList, Place, Places, show_route


def make() -> FaultList:
    places = Places()
    places.declare((), Place("p.yaml", 1, 1))
    places.keys[("a",)] = Place("p.yaml", 2, 1)
    places.values[("a",)] = Place("p.yaml", 2, 4)
    places.declare(("b",), Place("s.py", 9, 1))
    return FaultList("p.yaml", places)


def test_a_fault_stands_at_its_value_or_at_its_key():
    faults = make()
    faults.add(("a",), "wrong", "hint")
    faults.add(("a",), "unknown", at_key=True)
    assert [str(fault) for fault in faults.sorted] == ["p.yaml:2:1: a: unknown", "p.yaml:2:4: a: wrong"]


def test_what_has_no_place_stands_at_the_key_of_what_is_around_it():
    faults = make()
    faults.add(("a", "missing"), "missing")
    faults.add(("c",), "missing")
    assert [str(fault) for fault in faults.sorted] == ["p.yaml:1:1: c: missing", "p.yaml:2:1: a.missing: missing"]


def test_the_plan_comes_first_and_other_files_after_it():
    faults = make()
    faults.add(("b", "x"), "wrong")
    faults.extend((Fault("a.csv", 3, 1, "", "ragged"), Fault("a.csv", 2, 1, "", "ragged")))
    faults.add(("a",), "wrong")
    assert [fault.file for fault in faults.sorted] == ["p.yaml", "a.csv", "a.csv", "s.py"]
    assert [fault.line for fault in faults.sorted] == [2, 2, 3, 9]
    assert len(faults) == 4


def test_without_any_place_the_file_alone_is_named():
    faults = FaultList("p.yaml", Places())
    faults.add(("a",), "wrong")
    assert [str(fault) for fault in faults.sorted] == ["p.yaml: a: wrong"]


def test_routes_are_shown_as_people_write_them():
    assert show_route(()) == ""
    assert (
        show_route(("scenarios", "browse", "flow", 0, "request", "get")) == "scenarios.browse.flow[0].request.get"
    )
    assert show_route(("check", "under 300 ms")) == 'check["under 300 ms"]'
    assert show_route(("thresholds", "http_reqs{name:items}", 1)) == "thresholds.http_reqs{name:items}[1]"
