"""Timing: every constant of the protocol in one frozen value.

Takes nothing and gives nanoseconds; both cores take a `Timing`, tests and the simulator may give a faster one.
The reasons are in the design page and in `docs/journey.md`; a constant that is not explained here is a limit
that only has to be finite.
"""

from __future__ import annotations

from dataclasses import dataclass

from loadr.units import NS_PER_MS, NS_PER_S


@dataclass(frozen=True, slots=True)
class Timing:
    """All in nanoseconds unless the name says otherwise."""

    lease_ns: int = 10 * NS_PER_S  # survives short cuts; bounds orphaned load. A plan may say otherwise
    lost_after_lease_ns: int = NS_PER_S  # clock drift and loop lag
    beat_ns: int = NS_PER_S
    register_ns: int = 5 * NS_PER_S  # an opened link that has not registered by then is closed
    probes: int = 8  # clock exchanges in a row, after prepare, and after registration if the clock is not known

    flush_after_ns: int = 200 * NS_PER_MS  # a second is closed so long after its end
    flush_spread_ns: int = 200 * NS_PER_MS  # plus a fixed part of this for each agent: spreads a fleet
    frozen_limit: int = 8  # numbered, not yet acknowledged batches of a run on an agent

    backoff_first_ns: int = 250 * NS_PER_MS
    backoff_cap_ns: int = 10 * NS_PER_S

    barrier_loopback_ns: int = 200 * NS_PER_MS
    barrier_network_ns: int = 2 * NS_PER_S
    barrier_rtts: int = 10

    gather_ns: int = 30 * NS_PER_S  # a submitted run waits so long for its agents
    prepare_ns: int = 60 * NS_PER_S
    arm_ns: int = 30 * NS_PER_S
    final_flush_ns: int = 30 * NS_PER_S
    stop_slack_ns: int = 5 * NS_PER_S  # over the longest graceful stop, before the engine is killed
    drain_ns: int = 60 * NS_PER_S  # an agent that was asked to leave kills its engine then
    hand_over_ns: int = 10 * NS_PER_S  # and stops by itself if its share was not taken by then

    change_ns: int = 500 * NS_PER_MS  # from a change or a move of load to its common instant …
    change_rtts: int = 4  # … or so many round trips of the slowest agent, if that is longer
    flaps: int = 3  # so often lost …
    flap_window_ns: int = 300 * NS_PER_S  # … within this time, and an agent gets no share for `quarantine_ns`

    strikes: int = 3
    quarantine_ns: int = 300 * NS_PER_S

    def beat_for(self, lease_ns: int) -> int:
        """Beat interval under a lease: min(beat, lease/5), so that four beats may be lost."""
        return min(self.beat_ns, lease_ns // 5)

    def suspect_for(self, lease_ns: int) -> int:
        """Silence after which a peer is doubted: min(3 beats, 0.6 × lease), above event-loop hiccups."""
        return min(3 * self.beat_ns, lease_ns * 6 // 10)

    def lost_for(self, lease_ns: int) -> int:
        """Silence after which an agent's load is certainly over: its lease, and a second."""
        return lease_ns + self.lost_after_lease_ns


TIMING = Timing()
