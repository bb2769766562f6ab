"""The controller behind the API: files come first, then the plan."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadr.api.desk import Desk
from loadr.controller import Controller
from loadr.errors import FleetFault
from loadr.masking import NO_SECRETS
from loadr.plan.model import Plan
from loadr.transport.filestore import Uploads

USERS = b"name\nada\n"
DIGEST = hashlib.sha256(USERS).hexdigest()
PLAN = Plan.model_validate(
    {
        "scenarios": {"s": {"executor": "constant-vus", "vus": 1, "duration": "1s", "script": "buy.py"}},
        "files": [{"path": "users.csv", "size_bytes": len(USERS), "sha256": DIGEST}],
    }
)
WISH: dict[str, Any] = {"expect_agents": 1, "labels": {}, "wait_s": None, "secrets": NO_SECRETS}


def test_a_run_is_taken_once_its_files_are_there(tmp_path: Path) -> None:
    async def main() -> None:
        controller = Controller(lambda level, text: None)
        controller.open()
        desk = Desk(controller, Uploads(tmp_path, 10**6))
        try:
            with pytest.raises(FleetFault, match=r"does not have users\.csv"):
                desk.submit(PLAN, **WISH)
            assert not desk.has_file(DIGEST)
            desk.put_file(DIGEST, USERS)
            assert desk.has_file(DIGEST)
            run_id = desk.submit(PLAN, **WISH)
            assert tuple(desk.run_ids) == (run_id,)
            view = desk.view(run_id)
            assert view is not None and view.run_id == run_id
            assert desk.summary(run_id) is None
            with pytest.raises(FleetFault):
                desk.submit(PLAN, **WISH)
            desk.stop(run_id, graceful=False)
            assert (await asyncio.wait_for(controller.wait(run_id), 10)).run_id == run_id
            assert desk.summary(run_id) is not None
        finally:
            await controller.close()

    asyncio.run(main())


def test_the_status_is_plain_json(tmp_path: Path) -> None:
    controller = Controller(lambda level, text: None)
    status = msgspec.json.decode(msgspec.json.encode(Desk(controller, Uploads(tmp_path, 1)).status()))
    assert status["agents"] == [] and status["runs"] == [] and status["version"]
    assert status["controller_id"] == controller.controller_id


def test_an_unknown_run_is_none(tmp_path: Path) -> None:
    desk = Desk(Controller(lambda level, text: None), Uploads(tmp_path, 1))
    assert desk.view("no") is None
    assert desk.summary("no") is None
