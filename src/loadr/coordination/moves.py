"""Moves of load in one run: from the wish that it lies elsewhere to the shares that say so.

Takes the parts that may own something, what they have applied, and who is gone; publishes shares through one
function, which gives the number of the revision. One move at a time; what is wished for meanwhile follows, and
never takes effect before what was said earlier: who has nothing to do with it owns what it owned until then.
Instants are nanoseconds on the run's timeline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from loadr.coordination.dealer import Dealer, Shares
from loadr.plan.model import Plan


class Moves:
    """``weights`` gives the parts that are to own something now. ``publish`` sends shares to a part.

    ``on_settled`` is told from when on the new owners own, once their shares were published.
    """

    __slots__ = ("_again", "_on_settled", "_publish", "_releases", "_weights", "dealer", "from_run_ns")

    def __init__(
        self,
        plan: Plan,
        agents: int,
        *,
        weights: Callable[[], Mapping[str, float]],
        publish: Callable[[str, Shares], int],
        on_settled: Callable[[int], None],
    ) -> None:
        self.dealer = Dealer(plan, agents)
        self._weights = weights
        self._publish = publish
        self._on_settled = on_settled
        self._releases: dict[str, int] = {}  # giver → the revision that it has to apply
        self.from_run_ns = 0  # when the last move that was announced takes effect, or later
        self._again = False

    def end(self) -> None:
        """The run is over: nothing is published any more, and who was to be told is let go of. They hold us, and
        the controller looks for circles of garbage rarely."""
        self._weights = dict
        self._publish = lambda _, __: 0
        self._on_settled = lambda _: None

    def rebalance(self, now_run_ns: int, delay_ns: int) -> None:
        """Have every part own what its weight is worth, ``delay_ns`` from now on or later."""
        if self.dealer.is_moving:
            self._again = True
            return
        weights = self._weights()
        if not weights:
            return
        self.from_run_ns = max(self.from_run_ns, now_run_ns + delay_ns)
        for key, kept in self.dealer.move(weights, self.from_run_ns).items():
            self._releases[key] = self._publish(key, kept)
        self._settle(now_run_ns, delay_ns)

    def awaits(self, key: str, revision: int) -> bool:
        """The move waits for this part to say that it has applied this revision, or an older one."""
        wanted = self._releases.get(key)
        return wanted is not None and revision >= wanted

    def applied(self, key: str, revision: int, now_run_ns: int, delay_ns: int) -> None:
        """A part says which revision it has applied."""
        if self.awaits(key, revision):
            del self._releases[key]
            self.dealer.acknowledge(key)
            self._settle(now_run_ns, delay_ns)

    def gone(self, key: str, now_run_ns: int, delay_ns: int) -> None:
        """A part is over. What it owned is nobody's until the next move."""
        self._releases.pop(key, None)
        self.dealer.leave(key)
        self._settle(now_run_ns, delay_ns)

    def _settle(self, now_run_ns: int, delay_ns: int) -> None:
        """The second step, if it is time: not before every giver has given."""
        if not self.dealer.is_moving or self._releases:
            return
        in_time = now_run_ns + delay_ns // 2 <= self.from_run_ns
        if not in_time:
            self.from_run_ns = max(self.from_run_ns, now_run_ns + delay_ns)
        for key, shares in self.dealer.settle(self.from_run_ns).items():
            self._publish(key, shares)
        self._on_settled(self.from_run_ns)
        if self._again:
            self._again = False
            self.rebalance(now_run_ns, delay_ns)
