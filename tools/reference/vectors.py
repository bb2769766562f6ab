"""Figures to hold another implementation against: slots, arrivals and histograms, computed by our own."""

from __future__ import annotations

import hashlib

import numpy as np

from loadr.metrics.hdr import encode
from loadr.metrics.histogram import Histogram
from loadr.plan.model import ConstantArrivalRate
from loadr.schedule.arrivals import Arrivals
from loadr.schedule.marks import PoissonMarks, unit_exponentials
from loadr.schedule.ownership import slot_count, slot_of, slot_offset
from reference.source import table

SEED, SCENARIO = 7, "browse"


def render_slots() -> str:
    slots = slot_count(2)
    rows = []
    for seed, name in ((0, "s"), (SEED, SCENARIO), (SEED, "buy")):
        offset = slot_offset(seed, name)
        rows.append((seed, name, offset, slot_of(0, offset, slots), slot_of(1000, offset, slots)))
    return table(("Seed", "Scenario", "Offset", f"Slot of 0, S = {slots}", "Slot of 1000"), rows)


def render_poisson() -> str:
    digest = hashlib.sha256(f"loadr arrivals {SEED} {SCENARIO}".encode()).digest()
    key = int.from_bytes(digest[:16], "little")
    executor = {"executor": "constant-arrival-rate", "rate": 100, "duration": "60s", "arrivals": "poisson"}
    model = ConstantArrivalRate.model_validate({**executor, "max_vus": 1})
    arrivals = Arrivals(SCENARIO, model, SEED)
    marks = PoissonMarks(arrivals.shape.total(), None, SEED, SCENARIO).chunk(0)
    steps = unit_exponentials(key, 0)
    rows = [
        (k, float(steps[k]).hex(), float(marks[k]).hex(), f"{arrivals.instant(k):,}") for k in (0, 1, 2, 4095)
    ]
    later = arrivals.chunk(1)[1]
    lines = [
        f"Seed {SEED}, scenario `{SCENARIO}`, 100 per second for 60 s: key `0x{key:032x}`, "
        f"{arrivals.count():,} arrivals; iteration 4,096, the first of chunk 1, at {int(later[0]):,} ns.",
        table(("Iteration k", "Exponential", "Mark", "Instant, ns"), rows),
    ]
    return "\n\n".join(lines)


def render_histograms() -> str:
    samples = {
        "none": [],
        "1 ms": [1_000_000],
        "0.5 µs, 3 × 1 ms, 2.5 s": [500, 1_000_000, 1_000_000, 1_000_000, 2_500_000_000],
    }
    rows = []
    for name, values in samples.items():
        histogram = Histogram.of(np.array(values, dtype=np.int64))
        hdr = encode(histogram)
        rows.append(
            (
                name,
                histogram.count,
                histogram.sum_ns,
                f"`{hdr[:40].hex()}`" + (f" `{hdr[40:].hex()}`" if hdr[40:] else ""),
            )
        )
    return table(("Samples", "count", "sum_ns", "hdr: header, counters"), rows)
