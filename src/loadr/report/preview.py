"""What each agent of a fleet would do, as text: a plan and its `Preview` in, lines of tables out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loadr.plan.model import Plan, Scenario
from loadr.report.figures import clean, count, rate, seconds, vus
from loadr.report.layout import flow, table
from loadr.schedule.preview import Preview, ScenarioPreview
from loadr.units import format_short_ns

WIDTH = 80
_AGENTS_OVER_TIME = 6  # as many columns as fit

Parts = Sequence[tuple[str, ScenarioPreview]]  # (agent's name, its part of one scenario)


def render_preview(plan: Plan, shown: Preview) -> str:
    """A block for each scenario, within 80 columns for ordinary names, ending with a newline."""
    return "\n".join(_lines(plan, shown)) + "\n"


def _lines(plan: Plan, shown: Preview) -> Iterator[str]:
    agents = len(shown.agents)
    fleet = f"{agents} agent{'s' if agents != 1 else ''}"
    yield f"{clean(plan.name)}: {seconds(plan.duration_ns / 1e9)}, seed {plan.seed}, {fleet}"
    for i, whole in enumerate(shown.fleet):
        parts = [(clean(agent.name), agent.scenarios[i]) for agent in shown.agents]
        yield ""
        yield _title(plan.scenarios[whole.scenario], whole)
        yield from _shares(parts)
        if whole.rates:
            yield from _over_time(shown.instants_ns, whole, parts)
            yield from _first_starts(parts)


def _title(scenario: Scenario, whole: ScenarioPreview) -> str:
    size = vus(whole.vus)
    if whole.iterations is not None:
        size = f"{count(whole.iterations)} iterations, at most {size}"
    return f"{whole.scenario}  {scenario.executor}, {size}"


def _shares(parts: Parts) -> list[str]:
    header = ["agent", "part", "VUs", "at start", "iterations"]
    header += [f"rows of {taken.data}" for taken in parts[0][1].rows]
    return table(header, [_share(agent, part, header[5:]) for agent, part in parts], WIDTH, indent="  ")


def _share(agent: str, part: ScenarioPreview, row_columns: Sequence[str]) -> list[str]:
    iterations = "-" if part.iterations is None else count(part.iterations)
    cells = [agent, f"{part.part * 100:.1f}%", count(part.vus), count(part.pre_allocated_vus), iterations]
    rows = {f"rows of {taken.data}": taken for taken in part.rows}
    for column in row_columns:
        taken = rows.get(column)
        cells.append("-" if taken is None else f"{count(taken.taken)} of {taken.first} … {taken.last}")
    return cells


def _over_time(instants_ns: Sequence[int], whole: ScenarioPreview, parts: Parts) -> Iterator[str]:
    shown = parts[:_AGENTS_OVER_TIME]
    rows = [
        [seconds(ns / 1e9), rate(whole.rates[i]), *(rate(part.rates[i]) for _, part in shown)]
        for i, ns in enumerate(instants_ns)
    ]
    yield "  rate over time" + (f", of the first {len(shown)} agents" if len(shown) < len(parts) else "")
    yield from table(["", "fleet", *(name for name, _ in shown)], rows, WIDTH, indent="  ")


def _first_starts(parts: Parts) -> Iterator[str]:
    yield "  first iterations"
    width = max(len(agent) for agent, _ in parts)
    for agent, part in parts:
        starts = [f"{number} at {format_short_ns(run_ns)}" for number, run_ns in part.first]
        yield from flow(f"  {agent.ljust(width)}  ", starts or ["none"], WIDTH)
