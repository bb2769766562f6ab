"""A folder with files, and a plan in it that is loaded or refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from loadr.errors import PlanInvalid
from loadr.plan.loader import LoadedPlan, load_plan

USERS = "id,name,age\n1,Ada,36\n2,Alan,41\n3,Grace,85\n"


class Desk:
    """Files in a temporary folder, which is the current one, so that faults name them without it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def load(self, plan: str | bytes, name: str = "plan.yaml", **options: Any) -> LoadedPlan:
        self.write(name, plan)
        return load_plan(Path(name), **options)

    def faults(self, plan: str | bytes, name: str = "plan.yaml", **options: Any) -> list[str]:
        """``place: path: message -> hint`` of each fault; the plan's own file name is left out."""
        with pytest.raises(PlanInvalid) as caught:
            self.load(plan, name, **options)
        return [f"{fault} -> {fault.hint}".removeprefix(f"{name}:").lstrip() for fault in caught.value.faults]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A `Desk` with ``users.csv`` (id, name, age; three rows) on it."""
    monkeypatch.chdir(tmp_path)
    made = Desk(tmp_path)
    made.write("users.csv", USERS)
    return made


@pytest.fixture
def flow_faults(desk: Desk) -> Callable[..., list[str]]:
    """The faults of a plan whose one scenario has these steps; without the part of the path that all share."""

    def find(steps: str, env: Mapping[str, str] | None = None) -> list[str]:
        plan = (
            "defaults: { http: { base_url: 'http://x' } }\n"
            "data: { users: { file: users.csv } }\n"
            "scenarios:\n  a: { executor: constant-vus, vus: 1, duration: 1s, flow: [\n"
            f"{steps}\n]}}"
        )
        return [fault.replace("scenarios.a.flow", "") for fault in desk.faults(plan, env=env)]

    return find
