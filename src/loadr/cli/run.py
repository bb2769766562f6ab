"""``loadr run``: a plan in; progress, the summary, files and an exit code out."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from loadr.cli.faults import report_fault
from loadr.cli.outputs import check_writable, write_output
from loadr.cli.values import address, duration_ns, pair
from loadr.cli.values import workers as worker_count
from loadr.errors import ArgumentInvalid

if TYPE_CHECKING:
    from loadr.cli.progress import Progress
    from loadr.plan.loader import LoadedPlan
    from loadr.verdict.model import LiveView, Summary


WIDE = 132  # no line of a summary gets longer than this, however wide the terminal


class Runner(Protocol):
    """What carries a run: here (`loadr.local.LocalRun`) or at a controller (`loadr.api.client.RemoteRun`)."""

    async def run(self) -> Summary: ...

    def stop(self) -> None: ...


@click.command()
@click.argument("plan", type=click.Path(path_type=Path))
@click.option(
    "--controller",
    type=address,
    metavar="HOST:PORT",
    help="Run on the agents of the controller at this API address.",
)
@click.option("--agents", type=click.IntRange(1, 256), help="Start this many agent processes here.")
@click.option(
    "--workers",
    type=worker_count,
    metavar="N|auto",
    default="auto",
    show_default=True,
    help="Worker processes per agent.",
)
@click.option(
    "-e", "--env", type=pair, metavar="KEY=VALUE", multiple=True, help="A value of `env` in the plan; repeatable."
)
@click.option(
    "--vus", type=click.IntRange(1, 1_000_000), help="VUs of the closed scenarios, instead of the plan's."
)
@click.option(
    "--duration", type=duration_ns, metavar="TIME", help="Length of every scenario, instead of the plan's."
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Seed of all draws, instead of the plan's.")
@click.option(
    "--tag", type=pair, metavar="KEY=VALUE", multiple=True, help="Written into the summary; repeatable."
)
@click.option(
    "--summary-export", type=click.Path(path_type=Path), metavar="FILE.json", help="k6's layout and more."
)
@click.option("--report", type=click.Path(path_type=Path), metavar="FILE.html", help="A self-contained page.")
@click.option("--no-thresholds", is_flag=True, help="Leave the plan's thresholds out.")
@click.option("--quiet", is_flag=True, help="No progress; the summary only.")
def run(
    plan: Path,
    controller: str | None,
    agents: int | None,
    workers: int | None,
    env: tuple[tuple[str, str], ...],
    vus: int | None,
    duration: int | None,
    seed: int | None,
    tag: tuple[tuple[str, str], ...],
    summary_export: Path | None,
    report: Path | None,
    no_thresholds: bool,
    quiet: bool,
) -> int:
    """Run a plan, here or on a controller's agents."""
    _refuse_contradictions(controller, agents, workers)
    for flag, path in (("--summary-export", summary_export), ("--report", report)):
        if path is not None:
            check_writable(path, flag)

    from loadr.cli.progress import open_progress
    from loadr.plan.loader import load_plan

    loaded = load_plan(plan, env=dict(env), tags=dict(tag), vus=vus, duration_ns=duration, seed=seed)
    if no_thresholds:
        loaded = replace(loaded, plan=loaded.plan.model_copy(update={"thresholds": {}}))

    progress = open_progress(sys.stderr, quiet=quiet)
    try:
        runner = _runner(loaded, controller, agents, workers, progress.show)
        summary = asyncio.run(_drive(runner, progress))
    finally:
        progress.close()
    return _finish(summary, summary_export, report)


def _refuse_contradictions(controller: str | None, agents: int | None, workers: int | None) -> None:
    if controller is None:
        return
    if agents is not None:
        raise ArgumentInvalid(
            "--controller and --agents exclude each other",
            hint="--agents starts agents here; a controller has its own",
        )
    if workers is not None:
        raise ArgumentInvalid(
            "--workers has no effect with --controller", hint="give it to `loadr agent` on the agents' machines"
        )


def _runner(
    loaded: LoadedPlan,
    controller: str | None,
    agents: int | None,
    workers: int | None,
    on_view: Callable[[LiveView], None],
) -> Runner:
    if controller is not None:
        from loadr.api.client import RemoteRun

        return RemoteRun(loaded, controller, on_view=on_view)
    from loadr.local import LocalRun

    return LocalRun(loaded, agents=agents or 0, workers=workers, on_view=on_view)


async def _drive(runner: Runner, progress: Progress) -> Summary:
    """The run with Ctrl-C in our hands: once drains, twice stops at once, a third time leaves without a word."""
    loop = asyncio.get_running_loop()
    times = 0

    def interrupt() -> None:
        nonlocal times
        times += 1
        if times == 1:
            progress.notice("stopping gracefully; press Ctrl-C again to stop at once")
        else:
            progress.notice("stopping at once")
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
        runner.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        return await runner.run()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _finish(summary: Summary, summary_export: Path | None, report: Path | None) -> int:
    """Print the summary, write the files. The verdict's exit code stands before that of a file that failed."""
    _print_summary(summary)
    if summary_export is None and report is None:
        return summary.exit_code
    click.echo("")
    try:
        if summary_export is not None:
            from loadr.report.json import render_json

            write_output(summary_export, render_json(summary), "--summary-export")
            click.echo(f"summary: {summary_export}")
        if report is not None:
            from loadr.report.html import render_html

            write_output(report, render_html(summary).encode(), "--report")
            click.echo(f"report: {report}")
    except ArgumentInvalid as fault:
        code = report_fault(fault)
        return summary.exit_code or code
    return summary.exit_code


def _print_summary(summary: Summary) -> None:
    from loadr.cli.progress import is_utf8
    from loadr.report.text import NARROW, render_text

    out, terminal = sys.stdout, sys.stdout.isatty()
    width = min(shutil.get_terminal_size((NARROW, 24)).columns, WIDE) if terminal else NARROW
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    text = render_text(summary, width=width, colour=colour, ascii_only=not is_utf8(out))
    click.echo(text, nl=False, color=colour)
