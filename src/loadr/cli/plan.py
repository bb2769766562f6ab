"""``loadr plan``: what each agent of a fleet would do, without starting anything."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from loadr.cli.values import AGENTS, SEED, VUS, duration_ns, pair


@click.command()
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--agents", type=AGENTS, metavar="N", default=1, show_default=True, help="Size of the fleet.")
@click.option("-e", "--env", type=pair, metavar="KEY=VALUE", multiple=True, help="A value of `env` in the plan.")
@click.option("--vus", type=VUS, metavar="N", help="As in `loadr run`.")
@click.option("--duration", type=duration_ns, metavar="TIME", help="As in `loadr run`.")
@click.option("--seed", type=SEED, metavar="N", help="As in `loadr run`.")
def plan(
    plan: Path,
    agents: int,
    env: tuple[tuple[str, str], ...],
    vus: int | None,
    duration: int | None,
    seed: int | None,
) -> None:
    """Show what each agent would do."""
    from loadr.cli.progress import is_utf8
    from loadr.plan.loader import load_plan
    from loadr.report.layout import to_ascii
    from loadr.report.preview import render_preview
    from loadr.schedule.preview import preview

    loaded = load_plan(plan, env=dict(env), vus=vus, duration_ns=duration, seed=seed)
    text = render_preview(loaded.plan, preview(loaded.plan, agents))
    click.echo(text if is_utf8(sys.stdout) else to_ascii(text), nl=False)
