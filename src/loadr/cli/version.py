"""``loadr version``: what is needed to say which software this is."""

from __future__ import annotations

import platform

import click

from loadr.coordination.messages import PROTOCOL_MAX, PROTOCOL_MIN
from loadr.version import __version__


@click.command()
def version() -> None:
    """Show the version and the protocol range."""
    click.echo(f"loadr {__version__}")
    click.echo(f"python {platform.python_version()} ({platform.python_implementation()})")
    click.echo(f"platform {platform.system()} {platform.release()} {platform.machine()}")
    click.echo(f"protocol loadr.coordination.v1, versions {PROTOCOL_MIN} to {PROTOCOL_MAX}")
