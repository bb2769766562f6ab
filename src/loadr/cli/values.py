"""The kinds of values that flags take: durations, ``KEY=VALUE`` pairs, addresses, worker counts."""

from __future__ import annotations

import re

import click

from loadr.units import parse_duration_ns


class Duration(click.ParamType):
    """``300ms``, ``2s``, ``1m30s`` or bare seconds → integer nanoseconds above 0."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            duration_ns = parse_duration_ns(str(value))
        except ValueError as fault:
            self.fail(str(fault), param, ctx)
        if duration_ns == 0:
            self.fail("a duration above zero is expected", param, ctx)
        return duration_ns


class Pair(click.ParamType):
    """``KEY=VALUE`` → a tuple; the value may hold further ``=``."""

    name = "key=value"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        key, equals, rest = str(value).partition("=")
        if not equals or not key:
            self.fail(f"{value!r} is not of the form KEY=VALUE", param, ctx)
        return key, rest


class Address(click.ParamType):
    """``HOST:PORT`` (an IPv6 host in brackets) → the same text, checked. Port 0, any free one, only if allowed."""

    name = "host:port"
    _form = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})")

    def __init__(self, *, any_port: bool = False) -> None:
        self._lowest = 0 if any_port else 1

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        match = self._form.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is not an address; write HOST:PORT, such as 127.0.0.1:7625", param, ctx)
        if not self._lowest <= int(match[2]) <= 65535:
            self.fail(f"{match[2]} is not a port; it must lie between {self._lowest} and 65535", param, ctx)
        return str(value)


class Workers(click.ParamType):
    """A number from 1 to 1024, or ``auto`` → None: one for each core."""

    name = "n|auto"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value == "auto":
            return None
        try:
            number = int(str(value))
        except ValueError:
            number = 0
        if not 1 <= number <= 1024:
            self.fail(f"{value!r} is neither 'auto' nor a number from 1 to 1024", param, ctx)
        return number
