"""Durations, rates and bytes: text in plans and flags ⇄ integers inside.

Takes what people write (``300ms``, ``1m30s``, bare seconds) and gives integers of nanoseconds; gives the
exact text back, so that a plan survives a round trip through JSON to the last nanosecond.
"""

from __future__ import annotations

import re
from fractions import Fraction

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

_UNIT_NS = {
    "ns": 1,
    "us": NS_PER_US,
    "µs": NS_PER_US,
    "ms": NS_PER_MS,
    "s": NS_PER_S,
    "m": 60 * NS_PER_S,
    "h": 3600 * NS_PER_S,
    "d": 86400 * NS_PER_S,
}
_PART = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(ns|us|µs|ms|s|m|h|d)")
_WHOLE = re.compile(r"(?:(?:\d+(?:\.\d+)?|\.\d+)(?:ns|us|µs|ms|s|m|h|d))+")
_BARE = re.compile(r"\d+(?:\.\d+)?|\.\d+")

MAX_DURATION_NS = 366 * 86400 * NS_PER_S
MAX_DURATION_CHARS = 64


def parse_duration_ns(value: str | int | float) -> int:
    """Nanoseconds of ``value``: ``"300ms"``, ``"1m30s"``, or bare seconds as text or number.

    Raises `ValueError` in words for a person on anything else, on a negative number and on more than a year.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("a duration is expected, such as 300ms, 2s or 1m30s")
    if isinstance(value, str):
        text = value.strip()
        if len(text) > MAX_DURATION_CHARS:
            raise ValueError("this text is too long for a duration")
        ns = _parse_text_ns(text)
    else:
        if not abs(value) < MAX_DURATION_NS:  # not a number, endless, or too many digits to be shown
            raise ValueError("a duration must be a finite number of seconds, less than a year")
        text = f"{value:g}"
        if value < 0:
            raise ValueError(f"a duration must not be negative, and {text} is")
        ns = Fraction(value if isinstance(value, int) else repr(value)) * NS_PER_S
    if ns > MAX_DURATION_NS:
        raise ValueError(f"{text} is longer than a year")
    return round(ns)


def _parse_text_ns(text: str) -> Fraction:
    compact = text.replace(" ", "")
    if compact.startswith("-"):
        raise ValueError(f"a duration must not be negative, and {text} is")
    if _BARE.fullmatch(compact):
        return Fraction(compact) * NS_PER_S
    if _WHOLE.fullmatch(compact):
        parts = (Fraction(number) * _UNIT_NS[unit] for number, unit in _PART.findall(compact))
        return sum(parts, start=Fraction(0))
    raise ValueError(f"{text!r} is not a duration; write 300ms, 2s, 1m30s, or bare seconds")


def format_duration_ns(duration_ns: int) -> str:
    """The shortest exact text of a duration, accepted by `parse_duration_ns`: ``1m30s``, ``1.5ms``, ``0s``."""
    if duration_ns == 0:
        return "0s"
    out = []
    rest = duration_ns
    for unit in ("h", "m"):
        whole, rest = divmod(rest, _UNIT_NS[unit])
        if whole:
            out.append(f"{whole}{unit}")
    if rest:
        unit = next(u for u in ("s", "ms", "us", "ns") if rest >= _UNIT_NS[u])
        if out:
            unit = "s"
        size = _UNIT_NS[unit]
        whole, fraction = divmod(rest, size)
        digits = f"{fraction:0{len(str(size)) - 1}d}".rstrip("0") if fraction else ""
        out.append(f"{whole}{'.' + digits if digits else ''}{unit}")
    return "".join(out)


def format_short_ns(duration_ns: float) -> str:
    """About three digits for people's eyes (not exact): ``812µs``, ``12.3ms``, ``4.56s``, ``2m05s``."""
    ns = abs(duration_ns)
    sign = "-" if duration_ns < 0 else ""
    if ns >= 60 * NS_PER_S:
        minutes, seconds = divmod(round(ns / NS_PER_S), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{sign}{hours}h{minutes:02d}m{seconds:02d}s" if hours else f"{sign}{minutes}m{seconds:02d}s"
    for unit, size in (("s", NS_PER_S), ("ms", NS_PER_MS), ("µs", NS_PER_US)):
        if ns >= size * 0.9995:
            number = ns / size
            decimals = 2 if number < 9.995 else 1 if number < 99.95 else 0
            return f"{sign}{number:.{decimals}f}{unit}"
    return f"{sign}{round(ns)}ns" if ns else "0s"


_BYTES = re.compile(r"(\d+(?:\.\d+)?)\s*([kKmMgG]i?)?[bB]?")
_BYTE_UNIT = {"": 1, "k": 10**3, "ki": 2**10, "m": 10**6, "mi": 2**20, "g": 10**9, "gi": 2**30}


def parse_bytes(value: str | int) -> int:
    """Bytes of ``4096``, ``"64KiB"``, ``"1.5MB"``; `ValueError` on anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise ValueError("a size must not be negative")
        return value
    match = _BYTES.fullmatch(str(value).strip())
    if match is None:
        raise ValueError(f"{value!r} is not a size; write 4096, 64KiB or 1.5MB")
    return round(Fraction(match[1]) * _BYTE_UNIT[(match[2] or "").lower()])


def format_bytes(size_bytes: float) -> str:
    """Three digits for people's eyes: ``812 B``, ``1.21 MB`` (decimal units, as k6 prints them)."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 999.5 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.3g} {unit}"
        size /= 1000
    raise AssertionError("unreachable")
