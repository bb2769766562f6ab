"""What the API asks of a controller, answered by `loadr.controller.Controller` and a folder of uploads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from loadr.version import __version__

if TYPE_CHECKING:
    from loadr.controller import Controller
    from loadr.masking import Secrets
    from loadr.plan.model import Plan
    from loadr.schedule.change import Change, ChangeKind
    from loadr.transport.filestore import Uploads
    from loadr.verdict.model import LiveView, Summary


class Desk:
    """See `loadr.api.facade.ControllerFacade`."""

    def __init__(self, controller: Controller, uploads: Uploads) -> None:
        self._controller = controller
        self._uploads = uploads

    def status(self) -> Mapping[str, object]:
        agents = self._controller.core.agents.values()
        return {
            "version": __version__,
            "controller_id": self._controller.controller_id,
            "agents": [
                {
                    "name": agent.name,
                    "state": agent.state,
                    "version": agent.software_version,
                    "workers": agent.weight,
                    "labels": agent.labels,
                    "corpora": {corpus.name: corpus.digest for corpus in agent.corpora},
                    "cpu_percent": agent.cpu_percent,
                }
                for agent in agents
            ],
            "runs": self._controller.run_ids,
            "current": current.run_id if (current := self._controller.core.current_run) is not None else "",
        }

    def has_file(self, digest: str) -> bool:
        return self._uploads.has(digest)

    def put_file(self, digest: str, data: bytes) -> None:
        self._uploads.put(digest, data)

    def submit(
        self, plan: Plan, *, expect_agents: int, labels: Mapping[str, str], wait_s: float | None, secrets: Secrets
    ) -> str:
        files = self._uploads.files_of(plan)
        return self._controller.submit(
            plan, files, expect_agents=expect_agents, labels=labels, wait_s=wait_s, secrets=secrets
        )

    @property
    def run_ids(self) -> Sequence[str]:
        return self._controller.run_ids

    def view(self, run_id: str) -> LiveView | None:
        return self._controller.view(run_id)

    def summary(self, run_id: str) -> Summary | None:
        return self._controller.summary(run_id)

    def change(self, run_id: str, kind: ChangeKind, scenario: str, value: str) -> tuple[Change, int]:
        return self._controller.change(run_id, kind, scenario, value)

    def stop(self, run_id: str, *, graceful: bool) -> None:
        self._controller.stop(run_id, graceful=graceful)
