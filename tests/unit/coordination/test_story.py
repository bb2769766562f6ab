"""A story is bounded, short, and shows no contents."""

from __future__ import annotations

from loadr.coordination import agent_io, controller_io
from loadr.coordination.admission import JoinToken
from loadr.coordination.messages import Assignment, Desired, ManifestFile, Register, RunPhase
from loadr.coordination.story import Story, brief
from loadr.masking import Secrets


def test_a_line_names_the_event_its_message_and_what_was_done() -> None:
    story = Story()
    desired = Desired("run-1", 1, 3, RunPhase.STOPPING, cause="enough")
    stop = agent_io.StopEngine("run-1", 1, True, "enough")
    story.record(1_500_000_000, agent_io.Received(desired), [stop, agent_io.Log("info", "chatter")])
    assert story.text() == (
        "1.500000 Received()/Desired(run_id=run-1 generation=1 revision=3 phase=STOPPING cause=enough)"
        " → StopEngine(run_id=run-1 generation=1 graceful=True cause=enough)"
    )


def test_plans_and_files_do_not_show() -> None:
    secret = b"password=hunter2"
    files = (ManifestFile("a.csv", 16, "d" * 64, secret),)
    text = brief(agent_io.Received(Assignment("run-1", 1, secret, "d" * 64, files, 5)))
    assert "hunter2" not in text and "files×1" in text


def test_tokens_and_secrets_do_not_show() -> None:
    register = Register(1, 1, "web", "web", "web/1", "1.0", 1, 1, 1, token="hunter2")
    secrets = Secrets({"PASSWORD": "hunter2"})
    assignment = Assignment("run-1", 1, b"{}", "d" * 64, (), 5, secrets)
    token = JoinToken("id", "hunter2", 1)
    story = Story()
    for event in (controller_io.Received(1, register), controller_io.TokensLoaded((token,), 1)):
        story.record(0, event, [controller_io.Send(1, assignment)])
    prepare = agent_io.PrepareEngine("run-1", 1, b"{}", secrets)
    story.record(0, agent_io.Received(assignment), [agent_io.Send(register), prepare])
    assert "hunter2" not in story.text() and "agent_id=web" in story.text()
    for shown in (register, assignment, token, prepare, secrets):
        assert "hunter2" not in repr(shown)


def test_long_texts_are_cut() -> None:
    assert len(brief(agent_io.LinkDown("x" * 10_000))) < 100


def test_only_the_last_lines_are_kept() -> None:
    story = Story(kept=3)
    for second in range(10):
        story.record(second * 1_000_000_000, agent_io.TimePassed(), [])
    assert story.text().splitlines() == [f"{n}.000000 TimePassed()" for n in (7, 8, 9)]
    assert story.text(last=1) == "9.000000 TimePassed()"
