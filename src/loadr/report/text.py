"""The console summary: a `Summary` in, lines of text out.

The verdict first, then what limits trust in it, then thresholds, checks, k6's metrics under k6's names, requests,
errors, the accounting and the agents. Made for a terminal of 80 columns, a CI log and a chat.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from loadr.report.figures import (
    apart_from_load,
    clean,
    clip,
    count,
    meanings,
    metric_pieces,
    ms,
    observed,
    percent,
    rate,
)
from loadr.report.layout import Ink, Tone, flow, table, to_ascii
from loadr.verdict.model import AgentLine, MetricLine, RequestLine, Spread, Summary

NARROW = 80
_NAME_WIDTH = 26  # the longest built-in name has 24 characters


def render_text(summary: Summary, *, width: int = NARROW, colour: bool = False, ascii_only: bool = False) -> str:
    """The whole summary, ending with a newline. ``width`` below 80 is taken as 80."""
    ink = Ink(colour)
    width = max(width, NARROW)
    sections = (
        _verdict(summary, width, ink),
        _trust(summary, width, ink),
        _events(summary, width, ink),
        _thresholds(summary, width, ink),
        _checks(summary, width, ink),
        _metrics(summary, width, ink),
        _requests(summary, width, ink),
        _errors(summary, width, ink),
        _accounting(summary, width, ink),
        _agents(summary, width, ink),
    )
    blocks = ["\n".join(lines) for section in sections if (lines := list(section))]
    text = "\n\n".join(blocks) + "\n"
    return to_ascii(text) if ascii_only else text


def _title(name: str, ink: Ink, aside: str = "") -> str:
    return "  " + ink("bold", name) + (ink("dim", f"  {aside}") if aside else "")


def _mark(good: bool) -> tuple[str, Tone]:
    return ("✓", "good") if good else ("✗", "bad")


def _marked(mark: str, tone: Tone, text: str, width: int, ink: Ink) -> Iterator[str]:
    lines = textwrap.wrap(clean(text), width - 6) or [""]
    yield f"    {ink(tone, mark)} {lines[0]}"
    yield from (f"      {line}" for line in lines[1:])


def _verdict(summary: Summary, width: int, ink: Ink) -> Iterator[str]:
    tone: Tone = "good" if summary.exit_code == 0 else "bad"
    yield ""
    label, text = summary.verdict.upper(), clean(summary.headline)
    lines = textwrap.wrap(text, width - 2, initial_indent=" " * (len(label) + 2))
    first = lines[0].strip() if lines else ""
    yield f"  {ink(tone, label)}  {first}"
    yield from (f"  {line}" for line in lines[1:])
    about = [f"plan {clean(summary.name)}", f"seed {summary.seed}", f"run {clean(summary.run_id)}"]
    about += [summary.started_at] if summary.started_at else []
    about += [f"{clean(key)}={clean(value)}" for key, value in sorted(summary.tags.items())]
    yield from (ink("dim", line) for line in flow("  ", about, width, gap=" · "))


def _trust(summary: Summary, width: int, ink: Ink) -> Iterator[str]:
    doubts = [*summary.notes, *summary.validity.reasons]
    if not doubts:
        return
    yield _title("limits of trust", ink)
    for doubt in doubts:
        yield from _marked("!", "warn", doubt, width, ink)


def _events(summary: Summary, width: int, ink: Ink) -> Iterator[str]:
    if not summary.events:
        return
    yield _title("what happened", ink)
    for event in summary.events:
        yield from _marked("·", "dim", event, width, ink)


def _thresholds(summary: Summary, width: int, ink: Ink) -> Iterator[str]:
    if not summary.thresholds:
        return
    yield _title("thresholds", ink)
    for result in summary.thresholds:
        mark, tone = _mark(bool(result.passed))
        seen = observed(result)
        room = width - 6 - 2 - len(seen)
        text = clip(clean(result.text), room).ljust(room)
        yield f"    {ink(tone, mark)} {text}  {ink(tone, seen)}"


def _checks(summary: Summary, width: int, ink: Ink) -> Iterator[str]:
    if not summary.checks:
        return
    passes = sum(line.passes for line in summary.checks)
    total = passes + sum(line.fails for line in summary.checks)
    yield _title("checks", ink, f"{percent(passes / total if total else 0.0)} of {count(total)}")
    several = len({line.scenario for line in summary.checks}) > 1
    for line in summary.checks:
        mark, tone = _mark(not line.fails)
        of = line.passes + line.fails
        seen = f"{percent(line.passes / of if of else 0.0)}  {count(line.passes)} of {count(of)}"
        name = f"{line.name} ({line.scenario})" if several else line.name
        room = width - 6 - 2 - len(seen)
        yield f"    {ink(tone, mark)} {clip(clean(name), room).ljust(room)}  {seen}"


def _metrics(summary: Summary, width: int, ink: Ink) -> Iterator[str]:
    if summary.metrics:
        yield _title("metrics", ink)
        notes = meanings(line.name for line in summary.metrics)
        yield from (ink("dim", line) for line in flow("    ", notes, width) if line)
    for line in summary.metrics:
        parent, _, inner = line.name.partition("{")
        name = f"  {{{clean(inner)}" if inner else clean(parent)
        if len(name) > _NAME_WIDTH:
            yield f"    {clip(name, width - 5)}:"
            name = ""
        dots = "." * (_NAME_WIDTH - len(name)) if name else " " * _NAME_WIDTH
        yield from flow(f"    {name}{dots}: ", _aligned(line), width, gap=" " if line.kind == "trend" else "  ")


def _aligned(line: MetricLine) -> list[str]:
    """Pieces of a trend padded, so that they stand in columns from line to line."""
    pieces = metric_pieces(line)
    if line.kind != "trend":
        return pieces
    return [piece.ljust(11 if piece[0] != "p" else 13) for piece in pieces]


def _requests(summary: Summary, width: int, ink: Ink) -> Iterator[str]:
    if not summary.requests:
        return
    several = len({line.scenario for line in summary.requests}) > 1
    rows = []
    for line in summary.requests:
        rows.append([_request_name(line, several), count(line.count), rate(line.rate_per_s), count(line.failed)])
        rows[-1] += _spread(line.ok)
        if line.bad.count:
            rows.append(["└ failed ones", "", "", "", *_spread(line.bad)])
    yield _title("requests", ink, "durations of successes; of failures apart")
    header = ("", "count", "rate", "failed", "p50", "p95", "p99", "max")
    yield from _headed(header, rows, width, ink)
    if any(line.ok.weak or line.bad.weak for line in summary.requests):
        yield ink("dim", "    ~ too few samples to bound this percentile")


def _request_name(line: RequestLine, several: bool) -> str:
    name = f"{line.method} {line.name}" if line.method else line.name
    return clean(f"{line.scenario}: {name}" if several else name)


def _spread(spread: Spread) -> list[str]:
    pairs = (("p50", spread.p50_ms), ("p95", spread.p95_ms), ("p99", spread.p99_ms), ("max", spread.max_ms))
    return [ms(value, weak=key in spread.weak) for key, value in pairs]


def _headed(header: tuple[str, ...], rows: list[list[str]], width: int, ink: Ink) -> Iterator[str]:
    head, *lines = table(header, rows, width)
    yield ink("dim", head)
    yield from lines


def _errors(summary: Summary, width: int, ink: Ink) -> Iterator[str]:
    if not summary.errors:
        return
    yield _title("errors", ink, "kind, count, where most often")
    longest = max(len(clean(line.kind)) for line in summary.errors)
    numbers = max(len(count(line.count)) for line in summary.errors)
    for line in summary.errors:
        kind = clip(clean(line.kind), 32).ljust(min(longest, 32))
        head = f"    {kind}  {count(line.count).rjust(numbers)}  "
        yield (head + clip(clean(line.example), width - len(head))).rstrip()


def _accounting(summary: Summary, width: int, ink: Ink) -> Iterator[str]:
    accounting = summary.accounting
    if not accounting.scenarios:
        return
    aside = "planned = started + dropped + missed" if accounting.balanced else "the books do not balance"
    yield _title("iterations", ink, aside)
    header = ("scenario", "planned", "started", "finished", "interr.", "dropped", "missed", "lost")
    rows = [
        [
            clean(line.scenario) + ("" if line.balanced else " ✗"),
            *map(
                count,
                (
                    line.planned,
                    line.started,
                    line.finished,
                    line.interrupted,
                    line.dropped,
                    line.missed,
                    line.lost,
                ),
            ),
        ]
        for line in accounting.scenarios
    ]
    yield from _headed(header, rows, width, ink)
    words = apart_from_load(accounting)
    if words:
        yield ink("dim", f"    {words}")


def _agents(summary: Summary, width: int, ink: Ink) -> Iterator[str]:
    if not summary.agents:
        return
    yield _title("agents", ink, "cpu is the highest, lag the worst second's p99")
    header = ("agent", "state", "share", "requests", "skew", "± bound", "cpu", "lag")
    yield from _headed(header, [_agent(line) for line in summary.agents], width, ink)


def _agent(line: AgentLine) -> list[str]:
    return [
        clean(line.name),
        line.state,
        f"{line.share * 100:.1f}%",
        count(line.requests),
        ms(line.start_skew_ms),
        ms(line.clock_bound_ms),
        f"{line.cpu:.0f}%",
        ms(line.lag_p99_ms),
    ]
