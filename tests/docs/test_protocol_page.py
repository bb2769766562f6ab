"""The page of the protocol is enough to write an agent from: one that was is held against ours, and beside it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from docs import stranger
from docs.stranger import Stranger
from loadr.metrics.hdr import decode, encode
from loadr.metrics.histogram import Histogram
from loadr.plan.model import ConstantArrivalRate
from loadr.schedule import ownership
from loadr.schedule.arrivals import Arrivals
from loadr.testing.process import TargetProcess
from support.fleet import Fleet, run_loadr
from support.plans import assert_balanced, read_summary

PLAN = """
name: beside a stranger
seed: 7
defaults: { http: { base_url: "%s" } }
scenarios:
  browse:
    executor: constant-arrival-rate
    arrivals: poisson
    rate: 50
    duration: 4s
    max_vus: 20
    flow: [ request: { get: "/items?page=1", name: items } ]
"""


@pytest.mark.parametrize(("seed", "name"), [(0, "s"), (7, "browse"), (2**63 - 1, "a-b_c")])
def test_the_recipe_for_slots_gives_our_owners(seed: int, name: str) -> None:
    offset = stranger.slot_offset(seed, name)
    assert offset == ownership.slot_offset(seed, name)
    bitmap = ownership.to_bitmap([0, 9, 700, 1023], 1024)
    owned = [k for k in range(2048) if stranger.is_owned(bitmap, k, offset)]
    assert owned == [k for k in range(2048) if ownership.slot_of(k, offset, 1024) in (0, 9, 700, 1023)]


def test_the_recipe_for_poisson_arrivals_gives_ours_to_the_bit() -> None:
    settings = {"rate": 1, "duration": "9000s", "max_vus": 1, "arrivals": "poisson"}
    model = ConstantArrivalRate.model_validate({"executor": "constant-arrival-rate", **settings})
    arrivals = Arrivals("browse", model, 7)
    ours = np.concatenate([arrivals._marks.chunk(index) for index in range(3)])
    assert len(ours) == arrivals.count() > 2 * 4096
    assert list(islice(stranger.poisson_marks(7, "browse", 9000.0), len(ours) + 1)) == ours.tolist()


@pytest.mark.parametrize("samples", [[], [0], [999, 1000], [2_047_999, 2_048_000, 4_096_000], [1_500_000] * 200])
def test_the_recipe_for_histograms_gives_our_buckets(samples: list[int]) -> None:
    histogram = Histogram.of(np.array(samples, dtype=np.int64))
    theirs = decode(stranger.hdr(samples), max_bytes=10_000)
    for mine, other in zip(decode(encode(histogram), max_bytes=10_000), theirs, strict=True):
        assert mine.tolist() == other.tolist()


def test_an_agent_by_somebody_else_runs_its_share_beside_ours_and_totals_are_exact(tmp_path: Path) -> None:
    plan, export = tmp_path / "plan.yaml", tmp_path / "summary.json"
    with TargetProcess() as target, Fleet() as fleet:
        plan.write_text(PLAN % target.url)
        other = Stranger(f"127.0.0.1:{fleet.port}", "stranger")
        other.start()
        fleet.agent("ours")
        fleet.await_agents(2)
        done = run_loadr("run", str(plan), "--controller", fleet.api, "--quiet", "--summary-export", str(export))
        other.join(10)
        assert other.failure is None, other.failure
        assert done.returncode == 0, done.stdout + done.stderr
        total = target.counters()["total"]
    summary = read_summary(export)
    assert_balanced(summary)
    assert summary["metrics"]["http_reqs"]["count"] == total
    (scenario,) = summary["loadr"]["accounting"]["scenarios"]
    assert scenario["planned"] == scenario["expected"] > 100
    shares = {agent["name"]: (agent["state"], agent["requests"] > 0) for agent in summary["loadr"]["agents"]}
    assert shares == {"ours": ("finished", True), "stranger": ("finished", True)}
