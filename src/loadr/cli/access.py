"""The flags of every command that talks to a controller's API: whom to trust there, and which token to show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
C = TypeVar("C", bound=Callable[..., Any])


def api_options(command: C) -> C:
    """Adds ``--api-ca`` and ``--api-token-file``: the parameters ``api_ca`` and ``api_token_file``."""
    token = click.option(
        "--api-token-file", type=_FILE, metavar="FILE", help="Holds the token that the controller's API asks for."
    )
    ca = click.option(
        "--api-ca",
        type=_FILE,
        metavar="FILE",
        help="Trust a controller's API whose certificate is of this CA (PEM).",
    )
    return ca(token(command))
