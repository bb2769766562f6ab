"""The live panel: one `LiveView` drawn with rich within 80 columns, redrawn in place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

from rich.box import ROUNDED
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel as Box
from rich.table import Table
from rich.text import Text

from loadr.cli.progress import is_utf8, rate_words
from loadr.report.figures import clean, clip, count, ms, observed, percent, vus, whole_seconds
from loadr.verdict.model import LiveAgent, LiveView

WIDTH = 80
SPARE = (
    2  # a terminal echoes Ctrl-C as ^C behind the panel; if that wrapped, the panel's frame would be left behind
)
_AGENTS_SHOWN = 8
_THRESHOLDS_SHOWN = 6


class Panel:
    """A panel that replaces itself with every view. Notices stay above it."""

    def __init__(self, stream: TextIO, console: Console | None = None) -> None:
        self._console = console or Console(file=stream, highlight=False)
        self._utf8 = is_utf8(stream)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._open = False

    def show(self, view: LiveView) -> None:
        if not self._open:
            self._live.start()
            self._open = True
        width = min(WIDTH, self._console.width - SPARE)
        self._live.update(draw(view, width, utf8=self._utf8), refresh=True)

    def notice(self, text: str) -> None:
        self._console.print(Text(text, style="yellow"))

    def close(self) -> None:
        if self._open:
            self._live.stop()
            self._open = False


def draw(view: LiveView, width: int, *, utf8: bool = True) -> Box:
    """The panel of one view. All text is put in as text: nothing in it is markup."""
    lines: list[Text | Table] = [_bar(view, width - 4, utf8), Text(), _figures(view)]
    if view.thresholds:
        lines += [Text(), *_thresholds(view, width - 4, utf8)]
    if view.agents:
        lines += [Text(), _agents(view)]
    if view.cause:
        lines += [Text(), Text(clean(view.cause), style="yellow")]
    return Box(
        Group(*lines),
        title=Text(f" {clip(clean(view.name), 30)} ", style="bold"),
        title_align="left",
        subtitle=Text(f" {view.state} ", style="dim"),
        subtitle_align="right",
        box=ROUNDED,
        border_style="dim",
        width=width,
    )


def _bar(view: LiveView, width: int, utf8: bool) -> Text:
    words = f"  {whole_seconds(view.elapsed_s)} of {whole_seconds(view.planned_s)}"
    words += f", {whole_seconds(view.left_s + 0.5)} left" if view.left_s > 0.5 else ""
    room = max(width - len(words), 10)
    part = min(view.elapsed_s / view.planned_s, 1.0) if view.planned_s > 0 else 1.0
    filled = round(room * part)
    full, empty = ("━", "─") if utf8 else ("#", "-")
    return Text.assemble((full * filled, "green"), (empty * (room - filled), "dim"), words)


def _figures(view: LiveView) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", min_width=12, no_wrap=True)
    grid.add_column(no_wrap=True)
    last = view.percentiles
    failed = Text(f"{count(view.failed)} ({percent(view.failed_fraction)})", style="red" if view.failed else "")
    grid.add_row("rate", rate_words(view))
    grid.add_row("last 10 s", f"p50 {ms(last.p50)}   p95 {ms(last.p95)}   p99 {ms(last.p99)}")
    grid.add_row("requests", Text.assemble(f"{count(view.requests)}, failed ", failed))
    users = f"{vus(view.vus)}, {count(view.iterations)} iterations"
    grid.add_row("users", users)
    if view.dropped or view.missed:
        grid.add_row("", Text(f"dropped {count(view.dropped)}, missed {count(view.missed)}", style="yellow"))
    return grid


def _thresholds(view: LiveView, width: int, utf8: bool) -> Iterator[Text]:
    marks = {True: ("✓" if utf8 else "+", "green"), False: ("✗" if utf8 else "x", "red"), None: ("·", "dim")}
    failing_first = sorted(view.thresholds, key=lambda result: result.passed is not False)
    for result in failing_first[:_THRESHOLDS_SHOWN]:
        mark, style = marks[result.passed]
        seen = observed(result)
        room = width - len(seen) - 4
        yield Text.assemble((mark, style), " ", clip(clean(result.text), room).ljust(room), "  ", (seen, style))
    if len(failing_first) > _THRESHOLDS_SHOWN:
        yield Text(f"and {len(failing_first) - _THRESHOLDS_SHOWN} more", style="dim")


def _agents(view: LiveView) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("agent", no_wrap=True, max_width=24)
    table.add_column("state")
    for name in ("share", "requests", "VUs", "cpu", "lag p99"):
        table.add_column(name, justify="right", no_wrap=True)
    troubled_first = sorted(view.agents, key=lambda agent: agent.state not in ("suspect", "lost"))
    for agent in troubled_first[:_AGENTS_SHOWN]:
        table.add_row(*_agent_cells(agent))
    if len(view.agents) > _AGENTS_SHOWN:
        table.add_row(Text(f"and {len(view.agents) - _AGENTS_SHOWN} more", style="dim"))
    return table


def _agent_cells(agent: LiveAgent) -> list[Text]:
    style = {"suspect": "yellow", "lost": "red"}.get(agent.state, "")
    cells = (
        clean(agent.name),
        agent.state,
        f"{agent.share * 100:.1f}%",
        count(agent.requests),
        count(agent.vus),
        f"{agent.cpu_percent:.0f}%",
        ms(agent.lag_p99_ms),
    )
    return [Text(cell, style=style) for cell in cells]
