"""The numbers of faults are those of the wire."""

from __future__ import annotations

from loadr.coordination.messages import FaultKind
from loadr.engine.faults import Fault


def test_every_fault_of_a_worker_has_its_name_and_number_on_the_wire() -> None:
    assert {fault.name: int(fault) for fault in Fault}.items() <= {
        kind.name: int(kind) for kind in FaultKind
    }.items()
