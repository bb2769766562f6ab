"""The worker's report, made at each boundary of a second of the run's timeline.

Takes the recorder and what the process says of itself; gives `WorkerSecond`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from loadr.engine.channel import SecondSlice, WorkerSecond
from loadr.engine.pending import NEVER_NS
from loadr.engine.recorder import Recorder, ScenarioRecorder
from loadr.engine.sparse import histogram_of
from loadr.metrics.histogram import Histogram
from loadr.units import NS_PER_S

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_STATM = Path("/proc/self/statm")


class Crew(Protocol):
    """VUs of one scenario: those that exist, and those that are in an iteration (open) or looping (closed)."""

    @property
    def vus(self) -> int: ...

    @property
    def active_vus(self) -> int: ...


class SecondReport:
    """``due_ns`` is the next boundary, `NEVER_NS` before `begin`."""

    def __init__(self, recorder: Recorder) -> None:
        self.due_ns = NEVER_NS
        self._recorder = recorder
        self._start_ns = 0
        self._last_ns = 0
        self._last_cpu_ns = 0
        self._loop_lag_ns = 0
        self._lag_ids: set[int] = set()

    def begin(self, start_ns: int, now_ns: int) -> None:
        """The timeline starts at ``start_ns``."""
        self._start_ns = start_ns
        self._last_ns = now_ns
        self._last_cpu_ns = time.process_time_ns()
        self._set_due(now_ns)

    def loop_was_late_by(self, late_ns: int) -> None:
        """The worst of a second is reported."""
        self._loop_lag_ns = max(self._loop_lag_ns, late_ns)

    def make(self, now_ns: int, crews: Iterable[tuple[ScenarioRecorder, Crew]], *, last: bool) -> WorkerSecond:
        """What has happened since the last report: whole seconds, or everything if it is the ``last``."""
        vus = 0
        for scenario, crew in crews:
            scenario.vus_active = crew.active_vus
            scenario.vus_max = crew.vus
            vus += crew.active_vus
        new_series, slices = self._recorder.take(self._start_ns, now_ns, whole=not last)
        self._lag_ids.update(new.id for new in new_series if new.metric == "iteration_lag")
        cpu_ns = time.process_time_ns()
        report = WorkerSecond(
            new_series=new_series,
            slices=slices,
            cpu_ns=cpu_ns - self._last_cpu_ns,
            wall_ns=now_ns - self._last_ns,
            loop_lag_ns=self._loop_lag_ns,
            lag_p99_ns=self._lag_p99_ns(slices),
            vus=vus,
            rss_bytes=int(_STATM.read_bytes().split()[1]) * _PAGE_BYTES,
        )
        self._last_ns, self._last_cpu_ns, self._loop_lag_ns = now_ns, cpu_ns, 0
        self._set_due(now_ns)
        return report

    def _set_due(self, now_ns: int) -> None:
        passed_s = max(now_ns - self._start_ns, 0) // NS_PER_S
        self.due_ns = self._start_ns + (passed_s + 1) * NS_PER_S

    def _lag_p99_ns(self, slices: Iterable[SecondSlice]) -> int:
        together = Histogram()
        for slice_ in slices:
            for trend in slice_.trends:
                if trend.series in self._lag_ids:
                    together.merge(histogram_of(trend))
        return together.quantile_ns(0.99) if together.count else 0
