"""The agent's core: everything an agent decides, without a clock, a socket or a process.

Takes `AgentEvent`s and gives `AgentEffect`s. See `agent_io` for the contract with the shell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from loadr.coordination.agent_io import AgentEffect, AgentEvent
from loadr.coordination.messages import PROTOCOL_MAX, PROTOCOL_MIN
from loadr.coordination.timing import TIMING, Timing


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """Who the agent is. ``incarnation`` is random per process; ``weight`` is its capacity (its workers)."""

    agent_id: str
    agent_name: str
    incarnation: str
    software_version: str
    cores: int
    memory_bytes: int
    weight: int
    labels: Mapping[str, str] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    protocol_min: int = PROTOCOL_MIN
    protocol_max: int = PROTOCOL_MAX


class AgentCore:
    """``handle`` every event with the time of now, carry the effects out, and send `TimePassed` at the deadline.

    The first `deadline_ns` is 0: the first `TimePassed` makes the agent dial.
    """

    def __init__(self, config: AgentConfig, timing: Timing = TIMING) -> None:
        self._config = config
        self._timing = timing

    def handle(self, event: AgentEvent, now_ns: int) -> list[AgentEffect]:
        """What is to be done about ``event``, in this order."""
        raise NotImplementedError

    def deadline_ns(self) -> int | None:
        """When `TimePassed` matters next; None: not before another event."""
        raise NotImplementedError
