"""Messages go out only when somebody is there; other effects always."""

from __future__ import annotations

from loadr.coordination.agent_io import Leave, Log, Send
from loadr.coordination.messages import Goodbye
from loadr.coordination.outbox import Outbox


def test_messages_to_nobody_are_dropped_and_effects_are_kept_in_order() -> None:
    out = Outbox()
    goodbye = Goodbye("done", drained=True)
    out.send(goodbye)
    out.log("info", "away")
    out.online = True
    out.send(goodbye)
    out.do(Leave(0, "done"))
    assert out.take() == [Log("info", "away"), Send(goodbye), Leave(0, "done")]
    assert out.take() == []
