"""The controller's core: everything a controller decides, without a clock, a socket or a process.

Takes `ControllerEvent`s and gives `ControllerEffect`s. See `controller_io` for the contract with the shell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loadr.coordination.controller_io import ControllerEffect, ControllerEvent
from loadr.coordination.messages import PROTOCOL_MAX, PROTOCOL_MIN
from loadr.coordination.timing import TIMING, Timing
from loadr.coordination.views import AgentView, RunView


@dataclass(frozen=True, slots=True)
class ControllerConfig:
    """``epoch`` only grows over the restarts of one controller: an agent never obeys an older one."""

    controller_id: str
    epoch: int = 1
    protocol_min: int = PROTOCOL_MIN
    protocol_max: int = PROTOCOL_MAX
    max_agents: int = 10_000


class ControllerCore:
    """``handle`` every event with the time of now, carry the effects out, send `TimePassed` at the deadline."""

    def __init__(self, config: ControllerConfig, timing: Timing = TIMING) -> None:
        self._config = config
        self._timing = timing

    def handle(self, event: ControllerEvent, now_ns: int) -> list[ControllerEffect]:
        """What is to be done about ``event``, in this order."""
        raise NotImplementedError

    def deadline_ns(self) -> int | None:
        """When `TimePassed` matters next; None: not before another event."""
        raise NotImplementedError

    @property
    def agents(self) -> Mapping[str, AgentView]:
        """All agents that are known, by id."""
        raise NotImplementedError

    def run(self, run_id: str) -> RunView | None:
        """A run that is going on, or one of the last that ended."""
        raise NotImplementedError

    @property
    def current_run(self) -> RunView | None:
        """The run that is not yet ended, if any."""
        raise NotImplementedError
