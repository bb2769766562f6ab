"""The summary as one self-contained HTML page: a `Summary` in, text out.

No script, no resource from elsewhere; a Content-Security-Policy says so to the browser. Charts are drawn from the
merged timeline. Percentiles that rest on too few samples are greyed out and marked ``~``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files
from string import Template

from loadr.report.chart import Curve, Mark, draw_chart
from loadr.report.figures import (
    apart_from_load,
    clean,
    count,
    meanings,
    metric_pieces,
    ms,
    observed,
    percent,
    rate,
    seconds,
)
from loadr.report.markup import Child, Markup, element, join
from loadr.verdict.model import ChartPoint, MetricLine, Spread, Summary


def render_html(summary: Summary) -> str:
    """The whole page."""
    folder = files("loadr.report")
    template = Template((folder / "report.html").read_text(encoding="utf-8"))
    sections = (
        _head(summary),
        _facts(summary),
        _trust(summary),
        _events(summary),
        _thresholds(summary),
        *_charts(summary),
        _requests(summary),
        _errors(summary),
        _checks(summary),
        _agents(summary),
        _accounting(summary),
        _metrics(summary),
        _foot(summary),
    )
    return template.substitute(
        title=join((f"{clean(summary.name)}: {summary.verdict}",)),
        style=(folder / "report.css").read_text(encoding="utf-8"),
        body="\n".join(section for section in sections if section),
    )


NOTHING = Markup("")


def _section(title: str, *content: Child, aside: str = "", css: str = "") -> Markup:
    heading = element("h2", title, element("small", aside) if aside else NOTHING)
    return element("section", heading, *content, **({"class_": css} if css else {}))


def _table(
    header: Sequence[str], rows: Sequence[Sequence[Child]], *, css: str = "", under: Sequence[int] = ()
) -> Markup:
    """``under`` are the numbers of rows that belong to the row above them."""
    head = element("tr", [element("th", name) for name in header])
    body = [
        element("tr", [element("td", cell) for cell in row], **({"class_": "under"} if i in under else {}))
        for i, row in enumerate(rows)
    ]
    table = element("table", element("thead", head), element("tbody", body), **({"class_": css} if css else {}))
    return element("div", table, class_="scroll")


def _tone(good: bool) -> str:
    return "good" if good else "bad"


# --- verdict ---------------------------------------------------------------------------------------------


def _head(summary: Summary) -> Markup:
    pill = element("div", summary.verdict, class_=f"verdict {_tone(summary.exit_code == 0)}")
    return element(
        "header",
        pill,
        element("h1", clean(summary.name)),
        element("p", clean(summary.headline), class_="lead"),
        element("p", summary.started_at.replace("T", " ").replace("Z", " UTC"), class_="quiet small"),
    )


def _facts(summary: Summary) -> Markup:
    requests, failed = summary.metric("http_reqs"), summary.metric("http_req_failed")
    duration = summary.metric("http_req_duration")
    facts: list[tuple[Child, str]] = []
    if requests:
        facts.append((count(requests.values["count"]), "requests"))
        facts.append((rate(requests.values["rate"]), "on average"))
    if failed and failed.values:
        share = failed.values["value"]
        facts.append((element("span", percent(share), class_=_tone(not share)), "failed"))
    if duration and duration.values:
        facts += [(_weak_ms(duration, key), key) for key in ("med", "p(95)", "p(99)")]
    facts.append((seconds(summary.duration_s), "of load"))
    facts.append((count(len(summary.agents)), "agent" if len(summary.agents) == 1 else "agents"))
    return element(
        "div",
        [element("div", element("b", value), element("span", name)) for value, name in facts],
        class_="facts",
    )


def _weak_ms(line: MetricLine, key: str) -> Child:
    return _percentile(line.values[key], weak=key in line.weak)


def _percentile(value: float | None, *, weak: bool) -> Child:
    if not weak:
        return ms(value)
    return element("span", ms(value, weak=True), class_="weak", title="too few samples to bound this percentile")


def _trust(summary: Summary) -> Markup:
    doubts = [*summary.notes, *summary.validity.reasons]
    if not doubts:
        return NOTHING
    items = [element("li", clean(doubt)) for doubt in doubts]
    return _section("What limits trust in these numbers", element("ul", items), css="trust")


def _events(summary: Summary) -> Markup:
    if not summary.events:
        return NOTHING
    items = [element("li", clean(event)) for event in summary.events]
    return _section("What happened", element("ul", items))


def _thresholds(summary: Summary) -> Markup:
    if not summary.thresholds:
        return NOTHING
    rows = [
        (
            element("code", clean(result.text)),
            element("span", observed(result), class_=_tone(bool(result.passed))),
            element("span", "✓ held" if result.passed else "✗ failed", class_=_tone(bool(result.passed))),
        )
        for result in summary.thresholds
    ]
    return _section("Thresholds", _table(("", "observed", ""), rows))


# --- charts ----------------------------------------------------------------------------------------------


def _charts(summary: Summary) -> Iterator[Markup]:
    points = _whole_points(summary)
    if not points:
        return
    spans = [(float(point.t0_s), float(point.t1_s)) for point in points]
    marks = list(_marks(summary, points))
    yield _section(
        "Rate over time",
        draw_chart(spans, _rate_curves(points), rate, marks=marks),
        _mark_legend(marks),
        aside="per second",
    )
    yield _section(
        "Duration over time",
        draw_chart(spans, _band_curves(points), ms, height=260, log=True, marks=marks),
        aside="http_req_duration, from merged histograms",
    )
    if any(point.failed_per_s or point.dropped for point in points):
        failed = Curve("failed requests/s", "c-bad", [point.failed_per_s for point in points], "area")
        edge = Curve("", "c-bad", failed.values)
        dropped = [point.dropped / (point.t1_s - point.t0_s) for point in points]
        curves = [failed, edge, *([Curve("dropped iterations/s", "c-warn", dropped)] if any(dropped) else [])]
        yield _section("Failures over time", draw_chart(spans, curves, rate, height=150))
    vus = Curve("", "c-violet", [float(point.vus) for point in points])
    yield _section(
        "VUs over time",
        draw_chart(spans, [vus], count, height=120, least_step=1),
        aside="at the end of each second",
    )


def _marks(summary: Summary, points: Sequence[ChartPoint]) -> Iterator[Mark]:
    """Pauses, and stretches in which the load of a lost agent was nobody's."""
    for point in points:
        if point.paused:
            yield Mark("paused", "m-pause", point.t0_s, point.t1_s)
    end_s = points[-1].t1_s
    for agent in summary.agents:
        if agent.lost_at_s is not None:
            until_s = end_s if agent.covered_at_s is None else agent.covered_at_s
            begin_s = agent.last_acked_s if agent.last_acked_s is not None else agent.lost_at_s
            label = f"{clean(agent.name)} was lost at {agent.lost_at_s:.1f} s"
            label += f"; its share was nobody's until {until_s:.1f} s"
            yield Mark(label, "m-loss", min(begin_s, agent.lost_at_s), until_s)


def _mark_legend(marks: Sequence[Mark]) -> Markup:
    """What the shades mean, if there are any."""
    kinds = {"m-pause": "paused", "m-loss": "an agent was lost, and its share not yet taken"}
    found = [css for css in kinds if any(mark.css == css for mark in marks)]
    if not found:
        return NOTHING
    keys = [element("span", element("i", class_=f"key {css}"), kinds[css]) for css in found]
    return element("p", keys, class_="legend")


def _whole_points(summary: Summary) -> list[ChartPoint]:
    """Without the rest of a second at the end, which would look like a collapse of the rate."""
    whole = [point for point in summary.timeline if point.t1_s <= summary.duration_s + 0.05]
    return whole or summary.timeline


def _rate_curves(points: Sequence[ChartPoint]) -> list[Curve]:
    requests = [point.rate_per_s for point in points]
    curves = [Curve("requests/s", "c-blue", requests, "area"), Curve("", "c-blue", requests)]
    opened = [point.open_iterations_per_s or 0.0 for point in points]
    if any(point.target_per_s is not None for point in points):
        if abs(sum(opened) - sum(requests)) > 0.02 * sum(requests):
            curves.append(Curve("iterations/s (open scenarios)", "c-violet", opened))
        curves.append(
            Curve("target, iterations/s", "c-quiet", [point.target_per_s for point in points], "dashed")
        )
    return curves


def _band_curves(points: Sequence[ChartPoint]) -> list[Curve]:
    p50, p90 = [point.p50_ms for point in points], [point.p90_ms for point in points]
    p99, largest = [point.p99_ms for point in points], [point.max_ms for point in points]
    return [
        Curve("p90 to p99", "c-band2", p99, "band", p90),
        Curve("p50 to p90", "c-band1", p90, "band", p50),
        Curve("max", "c-quiet", largest, "dashed"),
        Curve("p50", "c-blue", p50),
    ]


# --- tables ----------------------------------------------------------------------------------------------


def _requests(summary: Summary) -> Markup:
    rows: list[Sequence[Child]] = []
    under = []
    several = len({line.scenario for line in summary.requests}) > 1
    for line in summary.requests:
        where = element("span", f"  {clean(line.scenario)}", class_="quiet small") if several else NOTHING
        failed = element("span", count(line.failed), class_="bad") if line.failed else "0"
        name = (clean(f"{line.method} {line.name}"), where)
        rows.append((name, count(line.count), rate(line.rate_per_s), failed, *_spread(line.ok)))
        if line.bad.count:
            under.append(len(rows))
            rows.append(("failed ones", "", "", "", *_spread(line.bad)))
    if not rows:
        return NOTHING
    header = ("", "count", "rate", "failed", "p50", "p95", "p99", "max")
    return _section(
        "Requests", _table(header, rows, under=under), aside="durations of successes; of failures apart"
    )


def _spread(spread: Spread) -> list[Child]:
    pairs = (("p50", spread.p50_ms), ("p95", spread.p95_ms), ("p99", spread.p99_ms), ("max", spread.max_ms))
    return [_percentile(value, weak=key in spread.weak) for key, value in pairs]


def _errors(summary: Summary) -> Markup:
    if not summary.errors:
        return NOTHING
    rows = [(clean(line.kind), count(line.count), clean(line.example)) for line in summary.errors]
    return _section("Errors", _table(("kind", "count", "where most often"), rows, css="words"))


def _checks(summary: Summary) -> Markup:
    if not summary.checks:
        return NOTHING
    rows = []
    for line in summary.checks:
        total = line.passes + line.fails
        share = element("span", percent(line.passes / total if total else 0.0), class_=_tone(not line.fails))
        rows.append((clean(line.name), clean(line.scenario), share, f"{count(line.passes)} of {count(total)}"))
    return _section("Checks", _table(("", "scenario", "passed", ""), rows))


def _agents(summary: Summary) -> Markup:
    if not summary.agents:
        return NOTHING
    header = ("", "state", "share", "requests", "start skew", "± bound", "cpu max", "lag p99")
    rows = [
        (
            clean(line.name),
            element("span", line.state, class_="bad") if line.lost_at_s is not None else line.state,
            f"{line.share * 100:.1f}%",
            count(line.requests),
            ms(line.start_skew_ms),
            ms(line.clock_bound_ms),
            f"{line.cpu:.0f}%",
            ms(line.lag_p99_ms),
        )
        for line in summary.agents
    ]
    return _section("Agents", _table(header, rows), aside="lag is the worst second's p99")


def _accounting(summary: Summary) -> Markup:
    accounting = summary.accounting
    if not accounting.scenarios:
        return NOTHING
    header = ("", "planned", "started", "finished", "interrupted", "dropped", "missed", "lost", "")
    rows = [
        (
            clean(line.scenario),
            *(
                count(number)
                for number in (
                    line.planned,
                    line.started,
                    line.finished,
                    line.interrupted,
                    line.dropped,
                    line.missed,
                    line.lost,
                )
            ),
            element("span", "✓" if line.balanced else "✗", class_=_tone(line.balanced)),
        )
        for line in accounting.scenarios
    ]
    aside = "planned = started + dropped + missed; started = finished + interrupted + lost"
    words = apart_from_load(accounting)
    apart = (element("p", words, class_="quiet small"),) if words else ()
    return _section("Iterations", _table(header, rows), *apart, aside=aside)


def _metrics(summary: Summary) -> Markup:
    if not summary.metrics:
        return NOTHING
    rows = [(element("code", clean(line.name)), "  ".join(metric_pieces(line))) for line in summary.metrics]
    table = _table(("", ""), rows, css="words")
    notes = [element("p", note, class_="quiet small") for note in meanings(line.name for line in summary.metrics)]
    return element("section", element("details", element("summary", "All metrics"), *notes, table))


def _foot(summary: Summary) -> Markup:
    facts = [f"run {clean(summary.run_id)}", f"seed {summary.seed}", f"plan {summary.plan_digest[:16]}"]
    facts += [f"{clean(key)}={clean(value)}" for key, value in sorted(summary.tags.items())]
    return element("footer", "Made by loadr · " + " · ".join(facts))
