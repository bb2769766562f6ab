"""How the demo target behaves: delays, error rates and sizes, as flags and query parameters write them.

Takes texts, gives values to draw from; raises `ValueError` in words for a person.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random

from loadr.units import NS_PER_S, parse_bytes, parse_duration_ns

MAX_DELAY_S = 3600.0
MAX_BODY_BYTES = 16 * 1024 * 1024
Draw = Callable[[Random], float]
"""One delay in seconds, 0 … 3600."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """``delay`` None is at once. ``error_rate`` is the part of answers that are a 500. JSON answers shorter than
    ``size_bytes`` are filled up with spaces at their end, which JSON allows."""

    delay: Draw | None = None
    error_rate: float = 0.0
    size_bytes: int = 0

    def refined(self, query: Mapping[str, str]) -> Behaviour:
        """With what the parameters ``delay``, ``error`` and ``size`` of one request say instead."""
        refined = self
        if "delay" in query:
            refined = replace(refined, delay=parse_delay(query["delay"]))
        if "error" in query:
            refined = replace(refined, error_rate=parse_rate(query["error"]))
        if "size" in query:
            refined = replace(refined, size_bytes=parse_size(query["size"]))
        return refined


def parse_delay(text: str) -> Draw | None:
    """``50ms``, ``uniform:10ms,50ms``, ``exponential:20ms`` (mean), ``lognormal:20ms,0.5`` (median, sigma)."""
    kind, colon, rest = text.partition(":")
    if not colon:
        fixed = _seconds(text)
        return (lambda _: fixed) if fixed else None
    arguments = rest.split(",")
    match kind, arguments:
        case "uniform", [low, high]:
            low_s, high_s = _seconds(low), _seconds(high)
            if low_s > high_s:
                raise ValueError(f"{text!r} ends before it begins")
            return lambda random: random.uniform(low_s, high_s)
        case "exponential", [mean]:
            rate = 1 / _above_zero(mean)
            return lambda random: min(random.expovariate(rate), MAX_DELAY_S)
        case "lognormal", [median, spread]:
            mu, sigma = math.log(_above_zero(median)), _number(spread, high=10.0)
            return lambda random: min(random.lognormvariate(mu, sigma), MAX_DELAY_S)
    raise ValueError(
        f"{text!r} is not a delay; write 50ms, uniform:10ms,50ms, exponential:20ms or lognormal:20ms,0.5"
    )


def parse_rate(text: str) -> float:
    """A part of requests, 0 … 1."""
    return _number(text, high=1.0)


def parse_size(text: str) -> int:
    """Bytes of a body, at most 16 MiB."""
    size = parse_bytes(text)
    if size > MAX_BODY_BYTES:
        raise ValueError(f"{text} is more than this target sends: 16MiB")
    return size


def _seconds(text: str) -> float:
    seconds = parse_duration_ns(text) / NS_PER_S
    if seconds > MAX_DELAY_S:
        raise ValueError(f"{text} is longer than this target waits: 1h")
    return seconds


def _above_zero(text: str) -> float:
    seconds = _seconds(text)
    if not seconds:
        raise ValueError(f"{text} must be above zero")
    return seconds


def _number(text: str, high: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= high:
        raise ValueError(f"{text!r} is not a number between 0 and {high:g}")
    return number
