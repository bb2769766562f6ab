"""VUs of three real agents meet, and go on together; and do not wait for ever for those who never come."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadr.errors import ExitCode
from loadr.testing.process import TargetProcess
from support.fleet import run_loadr
from support.plans import assert_balanced, read_summary

FLOW = """
name: doors
defaults: {{ http: {{ base_url: "{url}" }} }}
scenarios:
  meet:
    executor: constant-vus
    vus: 9
    duration: 3s
    graceful_stop: 5s
    flow:
      - request: {{ get: "/before", name: before }}
      - rendezvous: {{ name: door, users: {users}, timeout: {timeout} }}
      - request: {{ get: "/after", name: after }}
      - think: 300ms
"""
SCRIPT = """
from loadr import constant_vus, options, scenario

options(base_url="{url}")


@scenario(constant_vus(9, "3s"), graceful_stop="5s")
async def meet(vu):
    await vu.http.get("/before")
    met = await vu.rendezvous("door", users={users}, timeout="{timeout}")
    await vu.http.get("/after" if met else "/alone")
    await vu.think(0.3)
"""


def run(tmp_path: Path, url: str, name: str, text: str) -> dict[str, object]:
    plan, export = tmp_path / name, tmp_path / "summary.json"
    plan.write_text(text)
    done = run_loadr(
        *("run", str(plan), "--agents", "3", "--workers", "1", "--quiet", "--summary-export", str(export))
    )
    assert done.returncode == ExitCode.PASSED, done.stdout + done.stderr
    summary = read_summary(export)
    assert_balanced(summary)
    return summary


@pytest.mark.parametrize(("name", "text"), [("plan.yaml", FLOW), ("doors.py", SCRIPT)], ids=["flow", "script"])
def test_nobody_goes_on_before_all_have_come(tmp_path: Path, name: str, text: str) -> None:
    with TargetProcess("--record-arrivals", "9999") as target:
        run(tmp_path, target.url, name, text.format(url=target.url, users=9, timeout="20s"))
        paths = target.counters()["arrival_paths"]
    kinds = [path.rpartition("/")[2] for path in paths]
    rounds = kinds.count("after") // 9
    assert rounds >= 3
    # In each round all nine have come before the first one goes on. (The last may be cut short: the load ended.)
    seen = {"before": 0, "after": 0}
    for kind in kinds[: 18 * (rounds - 1)]:
        seen[kind] += 1
        if kind == "after":
            assert seen["before"] >= 9 * -(-seen["after"] // 9)


def test_who_waits_in_vain_goes_on_when_time_is_up_and_the_check_says_so(tmp_path: Path) -> None:
    with TargetProcess() as target:
        text = SCRIPT.format(url=target.url, users=10, timeout="500ms")
        summary = run(tmp_path, target.url, "doors.py", text)
        by_path = target.counters()["by_path"]
    assert by_path["GET /alone"] >= 9
    (line,) = [line for line in summary["loadr"]["checks"] if line["name"] == "rendezvous door"]  # type: ignore[index]
    assert line["fails"] == by_path["GET /alone"]
    assert line["passes"] == by_path.get("GET /after", 0)
