"""Where an agent's machines put their effects while one event is handled.

Messages are only put in while the link is registered: whatever is said to a peer that is away is said again, from
the state, when it is back.
"""

from __future__ import annotations

from loadr.coordination.agent_io import AgentEffect, Log, Send
from loadr.coordination.messages import AgentMessage


class Outbox:
    """``online``: the session is registered."""

    __slots__ = ("_effects", "online")

    def __init__(self) -> None:
        self.online = False
        self._effects: list[AgentEffect] = []

    def do(self, effect: AgentEffect) -> None:
        self._effects.append(effect)

    def send(self, message: AgentMessage) -> None:
        """Send it if anybody is there to read it."""
        if self.online:
            self._effects.append(Send(message))

    def log(self, level: str, text: str) -> None:
        self._effects.append(Log(level, text))

    def take(self) -> list[AgentEffect]:
        """The effects so far; the box is empty again."""
        effects, self._effects = self._effects, []
        return effects
