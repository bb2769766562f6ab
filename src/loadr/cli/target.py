"""``loadr target``: the demo target, to try a plan against something that counts what it gets."""

from __future__ import annotations

from pathlib import Path

import click

from loadr.cli.values import SEED, bind_address, whole

_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@click.command()
@click.option(
    "--bind",
    type=bind_address,
    metavar="HOST:PORT",
    default="127.0.0.1:8080",
    show_default=True,
    help="Port 0 is any free one.",
)
@click.option(
    "--delay",
    metavar="DELAY",
    default="",
    help="Of every answer: 50ms, uniform:10ms,50ms, exponential:20ms or lognormal:20ms,0.5.",
)
@click.option(
    "--error-rate", metavar="RATE", default="0", help="Part of the answers that are a 500, 0 to 1.  [default: 0]"
)
@click.option("--size", metavar="SIZE", default="0", help="Fill answers up to this size, such as 2KB.")
@click.option("--seed", type=SEED, metavar="N", default=0, help="Of the draws of delays and errors.")
@click.option(
    "--record-arrivals", type=whole(0, 10**8), metavar="N", default=0, help="Keep the last N instants of arrival."
)
@click.option("--tls-cert", type=_FILE, help="Serve https with this certificate (PEM).")
@click.option("--tls-key", type=_FILE, help="Its key (PEM).")
@click.option("--until-stdin-ends", is_flag=True, help="End when standard input is closed.")
def target(
    bind: str,
    delay: str,
    error_rate: str,
    size: str,
    seed: int,
    record_arrivals: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    until_stdin_ends: bool,
) -> int:
    """Start the demo target."""
    from loadr.testing.target import TargetOptions, serve

    serve(
        TargetOptions(
            bind=bind,
            delay=delay,
            error_rate=error_rate,
            size=size,
            seed=seed,
            record_arrivals=record_arrivals,
            tls_cert=tls_cert,
            tls_key=tls_key,
            until_stdin_ends=until_stdin_ends,
        )
    )
    return 0
