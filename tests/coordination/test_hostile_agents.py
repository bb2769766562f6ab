"""Agents that lie: what they send is refused whole, counted, and after three faults they are kept out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from loadr.coordination import agent_io, controller_io
from loadr.coordination.controller_io import RunState
from loadr.coordination.messages import (
    AgentBeat,
    Armed,
    FileRequest,
    ManifestFile,
    Metrics,
    Prepared,
    Refused,
    Register,
    RunEvent,
    RunEventKind,
    RunHealth,
    SeriesEntry,
    WireCounter,
    WireGauge,
    WireInterval,
    WireRate,
    WireTrend,
)
from loadr.coordination.views import AgentState, ParticipantState
from loadr.metrics.series import Kind
from support.conversation import Conversation, S, ledger, plan

FILE = ManifestFile("a.csv", 100_000, "a" * 64)
REQUESTS = SeriesEntry(1, "http_reqs", Kind.COUNTER, (("scenario", "s"),))
DURATION = SeriesEntry(2, "http_req_duration", Kind.TREND, ())


class Liar:
    """An agent written by hand, in a run with an honest one."""

    def __init__(self) -> None:
        self.talk = Conversation("honest")
        self.link = 666
        self.seq = 0
        self.tell_link(controller_io.LinkOpened(self.link, "10.0.0.9:1", (), loopback=True))
        self.say(Register(1, 1, "liar", "liar", "liar/1", "1.0", 1, 1, 1))
        self.beat = 0
        self.say(AgentBeat(1, self.talk.now))
        self.talk.submit(plan(scenario={"duration": "60s"}), files=(FILE,), expect=2)
        self.say(Prepared("run", 1))
        self.say(Armed("run", 1))
        self.talk.start()
        self.talk.after(2)

    def tell_link(self, event: Any) -> None:
        self.talk.tell(event)

    def say(self, message: Any) -> None:
        self.talk.tell(controller_io.Received(self.link, message))

    def batch(self, *deltas: Any, entries: tuple[SeriesEntry, ...] = (), t0_s: int = 0, t1_s: int = 1) -> None:
        self.seq += 1
        self.say(Metrics("run", 1, self.seq, entries, (WireInterval(t0_s, t1_s, deltas),)))

    @property
    def is_closed(self) -> bool:
        return any(closed.link == self.link for closed in self.talk.of(controller_io.CloseLink))

    @property
    def part(self) -> Any:
        return self.talk.run.agents["liar"]

    @property
    def merged(self) -> list[Any]:
        return [merge for merge in self.talk.of(controller_io.Merge) if merge.part == "liar"]


BAD_BATCHES = {
    "a series that was never named": ((), WireCounter(9, 1)),
    "a kind that does not match": ((REQUESTS,), WireRate(1, 1, 1)),
    "a negative count": ((REQUESTS,), WireCounter(1, -1)),
    "a count beyond reason": ((REQUESTS,), WireCounter(1, 2**62)),
    "garbage for a histogram": ((DURATION,), WireTrend(2, b"garbage", 1, 1, 1, 1, 0)),
    "an unknown kind": ((replace(REQUESTS, kind=99),), WireCounter(1, 1)),
    "a built-in metric of another kind": ((replace(REQUESTS, kind=Kind.TREND),), WireCounter(1, 1)),
    "too many tags": ((replace(REQUESTS, tags=tuple((str(n), "") for n in range(99))),), WireCounter(1, 1)),
    "a tag twice": ((replace(REQUESTS, tags=(("a", "1"), ("a", "2"))),), WireCounter(1, 1)),
    "a tag as long as a book": ((replace(REQUESTS, tags=(("a", "x" * 9999),)),), WireCounter(1, 1)),
    "a metric without a name": ((replace(REQUESTS, metric=""),), WireCounter(1, 1)),
    "a gauge outside of itself": ((SeriesEntry(3, "vus", Kind.GAUGE, ()),), WireGauge(3, 9, 1, 2)),
}


@pytest.mark.parametrize("what", BAD_BATCHES)
def test_a_bad_batch_is_rejected_whole_consumed_and_named(what: str) -> None:
    entries, delta = BAD_BATCHES[what]
    liar = Liar()
    liar.batch(delta, entries=entries)
    assert not liar.merged and liar.part.acked_seq == 1 and liar.part.rejected_batches == 1
    assert not liar.is_closed
    (note,) = liar.talk.run.notes
    assert note.startswith("a batch of agent liar was rejected: ")
    liar.seq += 1
    liar.say(RunEvent("run", 1, liar.seq, RunEventKind.FINISHED, ledgers=(ledger(0),)))
    liar.talk["honest"].finish(0)
    assert liar.talk.run.state is RunState.INCOMPLETE
    assert liar.talk.run.cause == note


@pytest.mark.parametrize(("t0_s", "t1_s"), [(-1, 0), (1, 1), (2, 1), (0, 10**9), (10**9, 10**9 + 1)])
def test_an_absurd_interval_is_rejected(t0_s: int, t1_s: int) -> None:
    liar = Liar()
    liar.batch(WireCounter(1, 1), entries=(REQUESTS,), t0_s=t0_s, t1_s=t1_s)
    assert not liar.merged and liar.part.rejected_batches == 1


def test_names_of_a_rejected_batch_stay_known_so_that_one_fault_is_one_fault() -> None:
    liar = Liar()
    liar.batch(WireCounter(1, -1), entries=(REQUESTS,))
    liar.batch(WireCounter(1, 5))
    assert len(liar.merged) == 1 and liar.part.rejected_batches == 1


def test_a_million_series_end_at_the_cap() -> None:
    liar = Liar()
    for block in range(3):
        entries = tuple(
            SeriesEntry(block * 9000 + n, "http_reqs", Kind.COUNTER, (("n", str(block * 9000 + n)),))
            for n in range(9000)
        )
        liar.batch(entries=entries)
    assert liar.part.rejected_batches == 1
    assert "more than 20000 series" in liar.talk.run.notes[0]


def test_three_faults_and_the_agent_is_quarantined_by_name() -> None:
    liar = Liar()
    for _ in range(3):
        liar.batch(WireCounter(9, 1))
    assert liar.is_closed
    assert liar.talk.controller.agents["liar"].state is AgentState.LOST
    assert liar.part.state is ParticipantState.LOST and "quarantined" in liar.part.lost_because
    assert not liar.talk["honest"].of(agent_io.StopEngine)
    liar.link += 1
    liar.tell_link(controller_io.LinkOpened(liar.link, "10.0.0.9:1", (), loopback=True))
    liar.say(Register(1, 1, "liar", "liar", "liar/2", "1.0", 1, 1, 1))
    (refused,) = liar.talk.said(Refused)
    assert "quarantined" in refused.reason and refused.retry


def test_a_quarantine_ends() -> None:
    liar = Liar()
    for _ in range(3):
        liar.batch(WireCounter(9, 1))
    liar.talk.after(301)
    liar.link += 1
    liar.tell_link(controller_io.LinkOpened(liar.link, "10.0.0.9:1", (), loopback=True))
    liar.say(Register(1, 1, "liar", "liar", "liar/2", "1.0", 1, 1, 1))
    assert liar.talk.controller.agents["liar"].incarnation == "liar/2"


@pytest.mark.parametrize("seq", [2, 2**63 - 1])
def test_a_gap_closes_the_link_and_nothing_is_merged(seq: int) -> None:
    liar = Liar()
    liar.say(Metrics("run", 1, seq, (REQUESTS,), (WireInterval(0, 1, (WireCounter(1, 1),)),)))
    assert liar.is_closed and not liar.merged and liar.part.acked_seq == 0


def test_a_repeated_batch_is_dropped() -> None:
    liar = Liar()
    liar.batch(WireCounter(1, 5), entries=(REQUESTS,))
    liar.seq = 0
    liar.batch(WireCounter(1, 500))
    assert len(liar.merged) == 1 and not liar.is_closed


OTHERS = [
    Prepared("other", 1),
    Metrics("other", 1, 1, (), ()),
    RunEvent("other", 1, 1, RunEventKind.FINISHED),
    FileRequest("other", "a" * 64, 0, 10),
    Metrics("run", 7, 1, (), ()),
    FileRequest("run", "b" * 64, 0, 10),
    FileRequest("run", "a" * 64, -1, 10),
    FileRequest("run", "a" * 64, 0, 2**40),
    FileRequest("run", "a" * 64, 99_999, 10),
    Register(1, 1, "liar", "liar", "liar/1", "1.0", 1, 1, 1),
]


@pytest.mark.parametrize("message", OTHERS, ids=lambda m: type(m).__name__)
def test_what_it_has_no_part_in_is_denied_and_the_link_closed(message: Any) -> None:
    liar = Liar()
    liar.say(message)
    assert liar.is_closed and not liar.merged and not liar.talk.of(controller_io.SendFile)
    assert liar.talk.run.agents["honest"].state is not ParticipantState.LOST


def test_a_batch_before_the_load_began_is_a_fault() -> None:
    talk = Conversation()
    web = talk.join("web", engine=False)
    talk.submit()
    first = web.link
    talk.tell(controller_io.Received(first, Metrics("run", 1, 1, (), ())))
    assert [closed.link for closed in talk.of(controller_io.CloseLink)] == [first]


@pytest.mark.parametrize("message", [AgentBeat(1, 0), Prepared("run", 1), Metrics("run", 1, 1, (), ())])
def test_whoever_speaks_before_it_registers_is_closed(message: Any) -> None:
    talk = Conversation("honest")
    talk.tell(controller_io.LinkOpened(9, "10.0.0.9:1", (), loopback=False))
    talk.tell(controller_io.Received(9, message))
    assert [closed.link for closed in talk.of(controller_io.CloseLink)] == [9]


BAD_REGISTRATIONS = {
    "no name": {"agent_id": ""},
    "no incarnation": {"incarnation": ""},
    "no workers": {"weight": 0},
    "a million workers": {"weight": 10**6},
    "a thousand labels": {"labels": {str(n): "" for n in range(1000)}},
    "a label as long as a book": {"labels": {"a": "x" * 9999}},
}


@pytest.mark.parametrize("what", BAD_REGISTRATIONS)
def test_a_registration_beyond_reason_is_refused(what: str) -> None:
    talk = Conversation()
    good = Register(1, 1, "a", "a", "a/1", "1.0", 1, 1, 1)
    talk.tell(controller_io.LinkOpened(9, "10.0.0.9:1", (), loopback=False))
    talk.tell(controller_io.Received(9, replace(good, **BAD_REGISTRATIONS[what])))  # type: ignore[arg-type]
    (refused,) = talk.said(Refused)
    assert refused.reason and refused.hint and not refused.retry
    assert not talk.controller.agents


def test_a_lease_is_not_granted_for_a_run_that_the_agent_only_claims() -> None:
    liar = Liar()
    before = len(liar.talk.did)
    runs = (RunHealth("other", 1, 5, 1, 0), RunHealth("run", 9, 5, 1, 0))  # type: ignore[arg-type]
    liar.say(AgentBeat(2, liar.talk.now, 1, 0, 0, runs))
    answers = [done.message for done in liar.talk.did[before:] if isinstance(done, controller_io.Send)]
    assert answers and not any(answer.grants for answer in answers)


def test_thousands_of_links_that_never_register_are_bounded() -> None:
    talk = Conversation()
    for link in range(1, 1102):
        talk.tell(controller_io.LinkOpened(link, "10.0.0.9:1", (), loopback=False))
    assert len(talk.of(controller_io.CloseLink)) == 101
    talk.to(talk.now + 6 * S)
    assert len(talk.of(controller_io.CloseLink)) == 1101
