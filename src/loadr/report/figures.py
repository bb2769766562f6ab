"""Numbers and names as people read them, the same in the console, the live panel and the HTML page.

Takes the plain values of a summary (milliseconds, fractions, counts), gives short text. A percentile that rests
on too few samples is marked with a leading ``~``. Names come from plans, scripts and targets: control characters
are shown as ``?`` so that nothing a target says can move a terminal's cursor.
"""

from __future__ import annotations

from collections.abc import Iterable

from loadr.units import NS_PER_MS, NS_PER_S, format_bytes, format_duration_ns, format_short_ns
from loadr.verdict.model import Accounting, MetricLine, ThresholdResult

NOTHING = "-"
BYTE_METRICS = ("data_sent", "data_received")


# What is measured from when to when; the console and the page both say so.
MEANINGS = {
    "http_req_duration": "from sending to the last byte",
    "http_req_receiving": "between the first and the last read of an answer",
    "http_req_total": "http_req_duration, and getting a connection before",
    "http_req_response_time": "from the intended start (open models, first request)",
    "iteration_lag": "from the intended to the actual start",
}
_DISCERNIBLE_MS = 0.001  # histograms begin at 1 µs: what is below has no digits


def apart_from_load(accounting: Accounting) -> str:
    """Requests that setup and teardown have sent, in words; empty if none."""
    sent = {"setup": accounting.setup_requests, "teardown": accounting.teardown_requests}
    words = [f"{what} {count(n)} request{'s' * (n != 1)}" for what, n in sent.items() if n]
    return f"apart from the load: {', '.join(words)}" if words else ""


def meanings(names: Iterable[str]) -> list[str]:
    """One phrase for each metric of ``names`` that needs one."""
    present = set(names)
    return [f"{name}: {meaning}" for name, meaning in MEANINGS.items() if name in present]


def clean(text: str) -> str:
    """``text`` on one line, control characters replaced."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)


def clip(text: str, width: int) -> str:
    """At most ``width`` characters, the end marked where something was cut off."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def ms(value: float | None, *, weak: bool = False) -> str:
    """``12.3ms`` of milliseconds; ``<1µs`` of what histograms do not tell apart; ``-`` for None."""
    if value is None:
        return NOTHING
    words = "<1µs" if 0 < value < _DISCERNIBLE_MS else format_short_ns(value * NS_PER_MS)
    return ("~" if weak else "") + words


def count(value: float) -> str:
    """``12,345``; a fraction keeps three digits."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3g}"


def rate(value: float | None) -> str:
    """``411/s`` with three digits or the whole number; ``-`` for None."""
    if value is None:
        return NOTHING
    if value == 0:
        return "0/s"
    if value >= 99.95:
        return f"{value:,.0f}/s"
    return f"{value:.1f}/s" if value >= 9.995 else f"{value:.2f}/s"


def percent(fraction: float) -> str:
    """``2.31%``. Never 0.00% nor 100.00% of what is not exactly none or all."""
    if 0 < fraction < 0.0001:
        return "<0.01%"
    if 0.9999 < fraction < 1:
        return ">99.99%"
    return f"{fraction * 100:.2f}%"


def seconds(value: float) -> str:
    """``30.0s``, ``1m05s``."""
    return format_short_ns(value * NS_PER_S)


def vus(number: int) -> str:
    """``1 VU``, ``1,200 VUs``."""
    return f"{number:,} VU{'s' if number != 1 else ''}"


def whole_seconds(value: float) -> str:
    """``12s``, ``1m5s``: full seconds only, for clocks that tick."""
    return format_duration_ns(int(value) * NS_PER_S)


def observed(result: ThresholdResult) -> str:
    """What a threshold saw, in its own unit; ``no data``."""
    if result.observed is None:
        return "no data"
    if result.unit == "ms":
        return ms(result.observed)
    if result.unit == "fraction":
        return percent(result.observed)
    return rate(result.observed) if result.unit == "per_s" else count(result.observed)


def metric_pieces(line: MetricLine) -> list[str]:
    """The values of a metric as k6 prints them, in k6's order: ``avg=12.3ms``, ``p(95)=31.2ms``."""
    values = line.values
    if not values:
        return ["no data"]
    if line.kind == "trend":
        if values.get("max") == 0:
            return [f"0s in all {count(values['count'])}"]
        keys = [key for key in values if key != "count"]
        return [f"{key}={ms(values[key], weak=key in line.weak)}" for key in keys]
    if line.kind == "counter":
        if line.name.partition("{")[0] in BYTE_METRICS:
            return [format_bytes(values["count"]), f"{format_bytes(values['rate'])}/s"]
        return [count(values["count"]), rate(values["rate"])]
    if line.kind == "rate":
        total = values["passes"] + values["fails"]
        return [percent(values["value"]), f"{count(values['passes'])} out of {count(total)}"]
    return [count(values["value"]), f"min={count(values['min'])}", f"max={count(values['max'])}"]
