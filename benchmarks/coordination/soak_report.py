"""What a soak found, in 80 columns: the verdict first, then promises, rates and memory.

Takes the outcome of soak.py; gives text, and whether everything was kept.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from soak_memory import GROWTH_MB, Line

if TYPE_CHECKING:
    from soak import Outcome

WIDTH = 80
JUDGED_SHORT = 10
GROWTH_SHORT_MB = 1.0
"""What the controller may have more after the last short run than ten runs before: it forgets as many as it takes
in. What was merged in a run of two seconds is 0.75 MB; a run that is kept for its summary is about 0.05 MB."""
SHOWN = {"controller": 1, "agent": 4, "worker": 4}


def report(outcome: Outcome) -> tuple[str, bool]:
    """(text, whether it is good)."""
    broken = [check.name for check in outcome.checks if not check.is_kept]
    broken += [f"memory of {line.name} is not flat" for line in outcome.lines if not line.is_flat]
    if "controller" not in {line.role for line in outcome.lines}:
        broken.append("the memory of the controller was not seen")
    growth_mb = _short_growth(outcome)
    if growth_mb is not None and growth_mb > GROWTH_SHORT_MB:
        broken.append("runs do not give back what they took")
    lines = [*_verdict(outcome, broken), "", *_faults(outcome), "", *_promises(outcome)]
    lines += ["", *_memory(outcome.lines), *_short(outcome, growth_mb)]
    return "\n".join(lines) + "\n", not broken


def _verdict(outcome: Outcome, broken: list[str]) -> Iterator[str]:
    requests = outcome.summary["loadr"]["accounting"]["requests_merged"]
    minutes, faults = outcome.seconds / 60, len(outcome.faults)
    what = f"{minutes:.0f} min, {faults} faults, {requests:,} requests, seed {outcome.seed}"
    if not broken:
        yield f"KEPT    {what}; every promise was kept"
        return
    yield f"BROKEN  {what}"
    yield from (f"        {name}" for name in broken)


def _faults(outcome: Outcome) -> Iterator[str]:
    kinds = Counter(fault.kind for fault in outcome.faults)
    text = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    yield from textwrap.wrap(f"faults: {text}", WIDTH, subsequent_indent="  ")
    yield from textwrap.wrap(f"summary: {outcome.summary['loadr']['headline']}", WIDTH, subsequent_indent="  ")


def _promises(outcome: Outcome) -> Iterator[str]:
    for check in outcome.checks:
        mark = "kept  " if check.is_kept else "BROKEN"
        yield from textwrap.wrap(f"{mark} {check.name}: {check.figures}", WIDTH, subsequent_indent=" " * 9)


def _memory(lines: list[Line]) -> Iterator[str]:
    yield f"{'memory (RssAnon)':<22} {'over':>7} {'from':>9} {'growth':>9} {'max-min':>9} {'per hour':>10}  limit"
    shown: Counter[str] = Counter()
    for line in lines:
        shown[line.role] += 1
        if shown[line.role] > SHOWN[line.role] and line.is_flat:
            continue
        mark = "" if line.is_flat else "  NOT FLAT"
        name = line.name if line.role != "worker" else f"worker {line.name}"
        yield (
            f"{name:<22} {line.over_s:>5.0f} s {line.first_mb:>6.1f} MB {line.growth_mb:>+6.2f} MB "
            f"{line.spread_mb:>6.1f} MB {line.per_hour_mb:>+7.1f} MB  {GROWTH_MB[line.role]:g} MB{mark}"
        )


def _short_growth(outcome: Outcome) -> float | None:
    mb = outcome.short_mb
    return mb[-1] - mb[-1 - JUDGED_SHORT] if len(mb) > 2 * JUDGED_SHORT else None


def _short(outcome: Outcome, growth_mb: float | None) -> Iterator[str]:
    mb = outcome.short_mb
    if mb:
        yield f"{len(mb)} short runs: controller {mb[0]:.1f} MB after the first, {mb[-1]:.1f} MB after the last"
    if growth_mb is not None:
        yield f"  over the last {JUDGED_SHORT}: {growth_mb:+.2f} MB (limit {GROWTH_SHORT_MB:g} MB)"
