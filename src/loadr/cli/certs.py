"""``loadr certs init``: an authority, a controller's certificate and agents' certificates, in one command."""

from __future__ import annotations

import shlex
import socket
from pathlib import Path

import click


@click.group()
def certs() -> None:
    """Make certificates for a controller and its agents (mTLS)."""


@certs.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--agent", metavar="NAME", multiple=True, help="A certificate for this agent; repeatable.")
@click.option(
    "--host",
    metavar="NAME",
    multiple=True,
    help="A further name or address by which agents dial the controller; repeatable.",
)
def init(folder: Path, agent: tuple[str, ...], host: tuple[str, ...]) -> int:
    """Make what is not yet there in DIR: a CA, a controller's certificate, one for each agent.

    Run it again with --agent to add agents. Nothing that is there is overwritten.
    """
    from loadr.transport.authority import LOOPBACK, init_certificates

    here = socket.gethostname()
    made = init_certificates(folder, hosts=[*LOOPBACK, here, *host], agents=agent)
    for path in made.written:
        click.echo(f"made  {path}  (key: {path.with_suffix('.key').name})")
    controller = folder / "controller.pem"
    for path in made.kept:
        note = ""
        if path == controller and host:
            note = "; for other names (--host), remove controller.pem and controller.key first"
        click.echo(f"kept  {path}  (was there already{note})")
    where = shlex.quote(str(folder))
    dialled = host[0] if host else here
    name = agent[0] if agent else "NAME"
    click.echo(
        "\nnext, on this machine:\n"
        f"  loadr controller --bind 0.0.0.0:7625 --tls-cert {where}/controller.pem"
        f" --tls-key {where}/controller.key --tls-client-ca {where}/ca.pem\n"
        f"and on each agent's machine, with ca.pem, {name}.pem and {name}.key of it:\n"
        f"  loadr agent --join {dialled}:7625 --name {name} --tls-ca ca.pem --tls-cert {name}.pem"
        f" --tls-key {name}.key"
    )
    if not agent:
        click.echo(f"\na certificate for an agent:  loadr certs init {where} --agent NAME")
    return 0
