from __future__ import annotations

from loadr import errors
from loadr.errors import ExitCode, Fault, LoadrError, PeerRefused, PlanInvalid

CODES = {
    "LoadrError": 1,
    "UserFault": 104,
    "PlanInvalid": 104,
    "ArgumentInvalid": 104,
    "ScriptFault": 107,
    "FleetFault": 122,
    "Unreachable": 122,
    "PeerFault": 1,
    "PeerRefused": 1,
    "InternalFault": 1,
}


def test_every_error_has_its_exit_code_and_hangs_on_the_tree():
    kinds = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert {name: int(kind.exit_code) for name, kind in kinds.items()} == CODES
    assert all(issubclass(kind, LoadrError) for kind in kinds.values())


def test_exit_codes_are_those_of_the_manual():
    assert sorted(ExitCode) == [0, 1, 99, 104, 105, 107, 108, 120, 121, 122]


def test_the_tree_is_drawn_in_full():
    assert all(name in (errors.__doc__ or "") for name in CODES)


def test_an_error_carries_its_message_and_its_hint():
    error = LoadrError("it broke", hint="mend it")
    assert (str(error), error.message, error.hint) == ("it broke", "it broke", "mend it")


def test_a_fault_shows_its_place_as_far_as_it_is_known():
    assert str(Fault("p.yaml", 3, 7, "scenarios.a", "wrong")) == "p.yaml:3:7: scenarios.a: wrong"
    assert str(Fault("p.yaml", 3, 7, "", "wrong")) == "p.yaml:3:7: wrong"
    assert str(Fault("p.yaml", 0, 0, "", "wrong")) == "p.yaml: wrong"


def test_an_invalid_plan_counts_its_faults():
    fault = Fault("p.yaml", 1, 1, "", "wrong")
    assert str(PlanInvalid([fault])) == "the plan has 1 fault"
    assert str(PlanInvalid([fault, fault])) == "the plan has 2 faults"
    assert PlanInvalid([fault]).faults == (fault,)


def test_a_refusal_is_final_unless_it_says_otherwise():
    assert not PeerRefused("no").retry
    assert PeerRefused("not yet", retry=True).retry
