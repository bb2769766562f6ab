"""The interface of a link: what implements it."""

from __future__ import annotations

from typing import get_args

from loadr.coordination.messages import AgentMessage, ControllerMessage
from loadr.transport.link import Link
from loadr.transport.stream_link import PRIORITIES, StreamLink


def test_a_stream_link_has_everything_that_a_link_promises() -> None:
    promised = {name for name in vars(Link) if not name.startswith("_")}
    assert promised >= {"send", "messages", "close", "cut", "reason"}
    assert promised <= set(dir(StreamLink))


def test_every_message_has_a_priority() -> None:
    assert set(PRIORITIES) == {*get_args(AgentMessage), *get_args(ControllerMessage)}
