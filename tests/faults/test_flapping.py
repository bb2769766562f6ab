"""An agent that is lost again and again, on the virtual clock: in real time it would take minutes."""

from __future__ import annotations

import pytest

from loadr.coordination import agent_io
from loadr.coordination.messages import Ledger
from support.conversation import Agent, Conversation, plan


def lose(talk: Conversation, agent: Agent) -> None:
    """Its link breaks, and stays so until it is lost."""
    agent.reachable = False
    agent.cut()
    talk.after(15)


def come_back(talk: Conversation, agent: Agent, generation: int, *, restarted: bool) -> Agent:
    """As another process, or as the one it was, whose load ended with the lease of a generation."""
    if restarted:
        return talk.join("flappy", f"flappy/{generation + 1}", dials=1)
    agent.reachable, agent.dials = True, 1
    agent.feed(agent_io.LinkDown("connection refused"))
    talk.after(1)
    agent.feed(agent_io.EngineFinished("run", generation, (Ledger("s"),), "orphaned"))
    return agent


def shares(talk: Conversation) -> list[float]:
    """What the parts of it that may carry load own."""
    parts = [part for part in talk.run.agents.values() if part.agent_id == "flappy"]
    return [part.share for part in parts if part.state.name in ("COMMITTED", "RUNNING")]


@pytest.mark.parametrize("restarted", [True, False], ids=["restarted", "cut-off"])
def test_an_agent_that_was_lost_three_times_gets_no_share_for_five_minutes(restarted: bool) -> None:
    talk = Conversation("steady", "flappy")
    talk.submit(plan(scenario={"duration": "20m"}), expect=2)
    talk.start()
    flappy = talk["flappy"]
    for generation in (1, 2, 3):
        assert shares(talk) == [0.5]
        lose(talk, flappy)
        assert shares(talk) == []
        flappy = come_back(talk, flappy, generation, restarted=restarted)
        talk.after(5)
    assert talk.controller.agents["flappy"].state.name == "ONLINE"
    assert shares(talk) == []
    talk.after(250)
    assert shares(talk) == []
    talk.after(60)
    assert shares(talk) == [0.5]
