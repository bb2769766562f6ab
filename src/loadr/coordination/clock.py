"""The agent's estimate of the controller's monotonic clock, with a bound of its error.

Takes four-timestamp exchanges (a beat and its answer), gives an offset (controller clock − agent clock), and the
instant on the agent's clock of an instant on the controller's. Of the last eight exchanges the one with the least
bound is used: half its round trip (D. L. Mills, RFC 5905, section 8: the true offset lies within ± RTT/2 whatever
the asymmetry of the ways), plus what two clocks can drift apart since.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

KEPT_EXCHANGES = 8
MAX_DRIFT_PPM = 500  # of one clock against the other; the kernel's own limit of slewing


@dataclass(frozen=True, slots=True)
class Exchange:
    """``at_ns`` (t3) and ``rtt_ns`` on the agent's clock; ``offset_ns`` is controller − agent."""

    at_ns: int
    rtt_ns: int
    offset_ns: int

    def bound_ns(self, now_ns: int) -> int:
        """The largest error that ``offset_ns`` can have at ``now_ns``.

        The drift within the exchange itself counts too, and each rounding to whole nanoseconds.
        """
        age_ns = abs(now_ns - self.at_ns) + self.rtt_ns
        return -(-self.rtt_ns // 2) + -(-age_ns * MAX_DRIFT_PPM // 1_000_000) + 1


@dataclass(frozen=True, slots=True)
class Conversion:
    """An instant on the agent's clock, and how far it may be off."""

    mono_ns: int
    bound_ns: int


class PeerClock:
    """Of one controller: another one, or the same one restarted, has another clock (`reset`)."""

    def __init__(self) -> None:
        self._exchanges: deque[Exchange] = deque(maxlen=KEPT_EXCHANGES)

    def exchange(self, t0_ns: int, t1_ns: int, t2_ns: int, t3_ns: int) -> bool:
        """Add one exchange: sent here at t0, received there at t1, answered there at t2, received here at t3.

        False, and nothing is added, if these can not be (a negative round trip, an answer before the question).
        """
        rtt_ns = (t3_ns - t0_ns) - (t2_ns - t1_ns)
        if rtt_ns < 0 or t2_ns < t1_ns or t3_ns < t0_ns:
            return False
        self._exchanges.append(Exchange(t3_ns, rtt_ns, ((t1_ns - t0_ns) + (t2_ns - t3_ns)) // 2))
        return True

    def reset(self) -> None:
        """Forget every exchange."""
        self._exchanges.clear()

    def best(self, now_ns: int) -> Exchange | None:
        """The exchange with the least bound at ``now_ns``; of equals the latest."""
        return min(reversed(self._exchanges), key=lambda e: e.bound_ns(now_ns), default=None)

    def to_agent(self, controller_ns: int, now_ns: int) -> Conversion | None:
        """An instant of the controller's clock on the agent's, and the bound that holds there; None if unknown.

        The offset is taken as of now; until the instant the clocks go on drifting, which the bound covers.
        """
        best = self.best(now_ns)
        if best is None:
            return None
        mono_ns = controller_ns - best.offset_ns
        bound_ns = max(best.bound_ns(now_ns), best.bound_ns(mono_ns))
        # The instant itself may lie a bound after the converted one, and clocks drift until then, too; and so on,
        # always less. One more for the rounding of the other clock to whole nanoseconds.
        beyond_ns = -(-2 * bound_ns * MAX_DRIFT_PPM // 1_000_000)
        return Conversion(mono_ns, bound_ns + beyond_ns + 1)
