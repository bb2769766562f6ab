"""Whole conversations between the two cores: what each says, in which order, and what becomes of the run."""

from __future__ import annotations

from itertools import pairwise

from loadr.coordination import agent_io, controller_io
from loadr.coordination.controller_io import Refusal, RunState, StoppedBy
from loadr.coordination.messages import (
    Armed,
    Assignment,
    Desired,
    FaultKind,
    FileChunk,
    FileRequest,
    Goodbye,
    Ledger,
    ManifestFile,
    Metrics,
    Prepared,
    Refused,
    Registered,
    RunEvent,
    RunEventKind,
    RunPhase,
)
from loadr.coordination.views import AgentState, ParticipantState
from loadr.errors import ExitCode
from support.conversation import MS, Conversation, S, plan


def running(*agents: str, **changes: object) -> Conversation:
    """A conversation whose run has just begun."""
    talk = Conversation(*(agents or ("web",)))
    talk.submit(plan(**changes), expect=len(agents))
    talk.start()
    return talk


def complete(talk: Conversation, requests: int = 50) -> None:
    """Every agent does its part and ends."""
    for number in range(5):
        talk.to(talk.run.start_controller_ns + (number + 1) * S)
        for agent in talk.agents.values():
            agent.report(number, requests // 5)
    for agent in talk.agents.values():
        agent.finish(requests)


# --- the way it should be -------------------------------------------------------------------------------------


def test_a_run_goes_from_registration_to_complete() -> None:
    talk = running()
    complete(talk)
    assert talk.run.state is RunState.COMPLETE
    assert [type(m).__name__ for m in talk.said(Registered | Assignment | Desired)] == [  # type: ignore[arg-type]
        "Registered",
        "Assignment",
        "Desired",
        "Desired",
        "Desired",
    ]
    assert [m.phase for m in talk.said(Desired)] == [RunPhase.ARMED, RunPhase.RUNNING, RunPhase.NONE]
    assert [m.revision for m in talk.said(Desired)] == [1, 2, 3]
    assert talk["web"].of(agent_io.ForgetRun) and not talk["web"].core.runs
    part = talk.run.agents["web"]
    assert (part.state, part.share, part.start_error_ns, part.last_merged_s) == (
        ParticipantState.FINISHED,
        1.0,
        5,
        5,
    )


def test_states_of_a_run_are_told_in_order() -> None:
    talk = running()
    complete(talk)
    states = [change.state.value for change in talk.of(controller_io.RunChanged)]
    assert states == ["draft", "preparing", "arming", "committed", "running", "stopping", "complete"]
    assert [ended.state for ended in talk.of(controller_io.RunEnded)] == [RunState.COMPLETE]


def test_a_run_waits_for_the_agents_that_it_needs_and_takes_all_that_are_there() -> None:
    talk = Conversation("a")
    talk.submit(expect=2)
    assert talk.run.state is RunState.DRAFT
    talk.join("b")
    assert set(talk.run.agents) == {"a", "b"}
    assert [part.share for part in talk.run.agents.values()] == [0.5, 0.5]


def test_a_run_whose_agents_do_not_come_fails_in_words() -> None:
    talk = Conversation("a")
    talk.submit(expect=2)
    talk.after(31)
    assert talk.run.state is RunState.FAILED
    assert talk.run.cause == "2 agents are needed, and 1 is online"


def test_a_second_run_is_refused_as_busy() -> None:
    talk = running()
    talk.submit(run_id="other")
    (refused,) = talk.of(controller_io.RunRefused)
    assert (refused.run_id, refused.refusal) == ("other", Refusal.BUSY)
    assert talk.controller.run("other") is None


def test_the_next_run_may_begin_when_the_first_is_over() -> None:
    talk = running()
    complete(talk)
    talk.submit(run_id="other")
    assert not talk.of(controller_io.RunRefused)
    assert talk.controller.current_run is not None and talk.controller.current_run.run_id == "other"


def test_the_barrier_is_short_when_all_are_on_this_machine() -> None:
    talk = Conversation("web")
    talk.submit()
    assert talk.run.start_controller_ns == talk.now + 200 * MS
    assert talk.run.start_unix_ms == 1_700_000_000_200
    assert talk["web"].start_ns == talk.now + 200 * MS


def test_a_lease_is_granted_before_the_start() -> None:
    talk = Conversation("web")
    talk.submit()
    web = talk["web"]
    kinds = [type(done) for done in web.did]
    assert kinds.index(agent_io.SetLease) < kinds.index(agent_io.StartEngine)
    assert web.of(agent_io.SetLease)[-1].end_mono_ns == talk.now + 10 * S


def test_small_files_travel_inline_and_large_ones_in_pieces_that_were_asked_for() -> None:
    talk = Conversation()
    web = talk.join("web", engine=False)
    small = ManifestFile("a.csv", 3, "a" * 64, b"abc")
    large = ManifestFile("b.csv", 300 * 1024, "b" * 64)
    talk.submit(files=(small, large))
    (opened,) = web.of(agent_io.OpenSandbox)
    assert [file.inline for file in opened.files] == [b"abc", None]
    web.feed(agent_io.SandboxMissing("run", 1, (large,)))
    stored = 0
    while stored < large.size_bytes:
        asked = [(r.offset, r.length) for r in web.sent(FileRequest)]
        assert sum(length for _, length in asked) - stored <= 256 * 1024, "more is under way than a window"
        data = bytes(min(64 * 1024, large.size_bytes - stored))
        web.feed(agent_io.Received(FileChunk("run", large.digest, stored, data)))
        assert web.of(agent_io.StoreChunk)[-1].chunk.offset == stored
        stored += len(data)
        web.feed(agent_io.ChunkStored("run", large.digest, stored, stored == large.size_bytes))
    assert sum(r.length for r in web.sent(FileRequest)) == large.size_bytes
    assert [e.request for e in talk.of(controller_io.SendFile)] == web.sent(FileRequest)
    assert len(web.of(agent_io.OpenSandbox)) == 2
    web.feed(agent_io.SandboxReady("run", 1))
    assert web.of(agent_io.PrepareEngine)


def test_a_transfer_goes_on_where_it_was_when_the_stream_breaks() -> None:
    talk = Conversation()
    web = talk.join("web", engine=False)
    large = ManifestFile("b.csv", 300 * 1024, "b" * 64)
    talk.submit(files=(large,))
    web.feed(agent_io.SandboxMissing("run", 1, (large,)))
    web.feed(agent_io.Received(FileChunk("run", large.digest, 0, bytes(65536))))
    web.cut()
    assert web.sent(FileRequest)[-1].offset == 65536


# --- before the start -----------------------------------------------------------------------------------------


def test_one_agent_that_can_not_prepare_fails_the_run_with_its_words_and_releases_the_others() -> None:
    talk = Conversation("a")
    bad = talk.join("b", engine=False)
    talk.submit(expect=2)
    bad.feed(agent_io.SandboxReady("run", 1))
    bad.feed(agent_io.EnginePrepared("run", 1, FaultKind.SCRIPT, "shop.py:3: no module named foo"))
    assert talk.run.state is RunState.FAILED
    assert talk.run.cause == "agent b could not prepare: shop.py:3: no module named foo"
    assert not talk["a"].core.runs and not bad.core.runs


def test_a_full_disk_is_the_agents_word_too() -> None:
    talk = Conversation()
    web = talk.join("web", engine=False)
    talk.submit()
    web.feed(agent_io.SandboxFailed("run", 1, FaultKind.DISK, "no space left on device"))
    assert talk.run.cause == "agent web could not prepare: no space left on device"
    assert web.sent(Prepared)[0].fault is FaultKind.DISK


def test_an_agent_that_can_not_arm_fails_the_run() -> None:
    talk = Conversation()
    web = talk.join("web", engine=False)
    talk.submit()
    web.feed(agent_io.SandboxReady("run", 1))
    web.feed(agent_io.EnginePrepared("run", 1))
    web.feed(agent_io.EngineArmed("run", 1, FaultKind.WORKER, "out of descriptors"))
    assert talk.run.cause == "agent web could not arm: out of descriptors"


def test_slow_preparing_is_ended_by_the_agent_itself_with_what_it_was_at() -> None:
    talk = Conversation("a")
    talk.join("b", engine=False)
    talk.submit(expect=2)
    talk.after(61)
    assert talk.run.state is RunState.FAILED
    assert talk.run.cause == (
        "agent b could not prepare: not prepared in time: the sandbox is being opened, still"
    )


def test_a_stop_in_mid_preparation_releases_everybody() -> None:
    talk = Conversation("a")
    slow = talk.join("b", engine=False)
    talk.submit(expect=2)
    talk.stop()
    assert (talk.run.state, talk.run.stopped_by) == (RunState.FAILED, StoppedBy.OPERATOR)
    assert talk.run.cause == "enough (before the load began)"
    assert slow.of(agent_io.ForgetRun) and not slow.core.runs


def test_an_agent_that_is_cut_off_between_arm_and_commit_never_starts_alone() -> None:
    talk = Conversation("a")
    lone = talk.join("b", engine=False)
    talk.submit(expect=2)
    lone.feed(agent_io.SandboxReady("run", 1))
    lone.feed(agent_io.EnginePrepared("run", 1))
    lone.reachable = False
    lone.cut()
    lone.feed(agent_io.EngineArmed("run", 1))
    talk.after(60)
    assert talk.run.state is RunState.FAILED
    assert talk.run.cause == "agent b was lost before the start (no beat for 11.0s)"
    assert not lone.of(agent_io.StartEngine)
    assert not talk["a"].of(agent_io.StartEngine) and not talk["a"].core.runs


def test_an_answer_that_was_lost_with_a_stream_is_given_again() -> None:
    talk = Conversation()
    web = talk.join("web", engine=False)
    talk.submit()
    web.feed(agent_io.SandboxReady("run", 1))
    web.reachable = False
    web.cut()
    web.feed(agent_io.EnginePrepared("run", 1))
    assert talk.run.state is RunState.PREPARING
    web.reachable = True
    web.feed(agent_io.LinkDown("connection refused"))
    assert talk.run.state is RunState.ARMING
    web.reachable = False
    web.cut()
    web.feed(agent_io.EngineArmed("run", 1))
    web.reachable = True
    web.feed(agent_io.LinkDown("connection refused"))
    assert web.sent(Armed) and talk.run.state is RunState.COMMITTED


def test_an_assignment_that_was_lost_with_a_stream_is_sent_again() -> None:
    talk = Conversation("web")
    web = talk["web"]
    web.deaf = True
    talk.submit()
    web.deaf = False
    assert not web.core.runs
    web.cut()
    assert talk.run.state is RunState.COMMITTED


# --- the stream breaks ----------------------------------------------------------------------------------------


def test_after_a_reset_the_same_incarnation_goes_on_and_load_was_never_touched() -> None:
    talk = running()
    web = talk["web"]
    talk.to(talk.run.start_controller_ns + S)
    web.report(0, 10)
    web.reachable = False
    web.cut()
    talk.after(1)
    web.report(1, 10)
    talk.after(0.5)
    before = web.sent(Metrics)
    web.reachable = True
    web.feed(agent_io.LinkDown("connection refused"))
    assert not web.of(agent_io.StopEngine)
    for number in (2, 3, 4):
        talk.after(1)
        web.report(number, 10)
    web.finish(50)
    assert talk.run.state is RunState.COMPLETE
    merged = [merge.seq for merge in talk.of(controller_io.Merge)]
    assert merged == sorted(set(merged)) and len(web.sent(Metrics)) >= len(before)


def test_what_was_sent_and_did_not_arrive_is_sent_again_as_the_very_same_messages() -> None:
    talk = running()
    web = talk["web"]
    web.mute = True
    for number in range(2):
        talk.to(talk.run.start_controller_ns + (number + 1) * S)
        web.report(number, 10)
    talk.after(0.5)
    lost = web.sent(Metrics)
    assert len(lost) == 2 and not talk.of(controller_io.Merge)
    web.mute = False
    web.cut()
    again = web.sent(Metrics)[2:]
    assert all(one is other for one, other in zip(lost, again, strict=True))
    assert [merge.seq for merge in talk.of(controller_io.Merge)] == [message.seq for message in lost]


def test_in_an_outage_seconds_coalesce_and_totals_stay_exact() -> None:
    talk = running(lease="300s", scenario={"duration": "200s"})
    web = talk["web"]
    web.reachable = False
    web.cut(told=True)
    for number in range(200):
        talk.to(talk.run.start_controller_ns + (number + 1) * S)
        web.report(number, 3)
        uplink = web.core.runs["run", 1].uplink
        assert len(uplink._tail) <= 40 and len(uplink._frozen) <= 8
    web.reachable = True
    web.feed(agent_io.LinkDown("connection refused"))
    web.finish(600)
    assert talk.run.state is RunState.COMPLETE
    intervals = [interval for merge in talk.of(controller_io.Merge) for interval in merge.intervals]
    assert len(intervals) < 60
    assert (
        sum(delta.total for i in intervals for key, delta in i.values.items() if key.metric == "http_reqs") == 600
    )
    assert min(i.t0_s for i in intervals) == 0 and max(i.t1_s for i in intervals) == 200


def test_silence_of_the_controller_makes_the_agent_dial_anew() -> None:
    talk = Conversation("web")
    web = talk["web"]
    web.reachable = False
    web.up = False  # half-open: nobody is told
    talk.after(2.9)
    assert not web.of(agent_io.CloseLink)
    talk.after(1.2)
    assert [closed.reason for closed in web.of(agent_io.CloseLink)] == ["the controller is silent"]
    assert len(web.of(agent_io.Dial)) >= 2


def test_redialling_backs_off_with_full_jitter_and_hastens_under_a_lease() -> None:
    idle = Conversation("web")["web"]
    idle.reachable = False
    idle.cut()
    for _ in range(9):
        idle.feed(agent_io.LinkDown("connection refused"))
    delays = [dial.max_delay_ns // MS for dial in idle.of(agent_io.Dial)]
    assert delays == [0, 250, 500, 1000, 2000, 4000, 8000, 10000, 10000, 10000, 10000]
    talk = running()
    web = talk["web"]
    web.reachable = False
    web.cut()
    for _ in range(5):
        web.feed(agent_io.LinkDown("connection refused"))
    assert max(dial.max_delay_ns for dial in web.of(agent_io.Dial)) <= 10 * S // 8


# --- the lease ------------------------------------------------------------------------------------------------


def test_an_orphaned_agent_stops_at_its_lease_end_and_delivers_the_rest_without_starting_again() -> None:
    talk = running(scenario={"duration": "60s"})
    web = talk["web"]
    talk.after(2)
    web.report(0, 10)
    web.reachable = False
    web.cut()
    lease_end_ns = web.of(agent_io.SetLease)[-1].end_mono_ns
    talk.to(lease_end_ns - 1)
    assert not web.of(agent_io.StopEngine)
    talk.to(lease_end_ns)
    (stop,) = web.of(agent_io.StopEngine)
    assert (stop.graceful, stop.cause) == (False, "orphaned")
    web.finish(10, "orphaned")
    web.come_back()
    assert talk.run.notes[0] == (
        "agent web stopped by itself: it had no word from the controller for a whole lease"
    )
    assert talk.run.agents["web"].state is ParticipantState.FINISHED
    assert talk.run.agents["web"].ledgers[0].requests == 10
    assert [start.generation for start in web.of(agent_io.StartEngine)] == [1, 2]


def test_a_lease_counts_from_when_the_beat_was_sent() -> None:
    talk = running(scenario={"duration": "60s"})
    web = talk["web"]
    web.deaf = True
    talk.after(1)
    beat_ns = talk.now
    answers = [done.message for done in talk.of(controller_io.Send)][-1]
    talk.after(1.5)
    web.feed(agent_io.Received(answers))
    sent_ns = max(end.end_mono_ns for end in web.of(agent_io.SetLease)) - 10 * S
    assert sent_ns <= beat_ns < talk.now


def test_over_a_link_that_is_dead_downwards_nothing_more_is_granted() -> None:
    talk = running(scenario={"duration": "60s"})
    web = talk["web"]
    web.deaf = True
    web.reachable = False
    cut_ns = talk.now
    talk.after(30)
    lost = talk.run.agents["web"]
    assert lost.state is ParticipantState.LOST
    assert cut_ns + 11 * S - S <= talk.run.start_controller_ns + int((lost.lost_at_s or 0) * S) <= cut_ns + 15 * S


def test_a_short_lease_hastens_the_beats() -> None:
    talk = running(lease="3s", scenario={"duration": "60s"})
    web = talk["web"]
    talk.after(3)
    ends = [lease.end_mono_ns for lease in web.of(agent_io.SetLease)]
    assert max(later - earlier for earlier, later in pairwise(ends)) <= 600 * MS


# --- losses ---------------------------------------------------------------------------------------------------


def test_under_abort_a_lost_agent_ends_the_run_by_name_with_a_bound() -> None:
    talk = running("a", "b", scenario={"duration": "60s"}, on_agent_loss="abort")
    a, b = talk["a"], talk["b"]
    for number in range(3):
        talk.to(talk.run.start_controller_ns + (number + 1) * S)
        a.report(number, 5)
        b.report(number, 5)
    talk.after(0.5)
    b.reachable = False
    b.cut()
    talk.after(12)
    (stop,) = a.of(agent_io.StopEngine)
    assert stop.graceful and stop.cause.startswith("agent b was lost 13.")
    a.finish(15, stop.cause)
    run = talk.run
    assert (run.state, run.stopped_by) == (RunState.INCOMPLETE, StoppedBy.LOSS)
    part = run.agents["b"]
    assert (part.state, part.last_merged_s, part.lost_because) == (ParticipantState.LOST, 3, "no beat for 11.0s")
    lease_s = (b.of(agent_io.SetLease)[-1].end_mono_ns - b.start_ns) / S
    assert part.missing_at_most is not None and abs(5 * lease_s - 15 - part.missing_at_most) <= 1
    assert f"at most {part.missing_at_most} requests are missing" in run.cause
    assert run.notes == [run.cause]


def test_when_all_agents_are_lost_the_run_has_failed() -> None:
    talk = running(scenario={"duration": "60s"})
    web = talk["web"]
    web.reachable = False
    web.cut()
    talk.after(30)
    assert talk.run.state is RunState.FAILED
    assert talk.run.cause.startswith("agent web was lost 1")


def test_a_lost_worker_costs_what_it_had_not_reported_and_no_more() -> None:
    talk = running("a", "b")
    a, b = talk["a"], talk["b"]
    unreported = (Ledger("s", 3, 3, 1, requests=2, lost=2),)
    a.feed(agent_io.EngineEvent("run", 1, RunEventKind.WORKER_LOST, "worker 1 was killed by SIGKILL", unreported))
    talk.after(1)
    a.report(0, 5)
    assert not a.of(agent_io.StopEngine) and not b.of(agent_io.StopEngine)
    talk.after(4)
    a.feed(agent_io.EngineFinished("run", 1, (Ledger("s", 8, 8, 6, requests=7, lost=2),)))
    b.finish(0)
    run = talk.run
    assert (run.state, run.absorbed) == (RunState.INCOMPLETE, True)
    assert run.agents["a"].missing_at_most == 2
    assert run.cause == run.notes[0]
    assert run.cause.startswith("agent a lost a worker (worker 1 was killed by SIGKILL); at most 2 requests")


def test_under_abort_a_lost_worker_ends_the_run() -> None:
    talk = running("a", "b", on_agent_loss="abort")
    talk["a"].feed(agent_io.EngineEvent("run", 1, RunEventKind.WORKER_LOST, "worker 1 was killed by SIGKILL"))
    assert talk["b"].of(agent_io.StopEngine) and talk.run.stopped_by is StoppedBy.LOSS


def test_an_agent_that_lost_its_run_says_so_and_is_taken_out() -> None:
    talk = running("a", "b")
    del talk["a"].core._runs["run", 1]
    talk["a"].cut()
    assert talk.run.agents["a"].state is ParticipantState.LOST
    assert talk.run.agents["a"].lost_because == "it no longer knows the run"


def test_an_agent_that_did_not_flush_in_time_makes_the_run_incomplete() -> None:
    talk = running()
    web = talk["web"]
    talk.after(5 + 2 + 5 + 1)
    assert talk.run.state is RunState.DRAINING
    assert web.of(agent_io.StopEngine)[-1].graceful is False
    talk.after(31)
    assert talk.run.state is RunState.FAILED
    assert "it did not deliver its last numbers within 30.0s" in talk.run.cause
    assert not web.core.runs


def test_books_that_do_not_add_up_make_the_run_incomplete_in_words() -> None:
    talk = running()
    web = talk["web"]
    talk.after(1)
    web.report(0, 10)
    web.finish(10, requests=12)
    assert talk.run.state is RunState.INCOMPLETE
    assert talk.run.cause == ("agent web does not add up: http_reqs of s: 10 merged, but its ledger says 12")


# --- stopping -------------------------------------------------------------------------------------------------


def test_a_graceful_stop_lets_iterations_finish_and_the_run_is_complete() -> None:
    talk = running()
    web = talk["web"]
    talk.after(1)
    web.report(0, 10)
    talk.stop(by=StoppedBy.THRESHOLD)
    (stop,) = web.of(agent_io.StopEngine)
    assert (stop.graceful, stop.cause) == (True, "enough")
    web.finish(10, "enough")
    run = talk.run
    assert (run.state, run.stopped_by, run.cause) == (RunState.COMPLETE, StoppedBy.THRESHOLD, "enough")
    assert run.load_end_ns == talk.now


def test_a_graceful_stop_can_be_hastened() -> None:
    talk = running()
    talk.stop()
    talk.stop(graceful=False)
    assert [stop.graceful for stop in talk["web"].of(agent_io.StopEngine)] == [True, False]


def test_a_stop_reaches_an_agent_that_was_away_when_it_returns() -> None:
    talk = running(scenario={"duration": "60s"})
    web = talk["web"]
    web.reachable = False
    web.cut()
    talk.stop()
    assert not web.of(agent_io.StopEngine)
    web.reachable = True
    web.feed(agent_io.LinkDown("connection refused"))
    assert [stop.cause for stop in web.of(agent_io.StopEngine)] == ["enough"]


def test_the_test_itself_may_ask_for_the_end() -> None:
    talk = running("a", "b")
    talk["a"].feed(agent_io.EngineEvent("run", 1, RunEventKind.ABORT_REQUESTED, "the shop is closed"))
    assert (talk.run.stopped_by, talk.run.cause) == (StoppedBy.TEST, "the shop is closed")
    assert talk["b"].of(agent_io.StopEngine)


def test_an_exception_in_a_script_is_noted_and_does_not_stop_the_run() -> None:
    talk = running()
    talk["web"].feed(agent_io.EngineEvent("run", 1, RunEventKind.SCRIPT_EXCEPTION, "KeyError: 'id' (shop.py:9)"))
    assert talk.run.state is RunState.RUNNING
    assert talk.run.notes == ["agent web: KeyError: 'id' (shop.py:9)"]


def test_an_idle_agent_leaves_at_once_and_a_preparing_one_lets_go() -> None:
    talk = Conversation("a")
    b = talk.join("b", engine=False)
    talk.submit(expect=2)
    b.feed(agent_io.DrainRequested("SIGTERM"))
    assert b.exit_code == 0 and b.of(agent_io.ForgetRun)
    assert talk.run.cause == "agent b was lost before the start (it left: SIGTERM)"
    talk["a"].feed(agent_io.DrainRequested("SIGTERM"))
    assert talk["a"].exit_code == 0


def test_asked_twice_an_agent_leaves_at_once_and_says_that_not_all_was_delivered() -> None:
    talk = running()
    web = talk["web"]
    web.feed(agent_io.DrainRequested("SIGTERM"))
    web.feed(agent_io.DrainRequested("SIGTERM"))
    assert any(
        "SIGTERM: leaving when" in log.text and "1m at the latest" in log.text for log in web.of(agent_io.Log)
    )
    assert web.exit_code == ExitCode.INCOMPLETE
    assert web.sent(Goodbye) == [Goodbye("SIGTERM", drained=False)]
    assert talk.run.state is RunState.FAILED


def test_an_agent_that_can_not_drain_gives_up_after_a_minute() -> None:
    talk = running(lease="300s", scenario={"duration": "300s"})
    web = talk["web"]
    web.feed(agent_io.DrainRequested("SIGTERM"))
    talk.after(61)
    assert web.exit_code == ExitCode.INCOMPLETE


# --- who may register -----------------------------------------------------------------------------------------


def test_a_second_agent_of_the_same_name_is_refused_and_the_first_is_left_alone() -> None:
    talk = running(scenario={"duration": "60s"})
    twin = talk.join("web", "twin/1")
    assert twin.exit_code == ExitCode.FLEET_COULD_NOT_START
    (refused,) = talk.said(Refused, twin)
    assert refused.reason == "another agent with the name web is online, from 127.0.0.1:9" and not refused.retry
    assert talk.run.state is RunState.RUNNING and talk["web"].up


def test_a_restarted_agent_waits_until_the_load_of_its_former_self_is_certainly_over() -> None:
    talk = running("web", "b", scenario={"duration": "60s"})
    old = talk["web"]
    old.reachable = False
    old.cut()
    again = talk.join("web", "web/2", dials=1)
    assert again.exit_code is None and talk.said(Refused, again)[-1].retry
    again.dials = 1
    talk.after(12)
    again.feed(agent_io.LinkDown("connection refused"))
    assert talk.controller.agents["web"].incarnation == "web/2"


def test_a_restarted_agent_without_load_is_taken_at_once() -> None:
    talk = Conversation("web")
    talk["web"].reachable = False
    talk["web"].cut()
    talk.join("web", "web/2")
    assert talk.controller.agents["web"].incarnation == "web/2"
    assert talk.controller.agents["web"].state is AgentState.ONLINE


def test_the_same_incarnation_on_a_new_stream_fences_the_old_one() -> None:
    talk = Conversation("web")
    web = talk["web"]
    old = web.link
    web.up = False  # half-open: the controller still holds the old stream
    web.feed(agent_io.LinkDown("timed out"))
    assert controller_io.CloseLink(old, "a newer stream of the same agent") in talk.did
    beats = len(talk.did)
    talk.tell(controller_io.Received(old, Prepared("run", 1)))
    assert len(talk.did) == beats, "what the old stream still delivers is nobody's"


def test_a_version_out_of_range_is_refused_with_both_ranges_and_others_are_unaffected() -> None:
    talk = Conversation("web")
    old = talk.join("old", protocol_min=0, protocol_max=0)
    new = talk.join("new", protocol_min=2, protocol_max=3)
    for agent, words in ((old, "versions 0 to 0"), (new, "versions 2 to 3")):
        (refused,) = talk.said(Refused, agent)
        assert words in refused.reason and "the controller 1 to 1" in refused.reason
        assert (refused.protocol_min, refused.protocol_max, refused.retry) == (1, 1, False)
        assert agent.exit_code == ExitCode.FLEET_COULD_NOT_START
    assert "upgrade the agent" in talk.said(Refused, old)[0].hint
    assert "upgrade the controller" in talk.said(Refused, new)[0].hint
    assert set(talk.controller.agents) == {"web"}


def test_a_certificate_for_another_name_is_refused_in_one_clear_line() -> None:
    talk = Conversation()
    liar = talk.join("web", identities=("db", "db.example"))
    (refused,) = talk.said(Refused, liar)
    assert refused.reason == "the certificate is for db, db.example, and not for agent web"
    good = talk.join("db", identities=("db",))
    assert good.exit_code is None


def test_a_link_that_does_not_register_is_closed_in_five_seconds() -> None:
    talk = Conversation()
    talk.tell(controller_io.LinkOpened(77, "10.0.0.9:1", (), loopback=False))
    talk.after(4.9)
    assert not talk.of(controller_io.CloseLink)
    talk.after(0.2)
    assert [closed.link for closed in talk.of(controller_io.CloseLink)] == [77]


def test_an_agent_without_an_answer_to_its_registration_dials_anew() -> None:
    talk = Conversation()
    web = talk.join("web", reachable=False)
    web.feed(agent_io.LinkUp())
    talk.after(5.1)
    assert web.of(agent_io.CloseLink)[0].reason == "the controller did not answer the registration"


def test_a_thousand_agents_that_return_at_once_are_online_at_once() -> None:
    talk = Conversation()
    for number in range(300):
        talk.join(f"agent-{number}")
    for agent in talk.agents.values():
        agent.up = False
        talk.put(None, controller_io.LinkClosed(agent.link, "reset"))
        talk.put(agent, agent_io.LinkDown("reset"))
    talk.settle()
    assert {view.state for view in talk.controller.agents.values()} == {AgentState.ONLINE}


# --- another controller ---------------------------------------------------------------------------------------


def test_a_new_controller_knows_nothing_of_a_run_and_the_agent_lets_it_go() -> None:
    talk = running(scenario={"duration": "60s"})
    web = talk["web"]
    fresh = Conversation(controller_id="another")
    talk.controller = fresh.controller
    web.cut()
    assert web.of(agent_io.ForgetRun) and not web.core.runs
    assert fresh.controller.agents["web"].state is AgentState.ONLINE


def test_an_older_epoch_of_a_controller_is_never_obeyed() -> None:
    talk = Conversation("web", epoch=5)
    web = talk["web"]
    web.cut()
    older = Registered("controller", 4, "s", 1, (), S, 10 * S, 0)
    web.reachable = False
    web.cut()
    web.feed(agent_io.LinkUp())
    web.feed(agent_io.Received(older))
    assert web.of(agent_io.CloseLink)[-1].reason == "an older epoch of the controller"


def test_late_batches_of_an_ended_run_are_acknowledged_and_booked_apart() -> None:
    talk = running(scenario={"duration": "60s"})
    web = talk["web"]
    talk.after(1)
    web.report(0, 10)
    web.reachable = False
    web.cut()
    talk.after(12)
    assert talk.run.state is RunState.FAILED
    summary = (talk.run.cause, list(talk.run.notes), talk.run.agents["web"].missing_at_most)
    web.finish(10, "orphaned")
    web.reachable = True
    web.feed(agent_io.LinkDown("connection refused"))
    late = [merge for merge in talk.of(controller_io.Merge) if merge.late]
    assert late and talk.run.agents["web"].late_batches == len(web.sent(Metrics | RunEvent)) - 1  # type: ignore[arg-type]
    assert (talk.run.cause, talk.run.notes, talk.run.agents["web"].missing_at_most) == summary
    assert not web.core.runs
