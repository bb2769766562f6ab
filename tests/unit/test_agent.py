"""The agent's shell: its link, its folder, its files, its ways to leave. The engine is a model."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from loadr.agent import Agent, AgentSetup, own_rss_bytes
from loadr.controller import Controller
from loadr.coordination import messages as m
from loadr.engine.pool_events import PoolEvent
from loadr.errors import ArgumentInvalid, ExitCode, FleetFault, PeerRefused, Unreachable
from loadr.plan.model import DataSet, Plan
from loadr.testing.engine import ModelPool
from loadr.transport.corpora import Corpora
from loadr.transport.filestore import FileStore
from loadr.transport.link import AgentLink
from loadr.transport.work_folder import PREFIX
from support.conversation import plan
from support.fake_controller import LIMIT_S, FakeController
from support.shells import Lines, MemoryDialer, model_agent, model_plan, shells, ten_requests
from support.workers import until

BIG = bytes(range(256)) * 2000  # several windows


class Failing:
    """A dialer that never gets through."""

    def __init__(self, fault: Exception) -> None:
        self._fault = fault
        self.dials = 0

    async def dial(self, timeout_s: float) -> AgentLink:
        self.dials += 1
        raise self._fault


def test_nobody_there_is_said_once_and_tried_again() -> None:
    async def go() -> None:
        dialer, lines = Failing(Unreachable("nobody listens at 127.0.0.1:9")), Lines()
        agent = model_agent(dialer, lines)
        serving = asyncio.create_task(agent.run())
        await until(lambda: dialer.dials >= 3, "it dials again")
        agent.drain("SIGTERM")
        assert await serving == ExitCode.PASSED
        assert lines.said == [
            ("warning", "nobody listens at 127.0.0.1:9; trying again until it answers"),
            ("info", "SIGTERM"),
        ]

    asyncio.run(go())


def test_a_refusal_for_good_ends_it_in_the_controllers_words() -> None:
    async def go() -> None:
        dialer, lines = Failing(PeerRefused("wrong certificate", hint="take another")), Lines()
        assert await model_agent(dialer, lines).run() == ExitCode.FLEET_COULD_NOT_START
        assert dialer.dials == 1
        assert lines.said == [("error", "wrong certificate (take another)")]

    asyncio.run(go())


def test_a_refusal_for_now_is_not_the_end() -> None:
    async def go() -> None:
        dialer, lines = Failing(PeerRefused("the old one is still there", retry=True)), Lines()
        agent = model_agent(dialer, lines)
        serving = asyncio.create_task(agent.run())
        await until(lambda: dialer.dials >= 2, "it dials again")
        agent.drain("enough")
        assert await serving == ExitCode.PASSED

    asyncio.run(go())


def test_an_agent_whose_workers_do_not_start_is_of_no_use() -> None:
    class Broken(ModelPool):
        async def spawn(self) -> None:
            raise FleetFault("the workers did not start")

    async def go() -> None:
        def make(workers: int, on_event: Callable[[PoolEvent], None]) -> Broken:
            return Broken(workers, on_event, lambda second: {})

        agent = Agent(AgentSetup("web", 1), Failing(Unreachable("nobody")), Lines(), make)
        with pytest.raises(FleetFault, match="did not start"):
            await agent.run()

    asyncio.run(go())


def test_its_temporary_folder_goes_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    async def go() -> None:
        async with shells("web") as (controller, _, _):
            await until(lambda: bool(list(tmp_path.glob(f"{PREFIX}*"))), "it makes its folder")
            plan = model_plan()
            await controller.wait(controller.submit(plan, FileStore(plan, {}), expect_agents=1))
        assert list(tmp_path.iterdir()) == []

    asyncio.run(go())


def test_told_to_leave_in_a_run_it_says_what_it_waits_for() -> None:
    async def go() -> None:
        async with shells("web") as (controller, (agent,), lines):
            plan = model_plan("60s")
            run_id = controller.submit(plan, FileStore(plan, {}), expect_agents=1)
            await until(lambda: f"run {run_id}: load begins" in lines.text, "load begins")
            agent.drain("told to leave by SIGTERM")
            assert "info: told to leave by SIGTERM: leaving when the load has ended" in lines.text
            summary = await controller.wait(run_id)
            assert "the last agent was asked to leave" in summary.cause

    asyncio.run(go())


def test_it_leaves_after_a_run_without_fresh_workers() -> None:
    renewals: list[int] = []

    class Counted(ModelPool):
        async def renew(self) -> None:
            renewals.append(1)
            await super().renew()

    async def go() -> None:
        controller, lines = Controller(Lines()), Lines()
        controller.open()

        def make(workers: int, on_event: Callable[[PoolEvent], None]) -> Counted:
            return Counted(workers, on_event, ten_requests)

        agent = Agent(AgentSetup("web", 1), MemoryDialer(controller), lines, make)
        serving = asyncio.create_task(agent.run())
        plan = model_plan()
        await controller.wait(controller.submit(plan, FileStore(plan, {}), expect_agents=1))
        agent.drain("the run is over")
        assert await serving == ExitCode.PASSED
        await controller.close()

    asyncio.run(go())
    assert renewals == []


def test_it_serves_one_run_after_the_other() -> None:
    async def go() -> None:
        async with shells("web") as (controller, _, _):
            for _ in range(2):
                plan = model_plan()
                summary = await controller.wait(controller.submit(plan, FileStore(plan, {}), expect_agents=1))
                assert summary.verdict == "passed", summary.headline

    asyncio.run(go())


def test_a_second_agent_of_the_same_name_is_refused() -> None:
    async def go() -> None:
        async with shells("web") as (controller, _, lines):
            await until(lambda: "agent web joined" in lines.text, "the first one joins")
            said = Lines()
            assert await model_agent(MemoryDialer(controller), said).run() == ExitCode.FLEET_COULD_NOT_START
            assert "another agent with the name web is online" in said.text

    asyncio.run(go())


def test_its_memory_is_that_of_this_process() -> None:
    code = "import loadr.agent as a; b = bytes(50_000_000); print(a.own_rss_bytes())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert 10_000_000 < int(done.stdout) < 1_000_000_000
    assert own_rss_bytes() > 10_000_000


# --- files: the controller is ours to play, without load ----------------------------------------------------


def play(
    work: Path,
    scene: Callable[[FakeController], Awaitable[None]],
    *,
    corpora: Corpora | None = None,
) -> None:
    """``scene`` with an agent that is online; afterwards it leaves."""

    async def main() -> None:
        controller = FakeController()
        said: list[str] = []
        agent = Agent(
            AgentSetup("a", 1, work_dir=work, corpora=corpora or Corpora({})),
            controller,
            lambda _, text: said.append(text),
            lambda workers, on_event: ModelPool(workers, on_event, lambda _: {}),
        )
        serving = asyncio.create_task(agent.run())
        try:
            await asyncio.wait_for(controller.online.wait(), LIMIT_S)
            await scene(controller)
        finally:
            agent.drain("the end")
            agent.drain("at once")
            await asyncio.wait_for(serving, LIMIT_S)

    asyncio.run(main())


def manifest(path: str, content: bytes) -> m.ManifestFile:
    return m.ManifestFile(path, len(content), hashlib.sha256(content).hexdigest())


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def test_files_are_asked_for_once_and_kept_for_the_next_run(tmp_path: Path) -> None:
    file = manifest("data/big.bin", BIG)

    async def scene(controller: FakeController) -> None:
        controller.contents[file.digest] = BIG
        assert (await controller.assign("r1", [file])).fault is m.FaultKind.NONE
        assert sum(request.length for request in controller.requests) == len(BIG)
        assert (tmp_path / "runs" / "r1" / "data" / "big.bin").read_bytes() == BIG
        controller.forget("r1")
        controller.requests.clear()
        assert (await controller.assign("r2", [file])).fault is m.FaultKind.NONE
        assert controller.requests == []
        assert files_below(tmp_path / "runs") == {"r2/data/big.bin"}

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../evil", "leads out of the plan's folder"),
        ("/evil", "is absolute"),
        ("a\0b", "can not be seen"),
        ("Data.csv", "collide"),
    ],
)
def test_a_manifest_that_no_honest_controller_sends_is_refused_and_nothing_written(
    tmp_path: Path, path: str, words: str
) -> None:
    async def scene(controller: FakeController) -> None:
        answer = await controller.assign("r1", [manifest("data.csv", b"x"), manifest(path, b"evil")])
        assert answer.fault is m.FaultKind.FILES and words in answer.detail
        assert controller.requests == []
        assert files_below(tmp_path) == set()

    play(tmp_path / "work", scene)


def test_a_content_that_is_not_what_was_announced_fails_the_run_in_mid_transfer(tmp_path: Path) -> None:
    file = manifest("big.bin", BIG)

    async def scene(controller: FakeController) -> None:
        controller.contents[file.digest] = BIG[:-1] + b"!"
        answer = await controller.assign("r1", [file])
        assert answer.fault is m.FaultKind.FILES and "its digest differs" in answer.detail
        assert files_below(tmp_path) == set()

    play(tmp_path, scene)


def test_a_run_that_is_given_up_in_mid_transfer_leaves_nothing_and_the_agent_takes_the_next(
    tmp_path: Path,
) -> None:
    file = manifest("big.bin", BIG)

    async def scene(controller: FakeController) -> None:
        controller.contents[file.digest] = BIG
        controller.silent = True
        given_up = asyncio.ensure_future(controller.assign("r1", [manifest("empty", b""), file]))
        await asyncio.wait_for(controller.asked.wait(), LIMIT_S)
        controller.send_file(m.FileRequest("r1", file.digest, 0, 65536))
        await until(lambda: files_below(tmp_path / "incoming") != set(), "the first bytes come")
        controller.forget("r1")
        await until(lambda: files_below(tmp_path / "incoming") == set(), "they go")
        assert files_below(tmp_path / "runs") == set() and not given_up.done()
        given_up.cancel()
        controller.silent = False
        assert (await controller.assign("r2", [file])).fault is m.FaultKind.NONE

    play(tmp_path, scene)


def test_corpora_are_announced_and_seen_in_the_folder_of_a_run(tmp_path: Path) -> None:
    place = tmp_path / "users.csv"
    place.write_bytes(b"id\n1\n")
    digest = hashlib.sha256(b"id\n1\n").hexdigest()
    corpora = Corpora({"users": place})
    corpora.open(lambda _: None)

    def wanting(wanted: str, name: str = "users") -> Plan:
        return plan(data={"users": DataSet(corpus=name, sha256=wanted, columns=("id",))})

    async def scene(controller: FakeController) -> None:
        assert controller.registered is not None
        assert controller.registered.corpora == (m.Corpus("users", 5, digest),)
        assert (await controller.assign("r1", (), wanting(digest))).fault is m.FaultKind.NONE
        assert (tmp_path / "work" / "runs" / "r1" / "corpora" / "users").read_bytes() == b"id\n1\n"
        controller.forget("r1")
        for run_id, wrong, words in (
            ("r2", wanting("a" * 64), f"another corpus 'users' (sha256 {digest}, and the plan wants {'a' * 64})"),
            ("r3", wanting(digest, "other"), "it has no corpus 'other'"),
        ):
            answer = await controller.assign(run_id, (), wrong)
            assert answer.fault is m.FaultKind.CORPUS and words in answer.detail
            controller.forget(run_id)
        await until(lambda: files_below(tmp_path / "work") == set(), "no run stays")
        assert place.exists()

    play(tmp_path / "work", scene, corpora=corpora)


def test_a_folder_that_can_not_be_used_is_an_invalid_argument(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def main() -> None:
        agent = Agent(AgentSetup("a", 1, work_dir=tmp_path / "file"), FakeController(), lambda *_: None)
        with pytest.raises(ArgumentInvalid, match="stands in the way"):
            await agent.run()

    asyncio.run(main())
