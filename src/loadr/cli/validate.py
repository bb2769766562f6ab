"""``loadr validate``: all faults of a plan at once, for people (stderr) or for programs (JSON on stdout)."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from loadr.cli.values import pair
from loadr.errors import ExitCode, PlanInvalid
from loadr.units import format_duration_ns

if TYPE_CHECKING:
    from loadr.plan.model import Plan


@click.command()
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("-e", "--env", type=pair, multiple=True, metavar="KEY=VALUE", help="A value of `env` in the plan.")
def validate(plan: Path, format: Literal["text", "json"], env: tuple[tuple[str, str], ...]) -> int:
    """Show all faults of a plan at once."""
    from loadr.plan.loader import load_plan

    try:
        loaded = load_plan(plan, env=dict(env))
    except PlanInvalid as invalid:
        if format == "text":
            raise
        faults = [asdict(fault) for fault in invalid.faults]
        click.echo(json.dumps({"valid": False, "faults": faults}, indent=2, ensure_ascii=False))
        return ExitCode.INVALID
    ready = loaded.plan
    if format == "json":
        facts = {"valid": True, "faults": [], "name": ready.name}
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        click.echo(f"{plan}: valid. {_size(ready)}")
    return ExitCode.PASSED


def _size(plan: Plan) -> str:
    scenarios, files = len(plan.scenarios), len(plan.files)
    return (
        f"{plan.name}: {scenarios} scenario{'s' if scenarios != 1 else ''}, "
        f"{format_duration_ns(plan.duration_ns)}, {files} file{'s' if files != 1 else ''}"
    )
