"""``loadr token create``: a token for agents, or for the API; shown once, kept as a hash."""

from __future__ import annotations

from pathlib import Path

import click

from loadr.cli.values import duration_ns


@click.group()
def token() -> None:
    """Make tokens that let agents join, or people use the API."""


@token.command()
@click.argument("store", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--expires", type=duration_ns, metavar="TIME", default="24h", show_default=True, help="How long it holds."
)
@click.option(
    "--uses", type=click.IntRange(1, 10_000), metavar="N", help="How many agents may join.  [default: any number]"
)
@click.option(
    "--write",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it to a new file instead of printing it.",
)
def create(store: Path, expires: int, uses: int | None, write: Path | None) -> int:
    """Make a token and add its hash to FILE, which the controller takes as --token-file or --api-token-file."""
    from loadr.clock import unix_ms
    from loadr.errors import ArgumentInvalid
    from loadr.transport.tokens import TokenStore, write_token
    from loadr.units import NS_PER_MS, format_short_ns

    if write is not None and write.exists():
        raise ArgumentInvalid(f"{write} is there already", hint="give --write another name")
    made = TokenStore(store, "FILE").create(expires_unix_ms=unix_ms() + expires // NS_PER_MS, uses=uses)
    times = "any number of agents" if uses is None else f"{uses} agent{'s' * (uses != 1)}"
    click.echo(f"token {made.partition('.')[0]}: valid for {format_short_ns(expires)}, for {times}", err=True)
    if write is None:
        click.echo(made)
        return 0
    write_token(write, made)
    click.echo(
        f"written to {write}; copy it to the agents' machines and give it to them as --token-file", err=True
    )
    return 0
