import io

import pytest
from rich.console import Console

from loadr.cli.panel import Panel, draw
from loadr.verdict.model import Percentiles, ThresholdResult


def drawn(view, width: int = 80, *, utf8: bool = True) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, highlight=False).print(draw(view, width, utf8=utf8))
    return stream.getvalue()


@pytest.mark.parametrize("width", [60, 80])
def test_the_panel_fits_its_width(view_at, agent_of, width: int) -> None:
    view = view_at(
        12.0,
        name="n" * 100,
        agents=[agent_of("agent-" + "x" * 50)],
        thresholds=[
            ThresholdResult(metric="m" * 90, expression="p(95)<1", passed=False, observed=1.0, unit="ms")
        ],
    )
    assert {len(line) for line in drawn(view, width).splitlines()} == {width}


def test_the_panel_tells_everything_that_people_watch(view_at) -> None:
    text = drawn(view_at(12.0))
    for part in (
        "checkout", "running", "12s of 30s, 18s left", "399/s of 400/s", "811 req/s", "p50 12.3ms",
        "p95 31.2ms", "p99 56.0ms", "4,932, failed 0 (0.00%)", "12 VUs", "✓ http_req_duration: p(95)<400",
        "agent-1", "online", "50.0%", "12%", "200µs",
    ):  # fmt: skip
        assert part in text


@pytest.mark.parametrize(("elapsed_s", "planned_s"), [(0.0, 30.0), (30.0, 30.0), (99.0, 30.0), (0.0, 0.0)])
def test_the_bar_stays_within_its_frame(view_at, elapsed_s: float, planned_s: float) -> None:
    text = drawn(view_at(elapsed_s, planned_s=planned_s, left_s=max(planned_s - elapsed_s, 0)))
    assert {len(line) for line in text.splitlines()} == {80}


def test_before_the_first_sample_there_is_a_panel(view_at) -> None:
    text = drawn(view_at(0.0, percentiles=Percentiles(), agents=[], thresholds=[], state="preparing"))
    assert "p50 -" in text and "preparing" in text


def test_failing_thresholds_and_lost_agents_come_first_when_there_are_too_many(view_at, agent_of) -> None:
    thresholds = [
        ThresholdResult(metric=f"m{i}", expression="count>1", passed=i != 9, observed=1.0) for i in range(10)
    ]
    agents = [agent_of(f"agent-{i}", "lost" if i == 19 else "online") for i in range(20)]
    text = drawn(view_at(9.0, thresholds=thresholds, agents=agents))
    assert "✗ m9: count>1" in text and "and 4 more" in text
    assert "agent-19" in text and "and 12 more" in text


def test_names_are_not_taken_for_markup_nor_for_control_codes(view_at) -> None:
    text = drawn(view_at(1.0, name="[bold]x[/bold]\x1b[2J", cause="[red]why[/red]"))
    assert "[bold]x[/bold]?[2J" in text and "[red]why[/red]" in text


def test_without_utf8_the_panels_own_signs_are_ascii(view_at) -> None:
    text = drawn(view_at(12.0), utf8=False)
    assert "###" in text and "+ http_req_duration" in text


def test_the_panel_is_gone_when_it_is_closed(view_at) -> None:
    stream = io.StringIO()
    panel = Panel(stream, Console(file=stream, force_terminal=True, width=80, color_system=None))
    panel.show(view_at(1.0))
    panel.show(view_at(2.0))
    panel.notice("stopping gracefully")
    panel.close()
    panel.close()
    assert "stopping gracefully" in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[2K")


def test_there_is_room_behind_the_panel_for_what_a_terminal_echoes_of_ctrl_c(view_at) -> None:
    stream = io.StringIO()
    panel = Panel(stream, Console(file=stream, force_terminal=True, width=80, color_system=None))
    panel.show(view_at(1.0))
    panel.close()
    lines = [line for line in stream.getvalue().splitlines() if "│" in line]
    assert {len(line) for line in lines} == {78} and len(lines) > 5


def test_a_panel_that_never_showed_anything_writes_nothing(view_at) -> None:
    stream = io.StringIO()
    Panel(stream, Console(file=stream, force_terminal=True)).close()
    assert stream.getvalue() == ""
