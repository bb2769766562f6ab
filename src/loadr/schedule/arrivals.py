"""Arrivals: which iteration of an open scenario happens when, in the whole fleet, and which of them are owned.

`Arrivals` gives the one fleet-wide sequence of (iteration, planned instant): it depends on plan and seed only, is
the same to the nanosecond on every machine, and knows no owners. `OwnedArrivals` is a worker's cursor over it: it
keeps what the worker's shares own, and takes new shares in mid-sequence.
Instants are ns after the run's start; both columns are ascending int64 arrays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadr.plan.model import OpenScenario
from loadr.schedule.change import Change
from loadr.schedule.course import course_of
from loadr.schedule.marks import CHUNK, Marks, PoissonMarks, UniformMarks
from loadr.schedule.ownership import slot_of, slot_offset, to_mask
from loadr.schedule.shape import IntArray
from loadr.schedule.share import ScenarioShare

Chunk = tuple[IntArray, IntArray]


class Arrivals:
    """All arrivals of one open scenario. ``limit`` cuts the sequence after that many (unique data that stops).

    Iteration k = 0, 1, … happens at Λ⁻¹(mark k+1), Λ being the integral of the rate over the run's timeline, as
    the plan and the ``changes`` of the run have it. Uniform: exactly ⌊∫rate⌋ of them.
    """

    def __init__(
        self,
        scenario: str,
        model: OpenScenario,
        seed: int,
        limit: int | None = None,
        changes: Iterable[Change] = (),
    ) -> None:
        self.scenario = scenario
        self.seed = seed
        self.course = course_of(scenario, model, changes)
        self.shape = self.course.shape
        self._model = model
        self._limit = limit
        total = self.shape.total()
        self._marks: Marks = (
            UniformMarks(total, limit)
            if model.arrivals == "uniform"
            else PoissonMarks(total, limit, seed, scenario)
        )

    def changed(self, changes: Iterable[Change]) -> Arrivals:
        """The arrivals under another list of changes: the same marks at other instants. What was found out about
        marks so far is kept."""
        other = Arrivals(self.scenario, self._model, self.seed, self._limit, changes)
        other._marks = self._marks.until(other.shape.total())
        return other

    def chunk(self, index: int) -> Chunk:
        """Iterations 4096·index … and their instants. Empty at and after the end; shorter only at the end."""
        marks = self._marks.chunk(index)
        first = index * CHUNK
        iterations = np.arange(first, first + len(marks), dtype=np.int64)
        return iterations, self.shape.inverse(marks)

    def count(self) -> int:
        """How many there are. Uniform: at once. Poisson: by walking, about 40 ns for each."""
        return self._marks.count()

    def instant(self, iteration: int) -> int:
        """When one iteration is planned; the end of the scenario if there is no such iteration."""
        index, place = divmod(iteration, CHUNK)
        instants = self.chunk(index)[1]
        return int(instants[place]) if place < len(instants) else self.course.end_run_ns

    def skip_to(self, run_ns: int) -> int:
        """A chunk before which everything is planned before ``run_ns``: the last such, or one earlier."""
        # One mark less: more than what the rounding of Λ and of instants can make wrong.
        return self._marks.chunk_at(self.shape.integral(run_ns) - 1.0)


@dataclass(frozen=True, slots=True)
class Era:
    """From ``from_run_ns`` and iteration ``from_iteration`` on, slot i is owned iff ``mask[i]``."""

    from_run_ns: int
    from_iteration: int
    mask: NDArray[np.bool_]


class OwnedArrivals:
    """A cursor over the arrivals that one owner's shares cover.

    When load moves in mid-run, a dispatcher that has dealt with everything up to iteration k does ::

        cursor.apply(share)
        cursor.rewind_to(k + 1)   # drop what was generated ahead, and take it again under the new share

    Iterations planned before the share's ``from_run_ns`` stay whose they were.
    """

    def __init__(self, arrivals: Arrivals, shares: Iterable[ScenarioShare] = ()) -> None:
        self._arrivals = arrivals
        self._offset = slot_offset(arrivals.seed, arrivals.scenario)
        self._eras: list[Era] = []
        self._first_chunk = 0  # nothing in an earlier one is owned
        self._next = 0  # the first iteration that was neither handed out nor passed over
        for share in shares:
            self.apply(share)

    def apply(self, share: ScenarioShare) -> None:
        """The share holds from its ``from_run_ns`` on; it replaces what was to hold from then on or later."""
        self._eras = [era for era in self._eras if era.from_run_ns < share.from_run_ns]
        self._eras.append(Era(share.from_run_ns, share.from_iteration, to_mask(share.slots)))
        if len(self._eras) == 1:
            self._first_chunk = self._arrivals.skip_to(share.from_run_ns)

    def follow(self, arrivals: Arrivals) -> None:
        """The same scenario under other changes. To be followed by `rewind_to`: what was made ahead has moved.

        Shares hold from the same instants as before; what lies before the changes' instants has not moved.
        """
        self._arrivals = arrivals
        if self._eras:
            self._first_chunk = min(self._first_chunk, arrivals.skip_to(self._eras[0].from_run_ns))

    def rewind_to(self, iteration: int) -> None:
        """`next_chunk` goes on with the first owned iteration ≥ ``iteration``."""
        self._next = iteration

    def next_chunk(self) -> Chunk | None:
        """The next owned arrivals, at least one and at most 4096; None when no more are owned.

        After None a later share may bring more: `apply`, `rewind_to`, and ask again.
        """
        if not self._eras:
            return None
        last = self._eras[-1]
        index = max(self._next // CHUNK, self._first_chunk)
        while True:
            iterations, instants = self._arrivals.chunk(index)
            reached = len(iterations) and instants[0] >= last.from_run_ns and iterations[0] >= last.from_iteration
            if not len(iterations) or (reached and not last.mask.any()):
                return None
            owned = self._owned(iterations, instants)
            index += 1
            self._next = index * CHUNK
            if owned.any():
                return iterations[owned], instants[owned]

    def _owned(self, iterations: IntArray, instants: IntArray) -> NDArray[np.bool_]:
        """Which of a chunk's arrivals are owned and not yet handed out."""
        owned = np.zeros(len(iterations), dtype=np.bool_)
        starts = np.maximum(
            np.searchsorted(instants, [era.from_run_ns for era in self._eras], side="left"),
            np.searchsorted(iterations, [era.from_iteration for era in self._eras], side="left"),
        ).tolist()
        for era, start in zip(self._eras, starts, strict=True):  # a later era replaces an earlier one
            owned[start:] = era.mask[slot_of(iterations[start:], self._offset, len(era.mask))]
        return owned & (iterations >= self._next)
