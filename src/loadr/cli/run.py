"""``loadr run``: a plan in; progress, the summary, files and an exit code out."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from loadr.cli.access import api_options
from loadr.cli.faults import report_fault
from loadr.cli.outputs import check_writable, write_output
from loadr.cli.secrets import find_secrets
from loadr.cli.serve import start_ahead
from loadr.cli.values import AGENTS, SEED, VUS, address, corpus, duration_ns, pair
from loadr.cli.values import workers as worker_count
from loadr.errors import ArgumentInvalid

if TYPE_CHECKING:
    from loadr.cli.progress import Progress
    from loadr.masking import Secrets
    from loadr.plan.loader import LoadedPlan
    from loadr.verdict.model import LiveView, Summary


WIDE = 132  # no line of a summary gets longer than this, however wide the terminal


class Runner(Protocol):
    """What carries a run: here (`loadr.local.LocalRun`) or at a controller (`loadr.api.client.RemoteRun`)."""

    async def run(self) -> Summary: ...

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of a controller's agents are to take part, and how long they are waited for."""

    expect_agents: int
    labels: Mapping[str, str]
    wait_s: float


@click.command()
@click.argument("plan", type=click.Path(path_type=Path))
@click.option(
    "--controller",
    type=address,
    metavar="HOST:PORT",
    help="Run on the agents of the controller at this API address.",
)
@api_options
@click.option(
    "--agents-with",
    type=pair,
    metavar="KEY=VALUE",
    multiple=True,
    help="With --controller: only agents with this label; repeatable.",
)
@click.option(
    "--expect-agents",
    type=click.IntRange(1, 100_000),
    metavar="N",
    help="With --controller: wait until N agents are there.  [default: take those that are]",
)
@click.option(
    "--wait", type=duration_ns, metavar="TIME", default="60s", show_default=True, help="How long, at most."
)
@click.option("--agents", type=AGENTS, metavar="N", help="Start this many agent processes here, 1 to 256.")
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
    "--include",
    metavar="GLOB",
    multiple=True,
    help="Files to ship beside those the plan names, relative to its folder; repeatable.",
)
@click.option(
    "--corpus",
    type=corpus,
    metavar="NAME=PATH",
    multiple=True,
    help="Where a corpus of the plan stands on this machine; repeatable.",
)
@click.option(
    "--secret",
    metavar="NAME",
    multiple=True,
    help="A value of `secret`, from the variable LOADR_SECRET_NAME, for scripts; repeatable.",
)
@click.option(
    "--secret-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Values of `secret`, a line NAME=VALUE each.",
)
@click.option("--vus", type=VUS, metavar="N", help="VUs of the closed scenarios, instead of the plan's.")
@click.option(
    "--duration", type=duration_ns, metavar="TIME", help="Length of every scenario, instead of the plan's."
)
@click.option("--seed", type=SEED, metavar="N", help="Seed of all draws, instead of the plan's.")
@click.option(
    "--tag", type=pair, metavar="KEY=VALUE", multiple=True, help="Written into the summary; repeatable."
)
@click.option(
    "--summary-export", type=click.Path(path_type=Path), metavar="FILE.json", help="k6's layout and more."
)
@click.option("--report", type=click.Path(path_type=Path), metavar="FILE.html", help="A self-contained page.")
@click.option(
    "--allowed-loss",
    metavar="N|N%",
    help="Requests that may be missing after losses, or the run is incomplete.  [default: any]",
)
@click.option("--no-thresholds", is_flag=True, help="Leave the plan's thresholds out.")
@click.option("--quiet", is_flag=True, help="No progress; the summary only.")
def run(
    plan: Path,
    controller: str | None,
    api_ca: Path | None,
    api_token_file: Path | None,
    agents_with: tuple[tuple[str, str], ...],
    expect_agents: int | None,
    wait: int,
    agents: int | None,
    workers: int | None,
    env: tuple[tuple[str, str], ...],
    include: tuple[str, ...],
    corpus: tuple[tuple[str, Path], ...],
    secret: tuple[str, ...],
    secret_file: Path | None,
    vus: int | None,
    duration: int | None,
    seed: int | None,
    tag: tuple[tuple[str, str], ...],
    summary_export: Path | None,
    report: Path | None,
    allowed_loss: str | None,
    no_thresholds: bool,
    quiet: bool,
) -> int:
    """Run a plan, here or on a controller's agents."""
    _refuse_contradictions(
        controller, agents, workers, chooses=bool(agents_with or expect_agents), corpora=bool(corpus)
    )
    for flag, path in (("--summary-export", summary_export), ("--report", report)):
        if path is not None:
            check_writable(path, flag)
    found = find_secrets(secret, secret_file)  # no process that is started later inherits their variables
    if controller is None and not agents:
        start_ahead(workers)

    from loadr.cli.progress import open_progress
    from loadr.plan.loader import load_plan
    from loadr.plan.overrides import with_allowed_loss

    loaded = load_plan(
        plan,
        env=dict(env),
        secrets=found.names,
        tags=dict(tag),
        vus=vus,
        duration_ns=duration,
        seed=seed,
        include=include,
    )
    if allowed_loss is not None:
        loaded = replace(loaded, plan=with_allowed_loss(loaded.plan, allowed_loss))
    if no_thresholds:
        loaded = replace(loaded, plan=loaded.plan.model_copy(update={"thresholds": {}}))

    progress = open_progress(sys.stderr, quiet=quiet)
    try:
        runner = _runner(
            loaded,
            controller,
            agents,
            workers,
            choice=Choice(expect_agents or 0, dict(agents_with), wait / 1e9),
            api_files=(api_ca, api_token_file),
            secrets=found.given_to(loaded.plan),
            corpora=dict(corpus),
            on_view=progress.show,
            on_notice=progress.notice,
        )
        summary = asyncio.run(_drive(runner, progress))
    finally:
        progress.close()
    return _finish(summary, summary_export, report)


def _refuse_contradictions(
    controller: str | None, agents: int | None, workers: int | None, *, chooses: bool, corpora: bool
) -> None:
    if controller is None:
        if chooses:
            raise ArgumentInvalid(
                "--agents-with and --expect-agents choose among the agents of a controller",
                hint="name it with --controller, or start agents here with --agents N",
            )
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
    if corpora:
        raise ArgumentInvalid(
            "--corpus has no effect with --controller", hint="give it to `loadr agent` on the agents' machines"
        )


def _runner(
    loaded: LoadedPlan,
    controller: str | None,
    agents: int | None,
    workers: int | None,
    *,
    choice: Choice,
    api_files: tuple[Path | None, Path | None],
    secrets: Secrets,
    corpora: Mapping[str, Path],
    on_view: Callable[[LiveView], None],
    on_notice: Callable[[str], None],
) -> Runner:
    """``api_files``: who signed the API's certificate, and the token that it asks for."""
    if controller is not None:
        from loadr.api.client import ApiAccess, RemoteRun

        return RemoteRun(
            loaded,
            controller,
            access=ApiAccess(*api_files),
            secrets=secrets,
            on_view=on_view,
            expect_agents=choice.expect_agents,
            labels=choice.labels,
            wait_s=choice.wait_s,
        )
    from loadr.local import LocalRun

    return LocalRun(
        loaded,
        agents=agents or 0,
        workers=workers,
        corpora=corpora,
        secrets=secrets,
        on_view=on_view,
        on_notice=on_notice,
    )


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
