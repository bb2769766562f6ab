"""``loadr controller`` and ``loadr agent``: flags in, a shell that serves until it is told to stop."""

from __future__ import annotations

import os
from pathlib import Path

import click

from loadr.cli.values import address, bind_address, corpus, pair
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
@click.option("--token-file", type=_FILE, help="Agents must show a token of this store (see `loadr token`).")
@click.option("--api-tls-cert", type=_FILE, help="Certificate of the API (PEM), to serve it off loopback.")
@click.option("--api-tls-key", type=_FILE, help="Its key (PEM).")
@click.option("--api-token-file", type=_FILE, help="People must show a token of this store to use the API.")
@click.option("--insecure", is_flag=True, help="Allow plaintext off loopback.")
@click.option("--data-dir", type=_FOLDER, help="Where uploaded files are kept.  [default: a temporary folder]")
def controller(
    bind: str,
    api: str,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_client_ca: Path | None,
    token_file: Path | None,
    api_tls_cert: Path | None,
    api_tls_key: Path | None,
    api_token_file: Path | None,
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
            token_file=token_file,
            api_tls_cert=api_tls_cert,
            api_tls_key=api_tls_key,
            api_token_file=api_token_file,
            insecure=insecure,
            data_dir=data_dir,
        )
    )


@click.command()
@click.option("--join", type=address, metavar=_PLACE, required=True, help="The controller's address.")
@click.option(
    "--name", metavar="NAME", help="How reports call this agent.  [default: the host's name and four digits]"
)
@click.option(
    "--label", type=pair, metavar="KEY=VALUE", multiple=True, help="What is known of this agent; repeatable."
)
@click.option(
    "--workers", type=worker_count, metavar="N|auto", default="auto", show_default=True, help="Worker processes."
)
@click.option("--tls-ca", type=_FILE, help="Trust a controller whose certificate is of this CA (PEM).")
@click.option("--tls-cert", type=_FILE, help="Our certificate (PEM), for mTLS.")
@click.option("--tls-key", type=_FILE, help="Its key (PEM).")
@click.option("--token-file", type=_FILE, help="Holds a join token, where the controller asks for one.")
@click.option("--insecure", is_flag=True, help="Allow plaintext off loopback.")
@click.option(
    "--work-dir", type=_FOLDER, help="Where files of plans are kept; one folder per agent.  [default: temporary]"
)
@click.option(
    "--corpus",
    type=corpus,
    metavar="NAME=PATH",
    multiple=True,
    help="A large data file on this machine that plans may name; repeatable.",
)
@click.option("--until-stdin-ends", is_flag=True, help="Leave at once when standard input is closed.")
def agent(
    join: str,
    name: str | None,
    label: tuple[tuple[str, str], ...],
    workers: int | None,
    tls_ca: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    token_file: Path | None,
    insecure: bool,
    work_dir: Path | None,
    corpus: tuple[tuple[str, Path], ...],
    until_stdin_ends: bool,
) -> int:
    """Start an agent and join a controller."""
    _need_both(tls_cert, tls_key)
    start_ahead(workers)
    from loadr.agent_process import AgentOptions, serve

    return serve(
        AgentOptions(
            join=join,
            name=name,
            labels=dict(label),
            workers=workers,
            tls_ca=tls_ca,
            tls_cert=tls_cert,
            tls_key=tls_key,
            token_file=token_file,
            insecure=insecure,
            work_dir=work_dir,
            corpora=dict(corpus),
            until_stdin_ends=until_stdin_ends,
        )
    )


def start_ahead(workers: int | None) -> None:
    """Have the workers of this process come up while it imports its own libraries. None: one for each core."""
    from loadr.engine.headstart import workers_ahead

    count = workers or len(os.sched_getaffinity(0))
    click.get_current_context().with_resource(workers_ahead(count))


def _need_both(certificate: Path | None, key: Path | None) -> None:
    if (certificate is None) != (key is None):
        raise click.UsageError("--tls-cert and --tls-key go together")
