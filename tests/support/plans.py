"""Plans that several end-to-end tests share, written into a folder of the test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MIXED = """
name: mixed
seed: 7
defaults: {{ http: {{ base_url: "{url}", timeout: 5s }} }}
data:
  users: {{ file: users.csv, mode: unique, on_end: recycle }}
scenarios:
  steady:
    executor: constant-arrival-rate
    rate: 90
    duration: {duration}
    max_vus: 60
    flow:
      - request: {{ get: "/steady?user=${{users.name}}", name: steady, check: {{ status: 200 }} }}
  ramp:
    executor: ramping-arrival-rate
    arrivals: poisson
    start_rate: 10
    stages: [ {{ duration: 1s, target: 80 }}, {{ duration: {rest}, target: 80 }} ]
    max_vus: 60
    flow:
      - request: {{ post: /cart, json: {{ n: "${{iteration}}" }}, name: cart, check: {{ status: 201 }} }}
      - think: 20ms
      - request: {{ get: "/items?delay=5ms", name: items, extract: {{ first: {{ jsonpath: "$.items[0].id" }} }} }}
  loop:
    executor: constant-vus
    vus: 7
    duration: {duration}
    graceful_stop: 3s
    flow:
      - request: {{ get: "/loop?delay=20ms", name: loop }}
  script:
    script: script.py
    executor: constant-vus
    vus: 5
    duration: {duration}
    graceful_stop: 3s
"""

SCRIPT = """
from loadr import check, constant_vus, scenario


@scenario(constant_vus(vus=5, duration="4s"))
async def script(vu):
    page = await vu.http.get("/script?delay=10ms", name="script")
    check(page, "status is 200", page.status == 200)
    await vu.think(0.01, 0.03)
"""


def write_mixed(folder: Path, url: str, *, seconds: int = 4, lease: str | None = None, extra: str = "") -> Path:
    """Two open scenarios, a closed one and one in Python, for ``seconds`` ≥ 2."""
    text = MIXED.format(url=url, duration=f"{seconds}s", rest=f"{seconds - 1}s")
    if lease:
        text += f"lease: {lease}\n"
    (folder / "script.py").write_text(SCRIPT)
    (folder / "users.csv").write_text("name,city\n" + "".join(f"user{i},town{i % 7}\n" for i in range(50)))
    path = folder / "plan.yaml"
    path.write_text(text + extra)
    return path


def write_steady(
    folder: Path, url: str, *, rate: int, seconds: int, lease: str = "10s", extra: str = "", path: str = "/steady"
) -> Path:
    """One open scenario with evenly spaced arrivals."""
    text = f"""
name: steady
seed: 11
lease: {lease}
defaults: {{ http: {{ base_url: "{url}", timeout: 5s }} }}
scenarios:
  steady:
    executor: constant-arrival-rate
    rate: {rate}
    duration: {seconds}s
    max_vus: 100
    graceful_stop: 3s
    flow:
      - request: {{ get: "{path}", name: steady }}
"""
    plan = folder / "plan.yaml"
    plan.write_text(text + extra)
    return plan


def read_summary(path: Path) -> dict[str, Any]:
    """What `--summary-export` wrote."""
    summary: dict[str, Any] = json.loads(path.read_text())
    return summary


def scenario_accounts(summary: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """``loadr.accounting`` by scenario."""
    return {account["scenario"]: account for account in summary["loadr"]["accounting"]["scenarios"]}


def assert_balanced(summary: dict[str, Any]) -> None:
    """R5, to the unit, per scenario; and what the schedule planned was what the agents planned."""
    for name, account in scenario_accounts(summary).items():
        assert account["planned"] == account["started"] + account["dropped"] + account["missed"], name
        assert account["started"] == account["finished"] + account["interrupted"] + account["lost"], name
        if account["expected"] is not None:
            assert account["planned"] == account["expected"], name
