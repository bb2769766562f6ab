"""``loadr corpus``: a large CSV file in; the entry that a plan needs to name it out."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import click

from loadr.errors import ArgumentInvalid


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="How plans and agents call it.  [default: the file's name without its ending]")
def corpus(file: Path, name: str | None) -> None:
    """Print the entry of a plan for a large data file.

    The file is read to its end, and every row of it is checked.
    """
    from loadr.cli.values import corpus as pair
    from loadr.engine.corpus import CorpusInvalid, open_corpus

    name, _ = pair(f"{file.stem if name is None else name}={file}")
    try:
        rows = open_corpus(file, str(file))
        for index in range(len(rows)):
            rows[index]
    except CorpusInvalid as error:
        raise ArgumentInvalid(str(error), hint="a corpus is UTF-8 text in CSV with a header line") from None
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    click.echo("data:")
    click.echo(f"  {name.replace('-', '_')}:")
    click.echo(f"    corpus: {json.dumps(name) if name.isdigit() else name}")
    click.echo(f'    sha256: "{digest}"')
    click.echo(f"    columns: {json.dumps(rows.columns, ensure_ascii=False)}")
    click.echo(f"    rows: {len(rows)}")
    click.echo(f"start each agent with: --corpus {name}={file.absolute()}", err=True)
