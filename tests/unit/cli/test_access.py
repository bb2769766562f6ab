"""Every command that talks to an API takes the same two flags."""

from __future__ import annotations

from pathlib import Path

import click
from click.testing import CliRunner

from loadr.cli.access import api_options


def test_both_flags_name_files_that_are_there(tmp_path: Path) -> None:
    seen: list[tuple[Path | None, Path | None]] = []

    @click.command()
    @api_options
    def ask(api_ca: Path | None, api_token_file: Path | None) -> None:
        seen.append((api_ca, api_token_file))

    file = tmp_path / "file"
    file.touch()
    assert CliRunner().invoke(ask, []).exit_code == 0
    assert CliRunner().invoke(ask, ["--api-ca", str(file), "--api-token-file", str(file)]).exit_code == 0
    assert CliRunner().invoke(ask, ["--api-ca", str(tmp_path / "nothing")]).exit_code == 2
    assert seen == [(None, None), (file, file)]
