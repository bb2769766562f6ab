"""A run at a controller: uploads, submission, views, the summary, stops; and controllers that are not there."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest

from loadr.api.client import ControllerClient, RemoteRun
from loadr.errors import ArgumentInvalid, FleetFault, Unreachable
from loadr.masking import Secrets
from loadr.plan.model import Plan
from loadr.testing.process import TargetProcess
from loadr.transport.grpc_server import GrpcServer
from loadr.transport.link import ControllerLink
from loadr.verdict.model import LiveView
from support.api import FakeController, serving_api


@dataclass(frozen=True)
class Loaded:
    plan: Plan
    files: dict[str, Path]


def load(folder: Path, **contents: bytes) -> Loaded:
    files, paths = [], {}
    for name, data in contents.items():
        paths[name] = folder / name
        paths[name].write_bytes(data)
        files.append({"path": name, "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})
    scenario = {"executor": "constant-vus", "vus": 1, "duration": "1s", "script": "buy.py"}
    return Loaded(Plan.model_validate({"scenarios": {"s": scenario}, "files": files}), paths)


def free_address() -> str:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{sock.getsockname()[1]}"


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadr.api.client.VIEW_EVERY_S", 0.01)


def test_a_run_uploads_what_is_missing_and_gives_views_and_the_summary(tmp_path: Path) -> None:
    loaded = load(tmp_path, a=b"one", b=b"one", c=b"two" * 50_000)
    controller = FakeController(looks=3)
    kept = hashlib.sha256(b"one").hexdigest()
    controller.files[kept] = b"kept"  # would be overwritten by a needless upload
    views: list[LiveView] = []
    with serving_api(controller) as address:
        summary = asyncio.run(RemoteRun(loaded, address, on_view=views.append).run())
    assert summary.run_id == "r1" and summary.verdict == "passed"
    assert [view.state for view in views] == ["running", "running", "complete"]
    assert controller.plans["r1"] == loaded.plan
    assert controller.files == {kept: b"kept", hashlib.sha256(b"two" * 50_000).hexdigest(): b"two" * 50_000}
    assert controller.stops == []


def test_the_first_stop_is_graceful_and_the_second_is_not(tmp_path: Path) -> None:
    controller = FakeController(looks=10**6)

    async def main(address: str) -> str:
        run: RemoteRun

        def stop_twice(_: LiveView) -> None:
            if len(controller.stops) < 2:
                run.stop()

        run = RemoteRun(load(tmp_path), address, on_view=stop_twice)
        return (await asyncio.wait_for(run.run(), 10)).run_id

    with serving_api(controller) as address:
        assert asyncio.run(main(address)) == "r1"
    assert controller.stops == [("r1", True), ("r1", False)]


def test_a_stop_before_the_run_began_submits_nothing(tmp_path: Path) -> None:
    controller = FakeController()
    with serving_api(controller) as address:
        run = RemoteRun(load(tmp_path, a=b"x"), address)
        run.stop()
        with pytest.raises(FleetFault, match="stopped before the run began"):
            asyncio.run(run.run())
    assert controller.plans == controller.files == {}


def test_a_controllers_no_is_told_in_its_words(tmp_path: Path) -> None:
    controller = FakeController()
    controller.busy = True
    with serving_api(controller) as address:
        with pytest.raises(FleetFault, match=f"the controller at {address} says: run r0 is going on") as caught:
            asyncio.run(RemoteRun(load(tmp_path), address).run())
        assert caught.value.hint == "wait until it ends, or stop it"
        with pytest.raises(FleetFault, match="there is no run r9"):
            ControllerClient(address).view("r9")


def test_a_file_that_changed_or_vanished_is_named(tmp_path: Path) -> None:
    loaded = load(tmp_path, users=b"x")
    with serving_api(FakeController()) as address:
        loaded.files["users"].write_bytes(b"other")
        with pytest.raises(ArgumentInvalid, match="'users' changed after the plan was loaded"):
            asyncio.run(RemoteRun(loaded, address).run())
        loaded.files["users"].unlink()
        with pytest.raises(ArgumentInvalid, match="'users' can not be read: No such file"):
            asyncio.run(RemoteRun(loaded, address).run())


def test_a_file_over_the_limit_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadr.api.client.MAX_FILE_BYTES", 2)
    with (
        serving_api(FakeController()) as address,
        pytest.raises(ArgumentInvalid, match="is over the limit of"),
    ):
        asyncio.run(RemoteRun(load(tmp_path, users=b"123"), address).run())


def test_nobody_at_the_address_is_unreachable_with_the_next_step(tmp_path: Path) -> None:
    address = free_address()
    with pytest.raises(Unreachable, match=f"no controller answers at {address}: Connection refused") as caught:
        asyncio.run(RemoteRun(load(tmp_path), address).run())
    assert "loadr controller" in caught.value.hint


def test_what_is_no_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentInvalid, match="is not an address"):
        RemoteRun(load(tmp_path), "nowhere")


def test_the_agents_port_is_not_the_api() -> None:
    async def nothing(_: ControllerLink) -> None: ...

    async def main() -> None:
        server = GrpcServer("127.0.0.1:0", tls=None, insecure=False, on_link=nothing)
        host, port = await server.start()
        with pytest.raises(Unreachable, match="is not the API of a controller") as caught:
            await asyncio.to_thread(ControllerClient(f"{host}:{port}").status)
        assert "--api" in caught.value.hint
        await server.stop()

    asyncio.run(main())


def test_a_web_server_that_answers_everything_in_json_is_not_the_api(tmp_path: Path) -> None:
    with TargetProcess() as target:
        address = target.url.removeprefix("http://")
        with pytest.raises(Unreachable, match="is not the API of a controller"):
            asyncio.run(RemoteRun(load(tmp_path, users=b"x"), address).run())


def test_a_controller_that_goes_away_in_mid_run_is_told_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadr.api.client.GONE_AFTER_S", 0.3)
    controller = FakeController(looks=10**6)

    async def main() -> None:
        views: asyncio.Queue[LiveView] = asyncio.Queue()
        with serving_api(controller) as address:
            running = asyncio.create_task(RemoteRun(load(tmp_path), address, on_view=views.put_nowait).run())
            await asyncio.wait_for(views.get(), 5)
        with pytest.raises(Unreachable, match=f"the controller at {address} went away while run r1"):
            await asyncio.wait_for(running, 10)

    asyncio.run(main())


def test_the_status_is_read() -> None:
    with serving_api(FakeController()) as address:
        assert ControllerClient(address).status() == {"version": "1", "agents": [], "runs": [], "current": ""}


def test_secrets_travel_beside_the_plan_and_not_in_it(tmp_path: Path) -> None:
    controller, sent = FakeController(), load(tmp_path).plan
    with serving_api(controller) as address:
        ControllerClient(address).submit(sent.canonical_json(), secrets=Secrets({"KEY": "hunter2"}))
    assert controller.secrets == [{"KEY": "hunter2"}]
    (plan,) = controller.plans.values()
    assert plan == sent and "hunter2" not in repr(controller.secrets)
