"""``loadr controller`` and ``loadr agent``: flags in, a shell that serves until it is told to stop."""

from __future__ import annotations

from pathlib import Path

import click

from loadr.cli.values import address, bind_address, pair
from loadr.cli.values import workers as worker_count

_PLACE = "HOST:PORT"
_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.option(
    "--bind", type=bind_address, metavar=_PLACE, default="127.0.0.1:7625", show_default=True, help="For agents."
)
@click.option(
    "--api", type=bind_address, metavar=_PLACE, default="127.0.0.1:8089", show_default=True, help="For people."
)
@click.option("--tls-cert", type=_FILE, help="Our certificate (PEM).")
@click.option("--tls-key", type=_FILE, help="Its key (PEM).")
@click.option("--tls-client-ca", type=_FILE, help="Agents must show a certificate of this CA (mTLS).")
@click.option("--insecure", is_flag=True, help="Allow plaintext off loopback.")
@click.option("--data-dir", type=_FOLDER, help="Where runs and plans are kept.")
def controller(
    bind: str,
    api: str,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_client_ca: Path | None,
    insecure: bool,
    data_dir: Path | None,
) -> int:
    """Start a controller that agents join."""
    _need_both(tls_cert, tls_key)
    if tls_client_ca is not None and tls_cert is None:
        raise click.UsageError("--tls-client-ca needs --tls-cert and --tls-key")
    from loadr.api.daemon import ControllerOptions, serve

    return serve(
        ControllerOptions(
            bind=bind,
            api=api,
            tls_cert=tls_cert,
            tls_key=tls_key,
            tls_client_ca=tls_client_ca,
            insecure=insecure,
            data_dir=data_dir,
        )
    )


@click.command()
@click.option("--join", type=address, metavar=_PLACE, required=True, help="The controller's address.")
@click.option("--name", help="How reports call this agent.  [default: the host's name]")
@click.option("--label", type=pair, metavar="KEY=VALUE", multiple=True, help="Repeatable.")
@click.option(
    "--workers", type=worker_count, metavar="N|auto", default="auto", show_default=True, help="Worker processes."
)
@click.option("--tls-ca", type=_FILE, help="Trust a controller whose certificate is of this CA (PEM).")
@click.option("--tls-cert", type=_FILE, help="Our certificate (PEM), for mTLS.")
@click.option("--tls-key", type=_FILE, help="Its key (PEM).")
@click.option("--insecure", is_flag=True, help="Allow plaintext off loopback.")
@click.option("--work-dir", type=_FOLDER, help="Where plans and files are unpacked.")
def agent(
    join: str,
    name: str | None,
    label: tuple[tuple[str, str], ...],
    workers: int | None,
    tls_ca: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    insecure: bool,
    work_dir: Path | None,
) -> int:
    """Start an agent and join a controller."""
    _need_both(tls_cert, tls_key)
    from loadr.agent import AgentOptions, serve

    return serve(
        AgentOptions(
            join=join,
            name=name,
            labels=dict(label),
            workers=workers,
            tls_ca=tls_ca,
            tls_cert=tls_cert,
            tls_key=tls_key,
            insecure=insecure,
            work_dir=work_dir,
        )
    )


def _need_both(certificate: Path | None, key: Path | None) -> None:
    if (certificate is None) != (key is None):
        raise click.UsageError("--tls-cert and --tls-key go together")
