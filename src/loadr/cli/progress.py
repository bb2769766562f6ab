"""Progress of a run on stderr: a panel on a terminal, a plain line every few seconds without one, or nothing.

Takes `LiveView`s as they come. Lines are timed by the views' own clock, so nothing here reads one.
"""

from __future__ import annotations

from typing import Protocol, TextIO

from loadr.report.figures import clean, count, ms, percent, rate, vus, whole_seconds
from loadr.report.layout import to_ascii
from loadr.verdict.model import LiveView

FIRST_LINE_S = 1.0
PATIENCE_S = 2.0  # the first second's figures arrive about half a second after its end
LINE_EVERY_S = 5.0


class Progress(Protocol):
    """Shows views until it is closed; a notice is a sentence that must not be missed."""

    def show(self, view: LiveView) -> None: ...

    def notice(self, text: str) -> None: ...

    def close(self) -> None: ...


class Silence:
    """`--quiet`: only notices."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, view: LiveView) -> None:
        pass

    def notice(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()

    def close(self) -> None:
        pass


class PlainLines(Silence):
    """A line after the first second, then every five, and one whenever the run's state changes."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._ascii = not is_utf8(stream)
        self._state = ""
        self._next_s = FIRST_LINE_S

    def show(self, view: LiveView) -> None:
        if view.state != self._state:
            self._state = view.state
            self._write(state_line(view))
        has_figures = view.rate_per_s > 0 or view.elapsed_s >= PATIENCE_S
        if view.state in ("running", "stopping") and view.elapsed_s >= self._next_s and has_figures:
            self._next_s = (view.elapsed_s // LINE_EVERY_S + 1) * LINE_EVERY_S
            self._write(view_line(view))

    def _write(self, line: str) -> None:
        self.notice(to_ascii(line) if self._ascii else line)


def is_utf8(stream: TextIO) -> bool:
    """Whether ``stream`` can carry any character."""
    return (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "").startswith("utf8")


def open_progress(stream: TextIO, *, quiet: bool) -> Progress:
    """The kind of progress that suits ``stream``."""
    if quiet:
        return Silence(stream)
    if stream.isatty():
        from loadr.cli.panel import Panel

        return Panel(stream)
    return PlainLines(stream)


def state_line(view: LiveView) -> str:
    """``checkout: running, 3 agents``; a run that waits says for what."""
    agents = f", {len(view.agents)} agent{'s' if len(view.agents) != 1 else ''}" if view.agents else ""
    cause = f": {clean(view.cause)}" if view.cause else ""
    return f"{clean(view.name)}: {view.state}{agents}{cause}"


def view_line(view: LiveView) -> str:
    """One view in one line of at most 80 columns in ordinary runs."""
    parts = [f"{whole_seconds(view.elapsed_s)}/{whole_seconds(view.planned_s)}", rate_words(view)]
    parts += [f"p95 {ms(view.percentiles.p95)}", f"p99 {ms(view.percentiles.p99)}"]
    parts.append(f"failed {count(view.failed)}" + (f" ({percent(view.failed_fraction)})" if view.failed else ""))
    parts.append(vus(view.vus))
    if view.dropped or view.missed:
        parts.append(f"dropped {count(view.dropped + view.missed)}")
    away = [agent for agent in view.agents if agent.state in ("suspect", "lost")]
    parts += [f"{clean(agent.name)} {agent.state}" for agent in away[:2]]
    failing = [result for result in view.thresholds if result.passed is False]
    if failing:
        parts.append(f"{len(failing)} threshold{'s' if len(failing) != 1 else ''} failing")
    return "  ".join(parts)


def rate_words(view: LiveView) -> str:
    """``411 req/s`` of a closed run; ``400/s of 400/s`` iterations where the plan sets a rate."""
    requests = f"{rate(view.rate_per_s).removesuffix('/s')} req/s"
    if view.target_per_s is None:
        return requests
    return f"{rate(view.open_iterations_per_s)} of {rate(view.target_per_s)}  {requests}"
