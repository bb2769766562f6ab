"""What happened, appended while it happens and bucketed once a second.

Takes instants (CLOCK_BOOTTIME ns) of requests and iterations from one worker's VUs; gives, at `Recorder.take`,
the series and the slices per second of the run that the control channel carries.

On the hot path recording is one append of integers that exist already (`loadr.engine.rows`); a check is one
``+= 1``. Everything else (seconds, differences, histograms) is done for all of them at once in numpy, by
`loadr.engine.slices`.

What is recorded of a request (docs: honest load, R1 and R10):

- answered: duration (write → last byte), total (asking for a connection → last byte), phases; by status;
- failed after the write: the same under status "0", a censored value in its own series; no phases;
- failed before the write (no connection): only a total, because nothing was sent whose duration could be told;
- interrupted after the write: one of ``http_reqs`` (the target saw it) and one of ``http_req_errors``, but no
  duration, and neither passed nor failed; interrupted before the write: nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from loadr.engine.channel import NewSeries, SecondSlice
from loadr.engine.failures import INTERRUPTED
from loadr.engine.page import block_of, new_words
from loadr.engine.rows import Rows, Samples
from loadr.engine.slices import Slices
from loadr.masking import NO_SECRETS
from loadr.metrics.series import BUILT_IN
from loadr.units import NS_PER_S

MAX_SERIES_PER_WORKER = 2_000
OTHER = "other"
"""The name under which requests and checks are counted once there are too many different ones."""

_PER_STATUS = 5  # series of one request name with one status
_PHASES = (
    "http_req_blocked",
    "http_req_connecting",
    "http_req_tls_handshaking",
    "http_req_sending",
    "http_req_waiting",
    "http_req_receiving",
)

_NO_KEPT: Samples = np.empty((0, 4), np.int64)
_NO_OPENED: Samples = np.empty((0, 7), np.int64)
_NO_UNSENT: Samples = np.empty((0, 2), np.int64)

Append = Callable[[tuple[int, ...]], None]


class CheckCounter:
    """Add to these directly."""

    __slots__ = ("fails", "passes", "series_id")

    def __init__(self, series_id: int) -> None:
        self.passes = 0
        self.fails = 0
        self.series_id = series_id


class StatusRows:
    """Requests of one name with one status since the last take. A row ends with the instant of completion."""

    __slots__ = ("answered", "failed", "ids", "intended", "kept", "opened", "unsent")

    def __init__(self, ids: tuple[int, ...], *, answered: bool, failed: bool) -> None:
        self.ids = ids  # reqs, failed, duration, total, response_time
        self.answered = answered
        self.failed = failed
        self.kept = Rows(4)  # write, sent, first byte, end: on a connection that was there
        self.opened = Rows(7)  # blocked, connecting, tls, write, sent, first byte, end: on a new one
        self.unsent = Rows(2)  # begin, end: no connection
        self.intended = Rows(2)  # intended start, end


class RequestSeries:
    """Requests of one method and name in one scenario.

    ``kept[status]`` is the hot path's append of (write, sent, first byte, end); `rows` serves everything else.
    """

    __slots__ = ("_folded", "errors", "head_only", "interrupts", "kept", "method", "name", "rows_of", "scenario")

    def __init__(self, scenario: ScenarioRecorder, method: str, name: str, *, folded: bool) -> None:
        self.scenario = scenario
        self.method = method
        self.name = name
        self.head_only = method == "HEAD"
        self.kept: dict[int, Append] = {}
        self.rows_of: dict[int, StatusRows] = {}
        self.errors: dict[str, Rows] = {}
        self.interrupts = Rows(1)
        self._folded = folded

    def rows(self, status: int) -> StatusRows:
        """The rows of one status (0: no response)."""
        rows = self.rows_of.get(status)
        if rows is None:
            rows = self.rows_of[status] = self._new_rows(status)
            self.kept[status] = rows.kept.append
        return rows

    def error(self, kind: str, at_ns: int) -> None:
        """Count one failure of kind ``kind`` (see `loadr.engine.failures`)."""
        _count_kind(self.errors, kind, at_ns)

    def interrupted(self, at_ns: int) -> None:
        """Count a request that was written and then cut off with its iteration."""
        self.interrupts.append((at_ns,))
        self.error(INTERRUPTED, at_ns)

    def _new_rows(self, status: int) -> StatusRows:
        recorder = self.scenario.recorder
        if not self._folded and self.rows_of and not recorder.claim(_PER_STATUS):
            # Too many statuses of too many names: the folded series takes them, by class of status.
            return self.scenario.folded(self.method).rows(status)
        expected = 200 <= status < 400
        if self._folded and status:
            status_text = f"{status // 100}xx"
            for known, rows in self.rows_of.items():
                if known // 100 == status // 100:
                    return rows
        else:
            status_text = str(status)
        tags = {
            "scenario": self.scenario.name,
            "name": self.name,
            "method": self.method,
            "status": status_text,
            "expected_response": "true" if expected else "false",
        }
        names = ("http_reqs", "http_req_failed", "http_req_duration", "http_req_total", "http_req_response_time")
        ids = tuple(recorder.series_id(name, **tags) for name in names)
        return StatusRows(ids, answered=status != 0, failed=not expected)

    def drain(self, slices: Slices, phase_ids: tuple[int, ...]) -> None:
        """Hand all rows over."""
        for rows in self.rows_of.values():  # folded statuses share rows: those are empty the second time
            _drain_rows(rows, slices, phase_ids)
        recorder, scenario = self.scenario.recorder, self.scenario.name
        for kind, instants in self.errors.items():
            error_id = recorder.series_id("http_req_errors", scenario=scenario, name=self.name, error=kind)
            slices.count(error_id, instants)
        if INTERRUPTED in self.errors:
            slices.count(self.rows(0).ids[0], self.interrupts)

    def pack(self) -> None:
        """See `Rows.pack`."""
        for rows in self.rows_of.values():
            rows.kept.pack()
            rows.opened.pack()
            rows.unsent.pack()
            rows.intended.pack()


def _drain_rows(rows: StatusRows, slices: Slices, phase_ids: tuple[int, ...]) -> None:
    reqs_id, failed_id, duration_id, total_id, response_time_id = rows.ids
    all_kept = dict(slices.split(rows.kept))
    all_opened = dict(slices.split(rows.opened))
    all_unsent = dict(slices.split(rows.unsent))
    for second in all_kept.keys() | all_opened.keys() | all_unsent.keys():
        kept = all_kept.get(second, _NO_KEPT)
        opened = all_opened.get(second, _NO_OPENED)
        unsent = all_unsent.get(second, _NO_UNSENT)
        kept_ns, opened_ns = kept[:, 3] - kept[:, 0], opened[:, 6] - opened[:, 3]
        if len(opened) or len(unsent):
            slices.trend(second, kept_ns, duration_id)
            slices.trend(second, opened_ns, duration_id)
            slices.trend(second, kept_ns, total_id)
            slices.trend(second, opened_ns + opened[:, 0], total_id)
            slices.trend(second, unsent[:, 1] - unsent[:, 0], total_id)
        else:
            slices.trend(second, kept_ns, duration_id, total_id)  # nobody waited for a connection: they are equal
        requests = len(kept) + len(opened) + len(unsent)
        slices.add(second, reqs_id, requests)
        slices.rate(second, failed_id, *((requests, 0) if rows.failed else (0, requests)))
        if rows.answered:
            _drain_phases(second, kept, opened, slices, phase_ids)
    for second, intended in slices.split(rows.intended):
        slices.trend(second, intended[:, 1] - intended[:, 0], response_time_id)


def _drain_phases(
    second: int, kept: Samples, opened: Samples, slices: Slices, phase_ids: tuple[int, ...]
) -> None:
    for column, phase in enumerate(phase_ids[:3]):  # blocked, connecting, tls: 0 where it was there
        slices.zeros(second, len(kept), phase)
        slices.trend(second, opened[:, column], phase)
    for column, phase in enumerate(phase_ids[3:]):  # sending, waiting, receiving
        slices.trend(second, kept[:, column + 1] - kept[:, column], phase)
        slices.trend(second, opened[:, column + 4] - opened[:, column + 3], phase)


def _count_kind(errors: dict[str, Rows], kind: str, at_ns: int) -> None:
    rows = errors.get(kind)
    if rows is None:
        rows = errors[kind] = Rows(1)
    rows.append((at_ns,))


class ScenarioRecorder:
    """Everything of one scenario on one worker.

    ``counts`` is its block in the page, the ledger; what is recorded here is counted apart from it, so that one
    can be audited against the other.
    ``vus_active`` and ``vus_max`` are set by the dispatcher; ``bytes_sent`` and ``bytes_received`` count
    application bytes (heads and bodies, before TLS).
    """

    def __init__(self, recorder: Recorder, name: str, counts: memoryview[int]) -> None:
        self.recorder = recorder
        self.name = name
        self.counts = counts
        self.vus_active = 0
        self.vus_max = 0
        self.bytes_sent = 0
        self.bytes_received = 0
        self._vus_before = 0
        self._iterations = Rows(3)  # intended (0: closed), start, end
        self._dropped = Rows(2)  # n, at
        self._missed = Rows(2)
        self._interrupted = Rows(2)
        self._errors: dict[str, Rows] = {}
        self._requests: dict[tuple[str, str], RequestSeries] = {}
        self._folded: dict[str, RequestSeries] = {}
        self.checks: dict[str, CheckCounter] = {}
        self._phase_ids = tuple(recorder.series_id(phase, scenario=name) for phase in _PHASES)

    def request(self, method: str, name: str) -> RequestSeries:
        """The series of requests of this method (upper case) and name; cached, or folded into "other"."""
        series = self._requests.get((method, name))
        if series is None:
            name = self.recorder.mask(name)
            series = self._requests.get((method, name))
        if series is None:
            if not self.recorder.claim(_PER_STATUS):
                return self.folded(method)
            series = self._requests[method, name] = RequestSeries(self, method, name, folded=False)
        return series

    def folded(self, method: str) -> RequestSeries:
        """Where requests go once there are too many series."""
        self.recorder.folded += 1
        series = self._folded.get(method)
        if series is None:
            series = self._folded[method] = RequestSeries(self, method, OTHER, folded=True)
        return series

    def check(self, name: str) -> CheckCounter:
        """The counter of a check; cached, or folded into "other"."""
        counter = self.checks.get(name)
        if counter is None:
            name = self.recorder.mask(name)
            counter = self.checks.get(name)
        if counter is None:
            if not self.recorder.claim(1):
                self.recorder.folded += 1
                name = OTHER
                if name in self.checks:
                    return self.checks[name]
            series_id = self.recorder.series_id("checks", scenario=self.name, check=name)
            counter = self.checks[name] = CheckCounter(series_id)
        return counter

    def iteration_done(self, intended_ns: int, start_ns: int, end_ns: int) -> None:
        """A finished iteration. ``intended_ns`` is 0 in closed models."""
        self._iterations.append((intended_ns, start_ns, end_ns))

    def interrupted(self, at_ns: int) -> None:
        """An iteration was started and cut off."""
        self._interrupted.append((1, at_ns))

    def dropped(self, at_ns: int, n: int = 1) -> None:
        """Iterations that were planned and found no free VU."""
        self._dropped.append((n, at_ns))

    def missed(self, at_ns: int, n: int = 1) -> None:
        """Iterations that were planned at an instant when nobody could start them."""
        self._missed.append((n, at_ns))

    def error(self, kind: str, at_ns: int) -> None:
        """A fault that belongs to no request by name."""
        _count_kind(self._errors, kind, at_ns)

    def pack(self) -> None:
        """See `Rows.pack`."""
        for series in (*self._requests.values(), *self._folded.values()):
            series.pack()
        self._iterations.pack()

    def drain(self, slices: Slices) -> None:
        """Hand everything over."""
        recorder, name = self.recorder, self.name
        for series in (*self._requests.values(), *self._folded.values()):
            series.drain(slices, self._phase_ids)
        for kind, instants in self._errors.items():
            slices.count(recorder.series_id("http_req_errors", scenario=name, error=kind), instants)
        for second, rows in slices.split(self._iterations):
            slices.add(second, recorder.series_id("iterations", scenario=name), len(rows))
            slices.trend(second, rows[:, 2] - rows[:, 1], recorder.series_id("iteration_duration", scenario=name))
            lagged = rows[rows[:, 0] > 0]
            if len(lagged):
                lag_id = recorder.series_id("iteration_lag", scenario=name)
                slices.trend(second, lagged[:, 1] - lagged[:, 0], lag_id)
        for metric, counted in (
            ("dropped_iterations", self._dropped),
            ("missed_iterations", self._missed),
            ("interrupted_iterations", self._interrupted),
        ):
            for second, rows in slices.split(counted):
                slices.add(second, recorder.series_id(metric, scenario=name), int(rows[:, 0].sum()))
        self._drain_counters(slices)

    def _drain_counters(self, slices: Slices) -> None:
        """What has no instants belongs to the latest second that is given."""
        recorder, second = self.recorder, slices.latest
        for counter in self.checks.values():
            if counter.passes or counter.fails:
                slices.rate(second, counter.series_id, counter.passes, counter.fails)
                counter.passes = counter.fails = 0
        if self.bytes_sent:
            slices.add(second, recorder.series_id("data_sent", scenario=self.name), self.bytes_sent)
            self.bytes_sent = 0
        if self.bytes_received:
            slices.add(second, recorder.series_id("data_received", scenario=self.name), self.bytes_received)
            self.bytes_received = 0
        active, before = self.vus_active, self._vus_before
        if active or before:
            vus_id = recorder.series_id("vus", scenario=self.name)
            slices.gauge(second, vus_id, active, min(active, before), max(active, before))
        self._vus_before = active
        if self.vus_max:
            slices.gauge(second, recorder.series_id("vus_max", scenario=self.name), *(self.vus_max,) * 3)


class Recorder:
    """One worker's recorder, for the scenarios of one run, in the plan's order. ``words`` are those of the page;
    without them there is a page that nobody shares.

    At most ``max_series`` series come from names of requests and checks; over it they are counted under the name
    "other", and ``folded`` counts how often that was decided. ``mask`` takes secrets out of those names.
    """

    def __init__(
        self,
        scenarios: Sequence[str],
        words: memoryview[int] | None = None,
        *,
        max_series: int = MAX_SERIES_PER_WORKER,
        mask: Callable[[str], str] = NO_SECRETS.mask,
    ) -> None:
        words = new_words() if words is None else words
        self.folded = 0
        self.mask = mask
        self._left = max_series
        self._ids: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
        self._new: list[NewSeries] = []
        self._scenarios = {
            name: ScenarioRecorder(self, name, block_of(words, index)) for index, name in enumerate(scenarios)
        }

    def scenario(self, name: str) -> ScenarioRecorder:
        """`KeyError` for a name that was not given at the start."""
        return self._scenarios[name]

    def take(
        self, start_boot_ns: int, now_boot_ns: int, *, whole: bool
    ) -> tuple[list[NewSeries], list[SecondSlice]]:
        """What was recorded since the last take, by second of completion since ``start_boot_ns``, ascending.

        ``whole``: only seconds that have ended by ``now_boot_ns``; the rest stays for the next take, so that a
        second is given once. Without it everything is given, and nothing stays: the last take of a run.
        What completed before the start (it should not) counts into second 0.
        """
        current = max((now_boot_ns - start_boot_ns) // NS_PER_S, 0)
        if whole and current == 0:
            return [], []
        slices = Slices(start_boot_ns, latest=current - 1 if whole else current, hold_later=whole)
        for scenario in self._scenarios.values():
            scenario.drain(slices)
        new, self._new = self._new, []
        return new, slices.encode()

    def pack(self) -> None:
        """A part of the next take's work, to be called often: so a take does not stop the loop for long."""
        for scenario in self._scenarios.values():
            scenario.pack()

    def claim(self, series: int) -> bool:
        """Whether there is room for so many more series; if so they are taken."""
        if self._left < series:
            return False
        self._left -= series
        return True

    def series_id(self, metric: str, **tags: str) -> int:
        """The id of a series on the channel; a new one is announced by the next take."""
        key = (metric, tuple(sorted(tags.items())))
        found = self._ids.get(key)
        if found is None:
            found = self._ids[key] = len(self._ids)
            self._new.append(NewSeries(found, metric, int(BUILT_IN[metric]), list(key[1])))
        return found
