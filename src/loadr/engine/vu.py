"""The VU, as a flow and a scenario's author see it: ``async def buy(vu)``.

One object per VU, kept for the whole run; what belongs to an iteration (its number, its draws, its rows) is
told anew before each. Draws and rows depend on the plan's seed and on the iteration only, never on the worker
or agent that carries it.
"""

from __future__ import annotations

from asyncio import sleep
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from loadr.engine.checks import check
from loadr.engine.draws import Draws, iteration_key
from loadr.errors import ScriptFault
from loadr.masking import NO_SECRETS, Secrets
from loadr.units import NS_PER_S, parse_duration_ns

if TYPE_CHECKING:
    from loadr.engine.client import Http
    from loadr.engine.feeders import Feeder, Row
    from loadr.engine.meetings import Meetings
    from loadr.engine.recorder import ScenarioRecorder


MAX_NAME_CHARACTERS = 256  # of a rendezvous


class Vu:
    """``id`` counts from 1 over the whole fleet. ``iteration`` is the fleet-wide number of the iteration in
    open models, and this VU's own count in closed ones; both from 0. ``env`` holds what came from ``-e
    KEY=VALUE``, ``secret`` the values of secrets by name: ``vu.secret["API_KEY"]``, ``setup`` what the setup of
    the run returned, None without one; it can not be changed."""

    __slots__ = (
        "_drawn_for",
        "_draws",
        "_feeders",
        "_meetings",
        "_stream",
        "env",
        "http",
        "id",
        "iteration",
        "owner_key",
        "scenario",
        "secret",
        "setup",
    )

    def __init__(
        self,
        number: int,
        http: Http,
        scenario: ScenarioRecorder,
        *,
        env: Mapping[str, str],
        feeders: Mapping[str, Feeder],
        stream: int,
        open_model: bool,
        secrets: Secrets = NO_SECRETS,
        setup: object = None,
        meetings: Meetings | None = None,
    ) -> None:
        """``number`` counts from 0; ``stream`` is the scenario's `draws.stream_seed`. ``owner_key`` is what
        draws and rows depend on besides the iteration: 0 in open models, where it does not matter which VU
        carries it."""
        self.id = number + 1
        self.http = http
        self.scenario = scenario
        self.env = env
        self.secret = secrets
        self.setup: Any = setup
        self._meetings = meetings
        self.iteration = -1
        self._feeders = feeders
        self._stream = stream
        self.owner_key = 0 if open_model else self.id
        self._draws: Draws | None = None
        self._drawn_for = -1

    @property
    def random(self) -> Draws:
        """Draws of this iteration (a `random.Random`): the same for the same seed, whoever carries the
        iteration."""
        draws = self._draws
        if draws is None:
            draws = self._draws = Draws()
        if self._drawn_for != self.iteration:
            self._drawn_for = self.iteration
            draws.restart(iteration_key(self._stream, self.owner_key, self.iteration))
        return draws

    def row(self, data: str) -> Row:
        """The row of a data set that belongs to this iteration: the same however often it is asked for.

        Raises `KeyError` for a data set that the scenario does not use.
        """
        return self._feeders[data](self.owner_key, self.iteration)

    async def rendezvous(self, name: str, users: int, timeout: float | str = "30s") -> bool:
        """Wait until ``users`` VUs of the whole fleet have come to ``name``; then all of them go on together.

        False, and a failure of the check ``rendezvous NAME``, if that took longer than ``timeout`` (seconds, or
        text such as "30s"; at most 1h) from the first arrival on. Raises `ScriptFault` outside of iterations, and
        on numbers that can not be.
        """
        timeout_ns = parse_duration_ns(timeout) if isinstance(timeout, str) else round(timeout * NS_PER_S)
        if self._meetings is None:
            raise ScriptFault(f"nobody comes to {name!r}: VUs meet in iterations only")
        if users < 1 or timeout_ns <= 0 or not 0 < len(name) <= MAX_NAME_CHARACTERS:
            raise ScriptFault("a rendezvous needs a name, at least 1 user, and a timeout above 0s")
        met = await self._meetings.arrive(name, users, timeout_ns)
        return check(self, f"rendezvous {name}", met)

    async def think(self, low: float | str, high: float | str | None = None) -> None:
        """Pause for ``low``, or for a time drawn uniformly from [low, high]: seconds, or text such as
        "300ms"."""
        low_s = _seconds(low)
        await sleep(low_s if high is None else self.random.uniform(low_s, _seconds(high)))


def _seconds(duration: float | str) -> float:
    return parse_duration_ns(duration) / NS_PER_S if isinstance(duration, str) else duration
