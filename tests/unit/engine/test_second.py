"""The report of a second."""

from __future__ import annotations

from dataclasses import dataclass

from loadr.engine.channel import WorkerSecond
from loadr.engine.pending import NEVER_NS
from loadr.engine.recorder import Recorder
from loadr.engine.second import SecondReport
from loadr.units import NS_PER_MS, NS_PER_S

START_NS = 500 * NS_PER_S


@dataclass
class Vus:
    vus: int
    active_vus: int


def at(run_s: float) -> int:
    return START_NS + round(run_s * NS_PER_S)


def values(report: WorkerSecond, recorder_names: dict[int, str]) -> dict[str, int]:
    return {recorder_names[id_]: total for one in report.slices for id_, total in one.counters}


def test_it_is_due_at_each_boundary_of_the_timeline_and_never_before_the_start() -> None:
    report = SecondReport(Recorder([]))
    assert report.due_ns == NEVER_NS
    report.begin(START_NS, at(0.02))
    assert report.due_ns == at(1)
    report.make(at(1.003), [], last=False)
    assert report.due_ns == at(2)
    report.make(at(5.5), [], last=False)  # it was frozen: boundaries that passed are not made up for
    assert report.due_ns == at(6)


def test_whole_seconds_are_given_and_the_last_report_gives_the_rest() -> None:
    recorder = Recorder(["browse"])
    scenario = recorder.scenario("browse")
    report = SecondReport(recorder)
    report.begin(START_NS, START_NS)
    for run_s in (0.5, 0.9, 1.001):
        scenario.iteration_done(0, at(0.1), at(run_s))
    first = report.make(at(1.002), [(scenario, Vus(3, 1))], last=False)
    assert [one.second for one in first.slices] == [0]
    iterations = next(new.id for new in first.new_series if new.metric == "iterations")
    assert dict(first.slices[0].counters)[iterations] == 2
    last = report.make(at(1.2), [(scenario, Vus(3, 0))], last=True)
    assert dict(last.slices[0].counters)[iterations] == 1
    assert last.new_series == []


def test_vus_are_a_gauge_and_a_sum() -> None:
    recorder = Recorder(["a", "b"])
    report = SecondReport(recorder)
    report.begin(START_NS, START_NS)
    crews = [(recorder.scenario("a"), Vus(3, 1)), (recorder.scenario("b"), Vus(4, 4))]
    made = report.make(at(1.001), crews, last=False)
    names = {new.id: (new.metric, dict(new.tags)["scenario"]) for new in made.new_series}
    gauges = {names[id_]: last for one in made.slices for id_, last, _, _ in one.gauges}
    assert gauges == {("vus", "a"): 1, ("vus_max", "a"): 3, ("vus", "b"): 4, ("vus_max", "b"): 4}
    assert made.vus == 5


def test_the_worst_lateness_of_the_loop_is_told_once() -> None:
    report = SecondReport(Recorder([]))
    report.begin(START_NS, START_NS)
    for late_ms in (1, 7, 3, -2):
        report.loop_was_late_by(late_ms * NS_PER_MS)
    assert report.make(at(1), [], last=False).loop_lag_ns == 7 * NS_PER_MS
    assert report.make(at(2), [], last=False).loop_lag_ns == 0


def test_the_lag_of_all_open_scenarios_counts_together() -> None:
    recorder = Recorder(["a", "b", "closed"])
    report = SecondReport(recorder)
    report.begin(START_NS, START_NS)
    for number in range(90):
        recorder.scenario("a").iteration_done(at(0.1), at(0.1) + 1_000 + number, at(0.2))
    for _ in range(10):
        recorder.scenario("b").iteration_done(at(0.1), at(0.1) + 5 * NS_PER_MS, at(0.2))
    recorder.scenario("closed").iteration_done(0, at(0.1), at(0.9))
    made = report.make(at(1), [], last=False)
    assert abs(made.lag_p99_ns - 5 * NS_PER_MS) <= 5 * NS_PER_MS // 1000
    assert report.make(at(2), [], last=False).lag_p99_ns == 0


def test_the_process_says_what_it_used() -> None:
    report = SecondReport(Recorder([]))
    report.begin(START_NS, START_NS)
    while not (made := report.make(at(1), [], last=False)).cpu_ns:
        pass  # the clock of a process may be coarse
    assert made.rss_bytes > 1_000_000
    report.begin(START_NS, START_NS)
    assert report.make(at(1.5), [], last=False).wall_ns == 1_500 * NS_PER_MS
