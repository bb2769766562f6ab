"""Who may register, and what a beat tells."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from loadr.coordination.controller_session import Member, Stream, refusal_of, shown, view_of, wall_ms
from loadr.coordination.messages import AgentBeat, Register
from loadr.coordination.timing import TIMING
from loadr.coordination.views import AgentState

S = 1_000_000_000
MS = 1_000_000
REGISTER = Register(1, 1, "web", "web", "web/1", "1.0", 4, 1 << 30, 2, {"zone": "a"})


def stream(*identities: str) -> Stream:
    return Stream(1, "10.0.0.1:5", identities, False, 0)


def member() -> Member:
    link = stream()
    out = Member(view_of(REGISTER, link, 0), 10 * S, 0)
    out.begin(link, 0)
    return out


def test_what_the_clock_of_an_agent_may_show_is_known_from_its_beats() -> None:
    one = member()
    assert one.clock_at(5 * S) is None
    one.hear(AgentBeat(1, 900 * S), 5 * S, TIMING, None)
    assert one.clock_at(5 * S) is None, "it knows nothing of our clock yet"
    one.hear(AgentBeat(2, 900 * S, clock_offset_ns=-895 * S, clock_bound_ns=2 * MS), 5 * S, TIMING, None)
    assert one.clock_at(5 * S) == 900 * S + 2 * MS + 2001  # the bound, and the drift of what may have passed
    assert one.clock_at(7 * S) == 902 * S + 2 * MS + 2 * MS + 2001
    one.hear(AgentBeat(3, 902 * S), 7 * S, TIMING, None)
    assert one.clock_at(7 * S) == 902 * S + 4 * MS + 2001, "what it said last holds"


def test_a_sound_registration_is_taken_as_it_is() -> None:
    assert refusal_of(REGISTER, stream(), 1, 1) is None
    assert refusal_of(REGISTER, stream("web", "other"), 1, 1) is None
    assert refusal_of(replace(REGISTER, agent_name="Web, the first"), stream(), 1, 1) is None
    view = view_of(REGISTER, stream(), 5)
    assert (view.agent_id, view.name, view.weight, view.labels) == ("web", "web", 2, {"zone": "a"})


@pytest.mark.parametrize(
    ("identities", "agent_name", "words"),
    [
        (("db",), "web", "for db, and not for agent web"),
        (("WEB", "web2"), "web", "for WEB, web2, and not for agent web"),
        (("web",), "db", "for web, and not for agent db"),
        (("",), "web", "for nobody: it has no subject alternative name, and not for agent web"),
    ],
)
def test_a_certificate_binds_the_id_and_the_name(
    identities: tuple[str, ...], agent_name: str, words: str
) -> None:
    refused = refusal_of(replace(REGISTER, agent_name=agent_name), stream(*identities), 1, 1)
    assert refused is not None and words in refused.reason and not refused.retry


def test_a_name_that_would_forge_lines_of_the_log_is_refused() -> None:
    for changes in ({"agent_id": "a\nb"}, {"agent_name": "a\x1b[2J"}):
        refused = refusal_of(replace(REGISTER, **changes), stream(), 1, 1)  # type: ignore[arg-type]
        assert refused is not None and "can not be shown" in refused.reason
    assert shown("a\nb") == "'a\\nb'" and shown("a" * 99) == "a" * 64


@pytest.mark.parametrize(
    ("agent", "controller", "taken"),
    [
        ((1, 1), (1, 1), True),
        ((1, 3), (2, 2), True),
        ((1, 2), (2, 5), True),
        ((1, 1), (2, 3), False),
        ((4, 9), (2, 3), False),
    ],
)
def test_ranges_of_versions_must_overlap(
    agent: tuple[int, int], controller: tuple[int, int], taken: bool
) -> None:
    asked = replace(REGISTER, protocol_min=agent[0], protocol_max=agent[1])
    refused = refusal_of(asked, stream(), *controller)
    assert (refused is None) is taken
    if refused is not None:
        assert f"{agent[0]} to {agent[1]}" in refused.reason
        assert f"{controller[0]} to {controller[1]}" in refused.reason


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"agent_id": ""}, "gave no id"),
        ({"weight": 0}, "capacity of 0"),
        ({"labels": {"k": "v" * 300}}, "labels"),
        ({"active_runs": (None,) * 17}, "17 active runs"),
    ],
)
def test_what_is_beyond_reason_is_refused_for_good(changes: dict[str, Any], words: str) -> None:
    refused = refusal_of(replace(REGISTER, **changes), stream(), 1, 1)
    assert refused is not None and words in refused.reason and not refused.retry and refused.hint


def test_a_beat_with_a_fresh_echo_is_good_and_one_with_a_stale_echo_is_not() -> None:
    one = member()
    assert one.hear(AgentBeat(1, 100), S, TIMING, None), "the registration itself was the last word"
    one.answer(AgentBeat(1, 100), S, (), ())
    assert one.hear(AgentBeat(2, 100, echo_number=1), 2 * S, TIMING, None) and one.good_ns == 2 * S
    assert one.hear(AgentBeat(3, 100, echo_number=1), 4 * S, TIMING, None)
    assert not one.hear(AgentBeat(4, 100, echo_number=1), 4 * S + 1, TIMING, None)
    assert one.good_ns == 4 * S


def test_an_echo_that_was_never_sent_makes_no_beat_good() -> None:
    one = member()
    assert not one.hear(AgentBeat(1, 100, echo_number=77), 9 * S, TIMING, None)


def test_round_trips_are_measured_by_our_own_clock() -> None:
    one = member()
    one.answer(AgentBeat(1, 0), S, (), ())
    beat = AgentBeat(2, sent_mono_ns=900 * MS, echo_number=1, echo_received_mono_ns=100 * MS, rtt_ns=10**18)
    one.hear(beat, 2 * S, TIMING, None)
    assert one.rtt_ns == 200 * MS


def test_health_is_taken_over_and_the_wall_clocks_error_is_for_people() -> None:
    one = member()
    beat = AgentBeat(1, 0, cpu_percent=55.0, memory_bytes=9, dispatch_lag_p99_ns=7, wall_unix_ms=5000)
    one.hear(beat, S, TIMING, wall_ms(1_000, 500 * MS))
    view = one.view
    assert (view.cpu_percent, view.used_memory_bytes, view.dispatch_lag_p99_ns) == (55.0, 9, 7)
    assert view.wall_error_ms == 3500
    assert wall_ms(None, S) is None


def test_deadlines_are_doubt_and_then_loss() -> None:
    one = member()
    assert one.deadline_ns(TIMING) == 3 * S
    one.view.state = AgentState.SUSPECT
    assert one.deadline_ns(TIMING) == 11 * S
    one.view.state = AgentState.LOST
    assert one.deadline_ns(TIMING) is None


def test_memory_of_a_peer_is_bounded() -> None:
    one = member()
    for number in range(1000):
        one.answer(AgentBeat(number, 0), S, (), ())
    assert len(one._beats) == 64
